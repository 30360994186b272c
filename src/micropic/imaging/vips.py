"""Decoding of every kind but JPEG: by libvips, or by Pillow where that has no loader."""

from __future__ import annotations

import math
import os
import resource
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import pyvips

from micropic.domain.errors import MicropicError
from micropic.domain.geometry import displayed
from micropic.domain.model import Size
from micropic.imaging.frames import Frames
from micropic.imaging.kinds import Kind, Limits, no_memory
from micropic.imaging.pixels import Pixels, from_vips, to_vips, upright, without_idle_alpha
from micropic.imaging.probe import (
    Picture,
    broken,
    is_pillow,
    lacks_memory,
    load,
    open_pillow,
)

_FAIL_ON = {
    Kind.PNG: pyvips.FailOn.TRUNCATED,
    Kind.GIF: pyvips.FailOn.TRUNCATED,
    Kind.TIFF: pyvips.FailOn.WARNING,
}
"""At which fault the loader is to stop, for the kinds that are not decoded at a smaller scale.

`thumbnail_buffer` scales while it loads, but lets these pass with their lower part missing.
"""
_BLOCKED = ("VipsForeignLoad", "VipsForeignSave", "VipsSystem")
"""What reads or writes files of whatever kind, and what runs a command."""
_ALLOWED = (
    *("VipsForeignLoadJpegBuffer", "VipsForeignLoadPngBuffer", "VipsForeignLoadWebpBuffer"),
    *("VipsForeignLoadNsgifBuffer", "VipsForeignLoadHeifBuffer", "VipsForeignLoadTiffBuffer"),
    *("VipsForeignLoadSvgBuffer", "VipsForeignSavePngBuffer", "VipsForeignSaveWebpBuffer"),
    *("VipsForeignSaveHeifBuffer", "VipsForeignSaveCgifBuffer"),
)
"""What is needed of that: from bytes to pixels for the kinds that are decoded, and back."""


def confine() -> None:
    """Leave libvips what is needed for the kinds of the web, and no memory of earlier work.

    What its authors call untrusted is blocked, then all that reads or writes files; what is
    allowed is named one by one (SVG is of the untrusted: `probe` has looked at it before).
    """
    pyvips.block_untrusted_set(True)  # noqa: FBT003 # a C call
    for name in _BLOCKED:
        pyvips.operation_block_set(name, True)  # noqa: FBT003
    for name in _ALLOWED:
        pyvips.operation_block_set(name, False)  # noqa: FBT003
    pyvips.cache_set_max(0)
    # libvips tells of each step; what is below a warning GLib drops, without a call to Python.
    pyvips._remove_log_handler()  # noqa: SLF001
    _statm()


def decode(data: bytes | memoryview, picture: Picture, whole: Size) -> Pixels:
    """Decode the first frame to exactly `whole`, upright, sRGB.

    Raises:
        BrokenImage: the data is damaged or incomplete.
        TooMuchMemory: it took more than the process may have.

    """
    stored = displayed(whole, picture.orientation)
    try:
        return _finished(_thumbnail(data, picture, stored), picture)
    except pyvips.Error as error:
        raise _failure(picture, stored, error) from error


def decode_all(data: bytes | memoryview, picture: Picture, whole: Size, limits: Limits) -> Frames:
    """Decode an animation's frames, each to exactly `whole`, as many as `limits` allow.

    Raises:
        BrokenImage: the data is damaged or incomplete.
        TooMuchMemory: it took more than the process may have.

    """
    count = frame_count(picture, limits)
    target = displayed(whole, picture.orientation)
    try:
        roll = load(
            data,
            picture.kind,
            n=count,
            access=pyvips.Access.SEQUENTIAL,
            fail_on=pyvips.FailOn.TRUNCATED,
        )
        pixels = [
            _finished(_scaled(frame, picture, target), picture) for frame in _frames(roll, count)
        ]
    except pyvips.Error as error:
        raise _failure(picture, target, error) from error
    delays = tuple(roll.get("delay")[:count]) if roll.get_typeof("delay") else (100,) * count
    loop = roll.get("loop") if roll.get_typeof("loop") else 0
    return Frames(tuple(pixels), delays, loop)


