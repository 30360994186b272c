"""Bytes and a transform in, a preview out; one process, no I/O."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import pyvips

from micropic.domain import cost, geometry
from micropic.domain.drawings import is_drawing
from micropic.domain.model import (
    Anchor,
    Box,
    Colour,
    FocusPoint,
    Format,
    Mode,
    Size,
    Transform,
)
from micropic.imaging import drawing_time, jpeg, pixels, vips
from micropic.imaging.encoders import encode, too_large
from micropic.imaging.explain import drawing
from micropic.imaging.faces import find_faces, glimpse_faces, place_faces, place_smart
from micropic.imaging.frames import Frames
from micropic.imaging.kinds import (
    Kind,
    Limits,
    check_cost,
    no_memory,
    preview_too_large,
)
from micropic.imaging.pixels import Pixels
from micropic.imaging.probe import Picture, probe, unwrapped
from micropic.imaging.saliency import place_salient

_WHITE = Colour(255, 255, 255)


@dataclass(frozen=True, slots=True)
class Encoded:
    """A preview: its bytes, what they are, and its size in pixels."""

    body: bytes
    media_type: str
    size: Size


class Prepared(NamedTuple):
    """A decoded picture, from which the answer is to be cut."""

    picture: Picture
    frames: Frames
    output: Size
    """The size of the answer."""


def render(
    data: bytes | memoryview,
    transform: Transform,
    limits: Limits | None = None,
    *,
    smart_faces: bool = True,
    decoded: Callable[[], None] = lambda: None,
) -> Encoded:
    """Render one preview; `smart_faces` lets `smart` look for faces, where the extra is installed.

    `decoded` is called once the image is decoded, before anything else is done to it.

    Raises:
        NotAnImage, BrokenImage, TooManyPixels: by what is wrong with `data`.
        PreviewTooLarge, TooMuchMemory, TooMuchWork: by what the transform asks for.

    """
    limits = limits or Limits()
    try:
        prepared = prepare(data, transform, limits, decoded)
        return _within(limits, _finish(prepared, transform, limits, smart_faces=smart_faces))
    except MemoryError as error:
        raise no_memory() from error


def _within(limits: Limits, encoded: Encoded) -> Encoded:
    if len(encoded.body) > limits.preview_bytes:
        raise preview_too_large(limits.preview_bytes)
    return encoded


def _finish(
    prepared: Prepared, transform: Transform, limits: Limits, *, smart_faces: bool
) -> Encoded:
    """Do all that comes after decoding.

    Raises:
        PreviewTooLarge, TooMuchMemory, TooMuchWork: see `render`.

    """
    try:
        return _render(prepared, transform, limits, smart_faces=smart_faces)
    except pyvips.Error as error:  # the pixels are sound: memory is what can be missing
        raise no_memory() from error


def _render(
    prepared: Prepared, transform: Transform, limits: Limits, *, smart_faces: bool
) -> Encoded:
    picture, frames, output = prepared
    if not transform.explain and (
        refused := too_large(_format(frames, transform), output, len(frames.pixels), limits)
    ):
        raise refused
    # Known only now: an image without transparency may take a costlier format.
    check_cost(
        cost.estimate(_facts(picture, limits), transform, _format(frames, transform)), limits
    )
    window = place(frames.first, output, transform, smart_faces=smart_faces)
    if transform.explain:
        shown = opaque(frames.first, transform)
        seen = _faces(shown, window, transform, smart_faces=smart_faces)
        frames = Frames((drawing(shown, window, seen),))
    else:
        frames = frames.each(lambda frame: pixels.resample(pixels.cut(frame, window), output))
    wanted = _format(frames, transform)
    for step in _steps(picture, transform, wanted):
        frames = frames.each(step)
    size = pixels.size_of(frames.first)
    return Encoded(encode(frames, wanted, transform.quality), wanted.media_type, size)


def prepare(
    data: bytes | memoryview,
    transform: Transform,
    limits: Limits,
    decoded: Callable[[], None] = lambda: None,
) -> Prepared:
    """Decode, set upright and trim: all that comes before the cut is chosen."""
    seconds = limits.drawing_time if is_drawing(data) else 0
    with drawing_time.bounded(seconds):
        return _prepare(data, transform, limits, decoded)


def _prepare(
    data: bytes | memoryview, transform: Transform, limits: Limits, decoded: Callable[[], None]
) -> Prepared:
    data = unwrapped(data)
    picture = probe(data, limits)
    picture = replace(picture, orientation=geometry.turned(picture.orientation, transform.turn))
    _check_formats(picture, transform, limits)
    check_cost(cost.estimate(_facts(picture, limits), transform), limits)
    frames = _decode(data, picture, transform, limits)
    decoded()
    size = picture.size
    if transform.trim is not None:
        box = pixels.content_box(frames.first, transform.trim)
        size = _in_source(box, frames.first, size)
        frames = frames.each(lambda frame: pixels.cut(frame, box))
    output = geometry.output_size(size, transform.mode, transform.size, enlarge=transform.enlarge)
    return Prepared(picture, frames, output)


def _facts(picture: Picture, limits: Limits) -> cost.Source:
    """Give what the cost of a render depends on."""
    is_progressive = picture.jpeg is not None and picture.jpeg.frame.progressive
    kind = cost.PROGRESSIVE_JPEG if is_progressive else picture.kind
    pixels_each = max(1, picture.stored.width * picture.stored.height)
    frames = min(picture.frames, limits.frames, limits.pixels // pixels_each)
    return cost.Source(kind, picture.size, max(1, frames))


def _check_formats(picture: Picture, transform: Transform, limits: Limits) -> None:
    """Refuse, before a pixel is decoded, what is too large in each format that it may get."""
    if transform.trim is not None or transform.explain:
        return  # the size is not known yet, or bounded
    frames = vips.frame_count(picture, limits) if transform.formats.animated else 1
    size = geometry.output_size(
        picture.size, transform.mode, transform.size, enlarge=transform.enlarge
    )
    opaque, transparent, animated = transform.formats
    formats = {animated} if animated and frames > 1 else {opaque, transparent}
    found = (too_large(wanted, size, frames, limits) for wanted in formats)
    refused = [error for error in found if error]
    if len(refused) == len(formats):
        raise refused[0]


def _decode(
    data: bytes | memoryview, picture: Picture, transform: Transform, limits: Limits
) -> Frames:
    """Decode at a scale from which the answer can be made."""
    room = 1 if transform.trim is None else cost.TRIM_ROOM
    box = Size(transform.size.width * room, transform.size.height * room)
    whole = geometry.whole_size(picture.size, transform.mode, box)
    pixels_of_whole = whole.width * whole.height
    scales_freely = picture.kind is Kind.SVG and pixels_of_whole <= limits.pixels
    if whole.width > picture.size.width and not scales_freely:
        whole = picture.size  # what has pixels is enlarged after the cut, not before
    if transform.formats.animated and picture.frames > 1:
        return vips.decode_all(data, picture, whole, limits)
    decode = jpeg.decode if picture.jpeg else vips.decode
    return Frames((decode(data, picture, whole),))


def _in_source(box: Box, decoded: Pixels, source: Size) -> Size:
    """Give the size that `box` has in the source, of which `decoded` is a smaller copy."""
    width, height = pixels.size_of(decoded)
    return Size(
        max(1, round(box.width * source.width / width)),
        max(1, round(box.height * source.height / height)),
    )


def place(decoded: Pixels, output: Size, transform: Transform, *, smart_faces: bool = True) -> Box:
    """Choose the part of the decoded picture that the answer shows."""
    size, gravity = pixels.size_of(decoded), transform.gravity
    if transform.mode is Mode.FIT:
        return Box(0, 0, *size)
    window = geometry.window_size(size, output)
    if isinstance(gravity, FocusPoint):
        return geometry.place_around(size, window, gravity)
    if gravity is Anchor.SMART:
        smart = place_smart if smart_faces else place_salient
        return smart(opaque(decoded, transform), window)
    if gravity is Anchor.FACE:
        return place_faces(opaque(decoded, transform), window)
    return geometry.place_aligned(size, window, geometry.ALIGNMENT[gravity])


def _faces(shown: Pixels, window: Box, transform: Transform, *, smart_faces: bool) -> list[Box]:
    """Give the faces that had a say in where to cut."""
    if transform.mode is Mode.FIT:
        return []
    if transform.gravity is Anchor.FACE:
        return find_faces(shown)
    if transform.gravity is Anchor.SMART and smart_faces:
        return glimpse_faces(shown, Size(window.width, window.height))
    return []


def opaque(decoded: Pixels, transform: Transform) -> Pixels:
    """Lay what is transparent on the background."""
    return pixels.lay_on(decoded, transform.background or _WHITE)


def _format(frames: Frames, transform: Transform) -> Format:
    """Choose the format by what the picture turned out to be."""
    formats = transform.formats
    if len(frames.pixels) > 1 and formats.animated:
        return formats.animated
    return formats.transparent if pixels.has_alpha(frames.first) else formats.opaque


def _steps(
    picture: Picture, transform: Transform, wanted: Format
) -> list[Callable[[Pixels], Pixels]]:
    """Give what is to be done to the picture once it has its size."""
    steps: list[Callable[[Pixels], Pixels]] = []
    if picture.profile:  # last, since fewer pixels are left
        steps.append(lambda frame: pixels.to_srgb(frame, picture.profile))
    if transform.background or wanted is Format.JPEG:
        steps.append(lambda frame: opaque(frame, transform))
    if transform.blur:
        steps.append(lambda frame: pixels.blur(frame, transform.blur))
    if transform.sharpen:
        steps.append(lambda frame: pixels.sharpen(frame, transform.sharpen))
    return steps
