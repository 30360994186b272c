"""JPEG, by libjpeg-turbo."""

from __future__ import annotations

import contextlib
import re

import numpy as np
import numpy.typing as npt
import pyvips
import simplejpeg

from micropic.domain.geometry import displayed
from micropic.domain.model import Size
from micropic.imaging import icc, jpeg_header, progressive
from micropic.imaging.jpeg_header import Header
from micropic.imaging.kinds import Kind, no_memory
from micropic.imaging.pixels import Pixels, by_profile, upright
from micropic.imaging.probe import Picture, broken, load

_HARMLESS = [
    re.compile(r"extraneous bytes before marker 0x(?!d[0-7])"),  # more than the picture needs
    re.compile(r"Invalid SOS parameters for sequential JPEG"),  # they say nothing there
    re.compile(r"Inconsistent progression sequence"),  # an odd order of scans
    re.compile(r"unknown JFIF revision number"),  # `tidy` mends this and what follows
    re.compile(r"Unknown Adobe color transform code"),
    re.compile(r"bad ICC marker"),
]
"""What libjpeg warns of (jerror.h, JWRN_*) that hides no part of the picture.

The others do: `premature end of data segment`, `bad Huffman code`, `bad arithmetic code`,
`found marker 0x.. instead of RST.`, and extraneous bytes before a restart marker, which are the
data of an interval whose own marker is lost.
"""
_NO_END = re.compile(r"[Pp]remature end of JPEG")
"""What libjpeg (`file`) and libvips (`image`) say if data is missing, or the end marker alone."""
_NO_MEMORY = "Insufficient memory"
"""What libjpeg says, as of damage (jerror.h, JERR_OUT_OF_MEMORY)."""
_ONLY_AT_END = "extraneous bytes before marker 0xd9"
_END = re.compile(rb"\xff\xd9")
_EIGHTHS = range(1, 9)
_GREY, _CMYK = 1, 4
_SPACES = {_GREY: b"GRAY", _CMYK: b"CMYK"}
_SHRINKS = {8: 1, 4: 2, 2: 4, 1: 8}
"""Eighths to what libvips shrinks by while it decodes."""


def decode(data: bytes | memoryview, picture: Picture, minimum: Size) -> Pixels:
    """Decode at the smallest scale (1/8 to 8/8) that is at least `minimum`, upright.

    Raises:
        BrokenImage: the data is damaged or incomplete.
        TooMuchMemory: it took more than the process may have.

    """
    assert picture.jpeg is not None, "a JPEG's picture comes from its header"  # noqa: S101
    stored = displayed(minimum, picture.orientation)
    scale = least_scale(picture.stored, stored)
    size = scaled(picture.stored, scale)
    if not (picture.jpeg.complete or picture.jpeg.frame.arithmetic):
        data = jpeg_header.tidy(data, picture.jpeg)
    try:
        pixels = _read(progressive.shown(data, picture.jpeg, scale), picture.jpeg, size)
    except ValueError as error:
        if _NO_MEMORY in str(error):
            raise no_memory() from error
        pixels = _second_look(data, picture.jpeg, size, error)
    pixels = _within(pixels, picture.stored, scale, stored)
    return upright(_to_rgb(pixels, picture), picture.orientation)


def least_scale(stored: Size, minimum: Size) -> int:
    """Give the smallest scale, in eighths, that is at least `minimum`."""
    for scale in _EIGHTHS:
        width, height = scaled(stored, scale)
        if width >= minimum.width and height >= minimum.height:
            return scale
    return _EIGHTHS[-1]


