"""What lies in an icon file: a directory of pictures, each a PNG or a bitmap without its header.

Only the largest is of interest. Pillow decodes a PNG in an icon to learn its size; read here, it
is counted before that, and decoded as any other PNG.
"""

from __future__ import annotations

import struct

from micropic.domain.model import Size
from micropic.imaging.kinds import PNG_SIGNATURE

_HEAD = struct.Struct("<HHH")
"""Reserved, type (1: icon), number of entries."""
_ENTRY = struct.Struct("<BBBxHHII")
"""Width, height (0: 256), colours, planes, bits a pixel, length, offset."""
_BITMAP = struct.Struct("<Iii")
"""BITMAPINFOHEADER: its length, the width, and the height of picture and mask together."""


def largest(data: bytes | memoryview) -> memoryview:
    """Give the bytes of the picture that covers most, from its beginning on.

    Raises:
        struct.error, ValueError: the directory is damaged or empty.

    """
    _, _, count = _HEAD.unpack_from(data)
    entries = [_ENTRY.unpack_from(data, _HEAD.size + n * _ENTRY.size) for n in range(count)]
    # Among equals the deepest, as Pillow chooses.
    chosen = max(entries, key=lambda entry: ((entry[0] or 256) * (entry[1] or 256), entry[4]))
    return memoryview(data)[chosen[-1] :]


def is_png(picture: memoryview) -> bool:
    """Tell a PNG from a bitmap."""
    return picture[: len(PNG_SIGNATURE)] == PNG_SIGNATURE


def bitmap_size(picture: memoryview) -> Size:
    """Read a bitmap's size.

    Raises:
        struct.error, ValueError: it has none.

    """
    _, width, height = _BITMAP.unpack_from(picture)
    if width <= 0 or abs(height) < 2:  # noqa: PLR2004 # a row of the picture and one of its mask
        raise ValueError
    return Size(width, abs(height) // 2)
