"""What belongs to one kind of picture alone; and files that are two things at once."""

from __future__ import annotations

import base64
import gzip
import io
import struct
import zlib

from PIL import Image

from tests.hostile.cases.base import BROKEN, NO_IMAGE, PAYLOAD, PHOTO, SHOWN, TOO_MANY_PIXELS
from tests.hostile.cases.pictures import blank_png, png_chunk, row
from tests.support.claims import SIDE, claiming, icon_of
from tests.support.drawings import ENTITIES, HUGE, LAUGHS, references
from tests.support.mutations import with_checksums
from tests.support.pictures import SVG, drawing, encode, photo

# --- one kind's own --------------------------------------------------------------------------


def _scans(count: int) -> bytes:
    """Give a progressive JPEG whose last scan stands in it again and again."""
    body = encode(Image.open(io.BytesIO(PHOTO)), "JPEG", progressive=True)
    start = body.rindex(b"\xff\xda")
    return body[:start] + body[start:-2] * count + body[-2:]


def _segments(name: bytes, data: bytes, count: int = 1) -> bytes:
    """Put segments into a JPEG behind its first marker."""
    return (
        PHOTO[:2] + (b"\xff" + name + struct.pack(">H", len(data) + 2) + data) * count + PHOTO[2:]
    )


def _exif(*entries: tuple[int, int, int, int], following: int = 0) -> bytes:
    directory = struct.pack("<H", len(entries))
    for entry in entries:
        directory += struct.pack("<HHII", *entry)
    return b"Exif\0\0II*\0" + struct.pack("<I", 8) + directory + struct.pack("<I", following)


def _png_with(name: bytes, data: bytes, count: int = 1) -> bytes:
    body = photo(64, 48, "PNG")
    return body[:33] + png_chunk(name, data) * count + body[33:]


def _icc_bomb() -> bytes:
    return b"p\0\0" + zlib.compress(bytes(200 * 1024**2), 9)


def _profile(size: int, tags: int) -> bytes:
    head = bytearray(128)
    struct.pack_into(">I", head, 0, size)
    head[8:24] = b"\x02\x10\0\0mntrRGB XYZ "
    head[36:40] = b"acsp"
    return bytes(head) + struct.pack(">I", tags) + b"desc\xff\xff\xff\xf0\xff\xff\xff\xf0"


_SCRIPT = b"<html><script>" + PAYLOAD + b"</script>"


def _tiff_loop() -> bytes:
    """Give a TIFF whose directory is followed by itself."""
    body = bytearray(photo(form="TIFF"))
    (place,) = struct.unpack_from("<I", body, 4)
    (count,) = struct.unpack_from("<H", body, place)
    struct.pack_into("<I", body, place + 2 + 12 * count, place)
    return bytes(body)


def _tiff_tiles() -> bytes:
    """Give a TIFF in tiles of 2^31 - 16 pixels a side."""
    tags = [(256, 64), (257, 64), (258, 8), (259, 1), (262, 1), (277, 1),
            (322, 2**31 - 16), (323, 2**31 - 16), (324, 8), (325, 4096)]  # fmt: skip
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + bytes(4096)


def _rle_bitmap() -> bytes:
    """Give a BMP whose coded rows end at once."""
    head = struct.pack("<IiiHHIIiiII", 40, 3900, 3900, 1, 8, 1, 4, 0, 0, 1, 0)
    return b"BM" + struct.pack("<IHHI", 62, 0, 0, 58) + head + bytes(4) + b"\0\1\0\1"


def _bitmap_palette() -> bytes:
    head = struct.pack("<IiiHHIIiiII", 40, 64, 64, 1, 8, 0, 0, 0, 0, 2**31, 0)
    return b"BM" + struct.pack("<IHHI", 9999, 0, 0, 54) + head + bytes(999)


def _gif_frame(width: int, height: int) -> bytes:
    frame = struct.pack("<HHHHB", 0, 0, width, height, 0)
    return b"GIF89a\x08\0\x08\0\x80\0\0" + bytes(6) + b"\x2c" + frame + b"\x02\x02\x44\x01\0\x3b"


def _webp_chunk() -> bytes:
    body = bytearray(photo(form="WEBP"))
    struct.pack_into("<I", body, 16, 0xFFFFFFF0)
    return bytes(body)


def _deep_boxes() -> bytes:
    body = b""
    for _ in range(10_000):
        body = struct.pack(">I4s", len(body) + 8, b"meta") + body
    return photo(form="AVIF")[:32] + body