def scaled(stored: Size, scale: int) -> Size:
    """Give the size of a picture at a scale in eighths."""
    return Size(-(-stored.width * scale // 8), -(-stored.height * scale // 8))


def _within(pixels: Pixels, stored: Size, scale: int, minimum: Size) -> Pixels:
    """Leave out a last row and column that lie partly outside of the picture, if it can do without.

    What libjpeg makes up there is the lesser harm: such a row counts as much as a whole one, so
    the picture would be stretched by up to a pixel.
    """
    if pixels.shape[:2] != scaled(stored, scale)[::-1]:
        return pixels
    height = max(stored.height * scale // 8, minimum.height)
    return pixels[:height, : max(stored.width * scale // 8, minimum.width)]


def _second_look(
    data: bytes | memoryview, header: Header, size: Size, complaint: ValueError
) -> Pixels:
    """Show what browsers show, though libjpeg complained; it tells of its first complaint only.

    What is easily mended is mended: what stands before the data, a missing end marker. If it
    is picture data that is missing, libjpeg meets the new end marker too soon, and says so; but
    arithmetic decoding has no such word (jdarith.c reads zeros past the end).

    Raises:
        BrokenImage: picture data is damaged or missing.

    """
    lacks_end = bool(_NO_END.search(str(complaint))) and not header.frame.arithmetic
    if not (lacks_end or _is_harmless(str(complaint))):
        raise broken(Kind.JPEG) from complaint
    mended = jpeg_header.tidy(data, header)
    try:
        return _read(mended, header, size)
    except ValueError as error:
        # A complaint hides those after it: without an end marker also that data is missing, unless
        # it comes at the very end.
        ended = _ONLY_AT_END in str(error) or _END.search(data, header.sos)
        if not (_is_harmless(str(error)) and ended):
            raise broken(Kind.JPEG) from error
    try:
        return _read(mended, header, size, strict=False)
    except ValueError as error:
        raise broken(Kind.JPEG) from error


def _is_harmless(complaint: str) -> bool:
    return any(pattern.search(complaint) for pattern in _HARMLESS)


def _read(data: bytes | memoryview, header: Header, size: Size, *, strict: bool = True) -> Pixels:
    """Decode to `size` or more, as it is stored: H x W x 4 inks for CMYK, otherwise RGB.

    Raises:
        ValueError: libjpeg's first complaint; if not `strict`, only what keeps it from going on.

    """
    if not header.usual:
        return _read_unusual(data, header, size, strict=strict)
    pixels: Pixels = simplejpeg.decode_jpeg(
        data,
        colorspace="CMYK" if len(header.frame.components) == _CMYK else "RGB",
        min_width=size.width,
        min_height=size.height,
        min_factor=1,
        strict=strict,
    )
    return pixels


def _read_unusual(data: bytes | memoryview, header: Header, size: Size, *, strict: bool) -> Pixels:
    """Decode, for what TurboJPEG refuses, by libvips' libjpeg.

    What is missing of the last row of blocks alone is not noticed: libvips asks for complaints
    before each line, not after the last.

    Raises:
        ValueError: libjpeg's worst complaint.

    """
    pyvips.vips_lib.vips_error_clear()  # its threads leave some of the last picture's there
    stored = header.frame.size
    scale = min(scale for scale in _SHRINKS if scaled(stored, scale).width >= size.width
                and scaled(stored, scale).height >= size.height)  # fmt: skip
    shrink = _SHRINKS[scale]
    fail_on = pyvips.FailOn.WARNING if strict else pyvips.FailOn.ERROR
    try:
        image = load(data, Kind.JPEG, shrink=shrink, fail_on=fail_on)
        pixels: Pixels = image.numpy()
    except pyvips.Error as error:
        lines = str(error).splitlines()
        told = [line for line in lines if "VipsJpeg: " in line] or lines
        worst = next((line for line in told if not _is_harmless(line)), told[0])
        raise ValueError(worst) from error
    if image.bands == _CMYK:
        return 255 - pixels  # libvips undoes the inversion
    return pixels if image.bands > 1 else pixels.reshape(*pixels.shape[:2], 1).repeat(3, axis=2)


def _to_rgb(pixels: Pixels, picture: Picture) -> Pixels:
    """Bring inks to RGB, and greys with a profile; a profile for RGB is left to be applied."""
    assert picture.jpeg is not None  # noqa: S101
    count = len(picture.jpeg.frame.components)
    if icc.space(picture.managed) == _SPACES.get(count):
        with contextlib.suppress(pyvips.Error):  # a damaged one counts as none
            if count == _GREY:
                return by_profile(pixels[..., :1], picture.managed, pyvips.Interpretation.B_W)
            return by_profile(255 - pixels, picture.managed, pyvips.Interpretation.CMYK)
    return _from_cmyk(pixels) if count == _CMYK else pixels


def _from_cmyk(inks: npt.NDArray[np.uint8]) -> Pixels:
    """Lay the inks over each other as browsers do: stored inverted, as Adobe does, no profile."""
    light = inks[..., :3].astype(np.uint16) * inks[..., 3:]
    return ((light + 127) // 255).astype(np.uint8)
