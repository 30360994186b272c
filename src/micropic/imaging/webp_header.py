"""What the first chunk of a WebP says of its size (RFC 9649, sections 2.5 to 2.7).

libvips tells it, too, but takes the memory of a whole frame for it, and fills that, for as long as
some hundredths of the scaled decode.
"""

from __future__ import annotations

from micropic.domain.model import Size

_FIRST = 12
"""Where the first chunk begins, behind `RIFF`, a length and `WEBP`."""
_BODY = 20
"""Where what is in it begins."""
_LOSSLESS = 0x2F
_START_CODE = b"\x9d\x01\x2a"
_BITS_14, _BITS_24 = (1 << 14) - 1, (1 << 24) - 1


def size(data: bytes | memoryview) -> Size:
    """Give the size of the canvas, in pixels.

    Raises:
        ValueError: it is not said where it should be.

    """
    chunk, body = bytes(data[_FIRST : _FIRST + 4]), bytes(data[_BODY : _BODY + 10])
    if len(body) == 10:  # noqa: PLR2004
        if chunk == b"VP8X":
            flags = int.from_bytes(body[4:], "little")
            return Size((flags & _BITS_24) + 1, (flags >> 24) + 1)
        if chunk == b"VP8L" and body[0] == _LOSSLESS:
            sides = int.from_bytes(body[1:5], "little")
            return Size((sides & _BITS_14) + 1, (sides >> 14 & _BITS_14) + 1)
        if chunk == b"VP8 " and body[3:6] == _START_CODE:
            sides = int.from_bytes(body[6:], "little")
            return Size(sides & _BITS_14, sides >> 16 & _BITS_14)
    msg = "no size"
    raise ValueError(msg)