_JPEG_PROFILE = b"ICC_PROFILE\0\1\1"
_OWN = [
    row("JPEG of 101 scans", "each a pass over it", BROKEN, _scans(101)),
    row("JPEG of 500 scans", "each a pass over it", BROKEN, _scans(500)),
    row("JPEG, 900 comments", "of 60 bytes", SHOWN, _segments(b"\xfe", PAYLOAD * 5, 900)),
    row("JPEG, 100,000 segments", "empty ones", BROKEN, _segments(b"\xfe", b"", 100_000)),
    row("JPEG, fill bytes", "half a MiB of them", SHOWN, PHOTO[:2] + b"\xff" * 500_000 + PHOTO[2:]),
    row("JPEG of no height", "0 in its frame", BROKEN, claiming("JPEG", 320, 0)),
    row("JPEG of no width", "0 in its frame", BROKEN, claiming("JPEG", 0, 240)),
    row("EXIF: orientation 9", "there are eight", SHOWN, _segments(b"\xe1", _exif((0x112, 3, 1, 9)))),
    row("EXIF: orientation 65,535", "there are eight", SHOWN, _segments(b"\xe1", _exif((0x112, 3, 1, 65535)))),
    row("EXIF: a loop", "its directory leads to itself", SHOWN, _segments(b"\xe1", _exif((0x112, 3, 1, 6), following=8))),
    row("EXIF: another loop", "its Exif tag leads back", SHOWN, _segments(b"\xe1", _exif((0x8769, 4, 1, 8)))),
    row("EXIF: 4 billion values", "of one tag", SHOWN, _segments(b"\xe1", _exif((0x112, 3, 0xFFFFFFFF, 8)))),
    row("EXIF: far outside", "its directory", SHOWN, _segments(b"\xe1", b"Exif\0\0II*\0\xff\xff\xff\xff")),
    row("EXIF: a page", "in its comment", SHOWN, _segments(b"\xe1", b"Exif\0\0" + _SCRIPT)),
    row("XMP", "60 kB of entities", SHOWN, _segments(b"\xe1", b"http://ns.adobe.com/xap/1.0/\0" + ENTITIES.encode() * 100)),
    row("ICC: a tag far outside", "in a JPEG", SHOWN, _segments(b"\xe2", _JPEG_PROFILE + _profile(152, 1))),
    row("ICC: 4 billion tags", "in a JPEG", SHOWN, _segments(b"\xe2", _JPEG_PROFILE + _profile(152, 0xFFFFFFFF))),
    row("ICC: parts 255 of 1", "in a JPEG", SHOWN, _segments(b"\xe2", b"ICC_PROFILE\0\xff\1" + _profile(152, 1), 300)),
    row("ICC: 200 MiB", "in a PNG of 200 kB", SHOWN, _png_with(b"iCCP", _icc_bomb())),
    row("PNG: text of 200 MiB", "zTXt", SHOWN, _png_with(b"zTXt", b"p\0\0" + _icc_bomb()[3:])),
    row("PNG: 50,000 chunks", "of text", SHOWN, _png_with(b"tEXt", b"a\0b", 50_000)),
    row("PNG: a chunk of 2 GiB", "says its length", BROKEN, photo(64, 48, "PNG")[:33] + b"\x7f\xff\xff\xffIDAT"),
    row("PNG: no palette", "of a kind with one", BROKEN, with_checksums(blank_png(64).replace(b"\0\0\0@\0\0\0@\1\0", b"\0\0\0@\0\0\0@\x08\3"))),
    row("PNG: a wrong sum", "of its data", BROKEN, photo(64, 48, "PNG").replace(b"IDAT", b"IDAU")),
    row("PNG: too much data", "200 MiB past its end", SHOWN, photo(64, 48, "PNG") + gzip.compress(bytes(9999))),
    row("TIFF: a loop", "its directory leads to itself", BROKEN, _tiff_loop()),
    row("TIFF: directory far outside", "offset 2^32 - 1", BROKEN, b"II*\0\xff\xff\xff\xff" + bytes(99)),
    row("TIFF: 65,535 tags", "that are not there", BROKEN, b"II*\0\x08\0\0\0\xff\xff" + bytes(99)),
    row("TIFF: tiles of 2^31", "more than there is", BROKEN, _tiff_tiles()),
    row("ICO of 65,535 pictures", "that are not there", BROKEN, b"\0\0\1\0\xff\xff" + bytes(999)),
    row("ICO in an ICO", "an icon as a picture", BROKEN, icon_of(icon_of(photo(48, 48, "PNG")))),
    row("ICO far outside", "offset 2^32 - 1", BROKEN, b"\0\0\1\0\1\0" + struct.pack("<BBBxHHII", 0, 0, 0, 1, 32, 99, 0xFFFFFFFF)),
    row("BMP: RLE bomb", "15 megapixels in 60 bytes", BROKEN, _rle_bitmap()),
    row("BMP: a palette of 2^31", "more than there is", BROKEN, _bitmap_palette()),
    row("GIF: no frame", "ends after its header", BROKEN, b"GIF89a\x08\0\x08\0\0\0\0\x3b"),
    row("GIF: a frame of nothing", "0 x 0", SHOWN, _gif_frame(0, 0)),
    row("GIF: a frame outside", "of 60,000 x 60,000", TOO_MANY_PIXELS, _gif_frame(60_000, 60_000)),
    row("WebP: a chunk of 4 GiB", "says its length", BROKEN, _webp_chunk()),
    row("AVIF: boxes in boxes", "10,000 deep", BROKEN, _deep_boxes()),
    row("AVIF: a box of 2^63", "says its length", BROKEN, photo(form="AVIF")[:32] + b"\0\0\0\1meta\x7f" + bytes(99)),
]  # fmt: skip