def frame_count(picture: Picture, limits: Limits) -> int:
    """Return how many frames of an animation are decoded."""
    stored = picture.stored
    return min(picture.frames, limits.frames, limits.pixels // (stored.width * stored.height))


def _frames(roll: pyvips.Image, count: int) -> Iterator[pyvips.Image]:
    """Cut a roll of frames, one below the other, into these."""
    height = roll.get_page_height()
    for number in range(count):
        yield roll.crop(0, number * height, roll.width, height)


def _thumbnail(data: bytes | memoryview, picture: Picture, size: Size) -> pyvips.Image:
    if is_pillow(picture.kind):
        return _scaled(_load_pillow(data, picture.kind), picture, size)
    if picture.kind not in _FAIL_ON:
        return pyvips.Image.thumbnail_buffer(
            data, size.width, fail_on=pyvips.FailOn.TRUNCATED, **_scaling(picture, size)
        )
    image = load(
        data,
        picture.kind,
        access=pyvips.Access.SEQUENTIAL,
        fail_on=_FAIL_ON[picture.kind],
        **(_level(data, size) if picture.kind is Kind.TIFF else {}),
    )
    return _scaled(image, picture, size)


def _scaled(image: pyvips.Image, picture: Picture, size: Size) -> pyvips.Image:
    return image.thumbnail_image(size.width, **_scaling(picture, size))


def _scaling(picture: Picture, size: Size) -> dict[str, Any]:
    # With a profile to go to libvips manages colours even where there is none to come from.
    managed = {"output_profile": "srgb"} if picture.managed else {}
    return {"height": size.height, "size": pyvips.Size.FORCE, "no_rotate": True, **managed}


def _finished(image: pyvips.Image, picture: Picture) -> Pixels:
    if image.interpretation != pyvips.Interpretation.SRGB:
        image = image.colourspace(pyvips.Interpretation.SRGB)
    pixels = from_vips(image.cast(pyvips.BandFormat.UCHAR))
    return upright(without_idle_alpha(pixels), picture.orientation)


def _level(data: bytes | memoryview, size: Size) -> dict[str, int]:
    """Choose the smallest level of a TIFF pyramid that is large enough (TIFF 6.0, SubIFDs)."""
    whole = load(data, Kind.TIFF)
    width, chosen = whole.width, {}
    key, count = "subifd", _number(whole, "n-subifds")
    if not count:
        key, count = "page", _number(whole, "n-pages") - 1
    for level in range(count):
        index = {key: level if key == "subifd" else level + 1}
        image = load(data, Kind.TIFF, **index)
        width //= 2
        # Pages that do not halve are pages of a document.
        if abs(image.width - width) > 1 or image.width < size.width or image.height < size.height:
            break
        chosen = index
    return chosen


def _number(image: pyvips.Image, name: str) -> int:
    return int(image.get(name)) if image.get_typeof(name) else 0


def _load_pillow(data: bytes | memoryview, kind: Kind) -> pyvips.Image:
    try:
        decoded = np.asarray(open_pillow(kind, data).convert("RGBA"))
    except MemoryError:
        raise
    except Exception as error:  # Pillow's readers let many kinds out
        raise broken(kind) from error
    return to_vips(decoded)


_BYTES_A_PIXEL = {Kind.WEBP: 8, Kind.AVIF: 50, Kind.SVG: 40}
"""What decoding takes, for the codecs that do not tell a lack of memory from damage."""


def _failure(picture: Picture, drawn: Size, error: pyvips.Error) -> MicropicError:
    """Tell a lack of memory from damage.

    libvips says which it is of its own memory, and so do the readers of PNG, GIF and TIFF. Those
    of WebP, AVIF and SVG say the same of both: it is taken for a lack of memory if a good picture
    of that size would not fit into what is left. A damaged one that large is therefore taken for
    one that is too large, and a lack that comes about otherwise (by filters in an SVG, by
    profiles) for damage.
    """
    size = drawn if picture.kind is Kind.SVG else picture.stored
    need = size.width * size.height * _BYTES_A_PIXEL.get(picture.kind, 0)
    if lacks_memory(error) or need > _memory_left():
        return no_memory()
    return broken(picture.kind)


def _memory_left() -> float:
    """Give the address space that this process may still take, in bytes."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return math.inf
    pages = int(os.pread(_statm(), 100, 0).split()[0])
    return limit - pages * resource.getpagesize()


@cache
def _statm() -> int:
    """Open what tells the address space in use, before the sandbox closes."""
    return os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
