"""What a body claims to be, from its first bytes: enough to schedule its render by.

No codec is loaded here, and nothing is checked: the render process does (`probe`).
"""

from __future__ import annotations

import struct

from micropic.domain import cost
from micropic.domain.errors import NotAnImage
from micropic.domain.model import Size, Transform
from micropic.imaging import webp_header
from micropic.imaging.kinds import SNIFFED, Kind, sniff

_MOST_SEGMENTS = 64
_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = frozenset({0xC2, 0xCA})
_PIXELS_PER_BYTE = {Kind.AVIF: 8.0, Kind.SVG: 8.0, Kind.TIFF: 0.5}
"""Of kinds whose size lies deeper in the file; rather too many."""
_FRAME_BYTES_PER_PIXEL = 0.5
"""Of an animation; GIF takes up to 1.1, and of frames that change little much less."""
_MOST_FRAMES = 100


def estimate(body: bytes | bytearray, transform: Transform) -> float:
    """Estimate the cost of a render (`cost.estimate`), in seconds."""
    source = claimed(body)
    return cost.estimate(source, transform) if source else cost.unknown(transform)


def claimed(body: bytes | bytearray) -> cost.Source | None:
    """Read the header; None: no image, or a damaged one."""
    try:
        kind = sniff(bytes(body[:SNIFFED]))
        if kind is Kind.JPEG:
            return _jpeg(body)
        size = _size(kind, body)
    except (NotAnImage, ValueError, struct.error):
        return None
    if min(size) < 1:
        return None
    return cost.Source(kind, size, _frames(kind, size, len(body)))


def _size(kind: Kind, body: bytes | bytearray) -> Size:
    if kind is Kind.PNG:
        return Size(*struct.unpack_from(">II", body, 16))
    if kind is Kind.GIF:
        return Size(*struct.unpack_from("<HH", body, 6))
    if kind is Kind.WEBP:
        return webp_header.size(bytes(body[:32]))
    if kind is Kind.BMP:
        width, height = struct.unpack_from("<ii", body, 18)
        return Size(abs(width), abs(height))
    side = round((len(body) * _PIXELS_PER_BYTE.get(kind, 1.0)) ** 0.5)
    return Size(side, side)


def _frames(kind: Kind, size: Size, length: int) -> int:
    if kind not in {Kind.GIF, Kind.WEBP}:
        return 1
    frames = length / (_FRAME_BYTES_PER_PIXEL * size.width * size.height)
    return max(1, min(_MOST_FRAMES, round(frames)))


def _jpeg(body: bytes | bytearray) -> cost.Source | None:
    place = 2
    for _ in range(_MOST_SEGMENTS):
        prefix, marker, length = struct.unpack_from(">BBH", body, place)
        if prefix != 0xFF:  # noqa: PLR2004 # ITU-T T.81, B.1.1.2
            return None
        if marker in _START_OF_FRAME:
            height, width = struct.unpack_from(">HH", body, place + 5)
            kind = cost.PROGRESSIVE_JPEG if marker in _PROGRESSIVE else Kind.JPEG
            return cost.Source(kind, Size(width, height)) if width and height else None
        place += 2 + length
    return None
