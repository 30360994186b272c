"""The fast path: JPEG by libjpeg-turbo."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt
import simplejpeg

from micropic.domain.geometry import displayed
from micropic.domain.model import Size
from micropic.imaging import jpeg_header, progressive
from micropic.imaging.jpeg_header import Header
from micropic.imaging.kinds import Kind
from micropic.imaging.pixels import Pixels, upright
from micropic.imaging.probe import Picture, broken

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
_NO_END = "Premature end of JPEG file"
"""libjpeg's word for both: data is missing, or the end marker alone."""
_ONLY_AT_END = "extraneous bytes before marker 0xd9"
_END = re.compile(rb"\xff\xd9")
_EIGHTHS = range(1, 9)
_CMYK = 4


def decode(data: bytes | memoryview, picture: Picture, minimum: Size) -> Pixels:
    """Decode at the smallest scale (1/8 to 8/8) that is at least `minimum`, upright.

    Raises:
        BrokenImage: the data is damaged or incomplete.

    """
    assert picture.jpeg is not None, "a JPEG's picture comes from its header"  # noqa: S101
    stored = displayed(minimum, picture.orientation)
    scale = least_scale(picture.stored, stored)
    size = scaled(picture.stored, scale)
    if not picture.jpeg.complete:
        data = jpeg_header.tidy(data, picture.jpeg)
    try:
        pixels = _read(progressive.shown(data, picture.jpeg, scale), picture.jpeg, size)
    except ValueError as error:
        pixels = _second_look(data, picture.jpeg, size, error)
    return upright(pixels, picture.orientation)


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
    lacks_end = _NO_END in str(complaint) and not header.frame.arithmetic
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
    """Decode to `size`, as it is stored.

    Raises:
        ValueError: libjpeg's first complaint; if not `strict`, only what keeps it from going on.

    """
    cmyk = len(header.frame.components) == _CMYK
    pixels: Pixels = simplejpeg.decode_jpeg(
        data,
        colorspace="CMYK" if cmyk else "RGB",
        min_width=size.width,
        min_height=size.height,
        min_factor=1,
        strict=strict,
    )
    return _from_cmyk(pixels) if cmyk else pixels


def _from_cmyk(inks: npt.NDArray[np.uint8]) -> Pixels:
    """Lay the inks over each other as browsers do: stored inverted, as Adobe does, no profile."""
    light = inks[..., :3].astype(np.uint16) * inks[..., 3:]
    return ((light + 127) // 255).astype(np.uint8)