# --- two things at once ----------------------------------------------------------------------

_TAILS = {
    "a page": _SCRIPT,
    "a ZIP": b"PK\x03\x04" + PAYLOAD + b"PK\x05\x06" + bytes(18),
    "PHP": b"<?php system('" + PAYLOAD + b"') ?>",
    "a JPEG": PHOTO + PAYLOAD,
}
_POLYGLOTS = [
    *(row(f"{form} and {name}", "behind its end", SHOWN, photo(form=form) + tail)
      for form in ("JPEG", "PNG", "GIF", "WEBP") for name, tail in _TAILS.items()),
    row("GIF and a script", "a comment in its size", BROKEN, b"GIF89a/*" + PHOTO[8:] + b"*/=1;" + PAYLOAD),
    row("a page and a JPEG", "before its beginning", NO_IMAGE, _SCRIPT + PHOTO),
    row("BMP and a script", "behind its size", SHOWN, b"BM/*" + photo(form="BMP")[4:] + b"*/=1;" + PAYLOAD),
]  # fmt: skip

# --- drawings --------------------------------------------------------------------------------

_FILTERED = '<rect filter="url(#f)" width="64" height="48"/>'


def _image_of(body: bytes, kind: str = "png") -> str:
    inner = base64.b64encode(body).decode()
    return f'<image width="64" height="48" href="data:image/{kind};base64,{inner}"/>'


def _nested(depth: int) -> bytes:
    body = SVG
    for _ in range(depth):
        body = drawing(_image_of(body, "svg+xml"))
    return body


_ELSEWHERE = {
    "a file": "file:///etc/passwd",
    "a file by its name": "/etc/hostname",
    "metadata": "http://169.254.169.254/latest/meta-data/",
}
_DRAWINGS = [
    row("SVG: deep", "100,000 groups", BROKEN, drawing("<g>" * 100_000 + "</g>" * 100_000)),
    row("SVG: a billion laughs", "entities", BROKEN, drawing("<text>&a9;</text>", before=ENTITIES)),
    row("SVG: a billion uses", "references", BROKEN, drawing(LAUGHS)),
    row("SVG: an outside entity", "file:///etc/passwd", BROKEN, drawing("<text>&a;</text>", before='<!DOCTYPE svg [<!ENTITY a SYSTEM "file:///etc/passwd">]>')),
    row("SVG: an outside DTD", "of a server", SHOWN, drawing("<rect/>", before='<!DOCTYPE svg SYSTEM "http://169.254.169.254/a.dtd">')),
    row("SVG: a use of itself", "a circle", SHOWN, drawing('<g id="a"><use xlink:href="#a"/></g>')),
    row("SVG: a huge blur", "stdDeviation 1e6", SHOWN, drawing(f'<filter id="f" {HUGE}><feGaussianBlur stdDeviation="1e6"/></filter>{_FILTERED}')),
    row("SVG: a million octaves", "feTurbulence", SHOWN, drawing(f'<filter id="f"><feTurbulence numOctaves="1000000"/></filter>{_FILTERED}')),
    row("SVG: a million dashes", "stroke-dasharray", SHOWN, drawing('<path d="M0 0H1e6" stroke="red" stroke-dasharray="1e-3"/>')),
    row("SVG: infinite", "coordinates 1e999", SHOWN, drawing('<path d="M0 0L1e999 nan" stroke="red"/>')),
    row("SVG: of no size", "width 0", BROKEN, drawing("<rect/>", 'width="0" height="0"')),
    row("SVG: of size 1e9", "width and height", BROKEN, drawing("<rect/>", 'width="1e9" height="1e9"')),
    row("SVG: a huge picture in it", "4 gigapixels", TOO_MANY_PIXELS, drawing(_image_of(claiming("PNG", SIDE, SIDE)))),
    row("SVG: drawings in it", "three deep", SHOWN, _nested(2)),
    row("SVG: drawings in it", "twenty deep", BROKEN, _nested(20)),
    row("SVG: a script", "in it", SHOWN, drawing("<script>" + PAYLOAD.decode() + "</script><rect/>")),
    row("SVG: a handler", "onload", SHOWN, drawing("<rect/>", 'width="64" height="48" onload="alert(1)"')),
    *(row(f"SVG: {name}", f"by reference {number}", SHOWN, drawing(inner))
      for name, url in _ELSEWHERE.items() for number, inner in enumerate(references(url))),
]  # fmt: skip

CASES = [*_OWN, *_POLYGLOTS, *_DRAWINGS]
