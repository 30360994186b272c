"""Small pictures whose headers claim to be large."""

from __future__ import annotations

import struct
from collections.abc import Callable

from tests.support.mutations import with_checksums
from tests.support.pictures import photo

SIDE = 65_000
"""Pixels: a square of that is four gigapixels."""


def claiming(form: str, width: int, height: int) -> bytes:
    """Give a small picture whose header claims another size."""
    body = bytearray(photo(form="PNG" if form == "ICO" else form))
    if form in {"PNG", "ICO"}:
        struct.pack_into(">II", body, 16, width, height)
        png = with_checksums(bytes(body))
        return png if form == "PNG" else icon_of(png)
    for offset, layout, value in _FIELDS[form](body, width, height):
        struct.pack_into(layout, body, offset, *value)
    return bytes(body)


def icon_of(png: bytes) -> bytes:
    """Give an icon that holds a picture."""
    return (
        b"\x00\x00\x01\x00\x01\x00" + struct.pack("<BBBxHHII", 0, 0, 0, 1, 32, len(png), 22) + png
    )


_Field = tuple[int, str, tuple[int, ...]]
"""Offset, layout and values."""


def _tiff_fields(body: bytearray, width: int, height: int) -> list[_Field]:
    (directory,) = struct.unpack_from("<I", body, 4)
    (count,) = struct.unpack_from("<H", body, directory)
    places = {
        struct.unpack_from("<H", body, place)[0]: place + 2
        for place in range(directory + 2, directory + 2 + 12 * count, 12)
    }
    return [(places[256], "<HII", (4, 1, width)), (places[257], "<HII", (4, 1, height))]


_FIELDS: dict[str, Callable[[bytearray, int, int], list[_Field]]] = {
    "BMP": lambda _, *size: [(18, "<ii", size)],
    "JPEG": lambda body, w, h: [(body.index(b"\xff\xc0") + 5, ">HH", (h, w))],
    "AVIF": lambda body, *size: [(body.index(b"ispe") + 8, ">II", size)],
    "WEBP": lambda body, *size: [(body.index(b"\x9d\x01\x2a") + 3, "<HH", size)],
    "GIF": lambda body, *size: [
        (6, "<HH", size),
        (body.index(b"\x2c\x00\x00\x00\x00") + 5, "<HH", size),
    ],
    "TIFF": _tiff_fields,
}
