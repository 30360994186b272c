"""Bodies that are no pictures, half of one, two things at once, or far too much."""

from __future__ import annotations

import gzip
import struct
import zlib

from PIL import Image

from tests.hostile.cases.base import (
    BROKEN,
    FAILED,
    NO_IMAGE,
    PAYLOAD,
    PHOTO,
    SHOWN,
    TOO_MANY_PIXELS,
    Case,
    shows,
)
from tests.support.claims import SIDE, claiming
from tests.support.pictures import FORMATS, SVG, animation, drawing, encode, photo


def row(name: str, does: str, expected: str, body: bytes, options: str = "") -> Case:
    """Give the case of an origin that sends such a body."""
    return Case(name, does, expected, shows(body), options=options)


# --- no pictures -----------------------------------------------------------------------------

_SCRIPT = b"<html><script>" + PAYLOAD + b"</script>"
_OTHER_THINGS = {
    "a page": _SCRIPT,
    "a script": b"alert('" + PAYLOAD + b"')",
    "PHP": b"<?php system('" + PAYLOAD + b"') ?>",
    "XML": b"<?xml version='1.0'?><a/>",
    "JSON": b'{"a": 1}',
    "a PDF": b"%PDF-1.7\n" + bytes(999),
    "a PDF that is a JPEG, too": b"%PDF-1.7\n" + PHOTO,
    "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n",
    "a ZIP": b"PK\x03\x04" + bytes(999),
    "gzip": gzip.compress(PHOTO),
    "SVG in gzip": gzip.compress(SVG),
    "a Windows program": b"MZ" + bytes(999),
    "a Linux program": b"\x7fELF" + bytes(999),
    "WebAssembly": b"\0asm\1\0\0\0",
    "a video": b"\0\0\0\x18ftypmp42" + bytes(999),
    "Matroska": b"\x1a\x45\xdf\xa3" + bytes(999),
    "HEIC": b"\0\0\0\x18ftypheic" + bytes(999),
    "JPEG XL": b"\xff\x0a" + bytes(999),
    "JPEG 2000": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(999),
    "Photoshop": b"8BPS" + bytes(999),
    "OpenEXR": b"\x76\x2f\x31\x01" + bytes(999),
    "MVG": b"push graphic-context\nimage over 0,0 0,0 'https://evil.example/'",
    "MSL": b"<image><read filename='/etc/passwd'/></image>",
    "PPM": b"P6 1 1 255 aaa",
    "FITS": b"SIMPLE  =                    T",
    "a byte": b"\0",
    "blanks": b" " * 9999,
    "NULs": bytes(9999),
}
_NO_PICTURES = [
    *(row(name, f"{body[:20]!r}", NO_IMAGE, body) for name, body in _OTHER_THINGS.items()),
    row("nothing", "an empty body", FAILED, b""),
    Case("a page called a picture", "image/jpeg", NO_IMAGE, shows(_SCRIPT, b"Content-Type: image/jpeg")),
]  # fmt: skip

# --- damage ----------------------------------------------------------------------------------


def _corrupt(body: bytes) -> bytes:
    return body[:16] + b"\xff" * 64 + body[80:]


_DAMAGED = [
    *(row(f"{form} cut short", "3,000 bytes", BROKEN, photo(form=form)[:-3000]) for form in FORMATS),
    *(row(f"{form} in its first bytes", "20 of them", BROKEN, photo(form=form)[:20]) for form in FORMATS if form != "AVIF"),
    *(row(f"{form} corrupt", "64 bytes at 16", BROKEN, _corrupt(photo(form=form))) for form in ("PNG", "WEBP", "AVIF", "TIFF", "ICO")),
    *(Case(f"{form} called a page", "text/html", SHOWN, shows(photo(form=form), b"Content-Type: text/html")) for form in FORMATS),
    row("SVG cut short", "an open element", BROKEN, SVG[:-6]),
]  # fmt: skip

# --- more pixels or frames than anybody wants ------------------------------------------------


def blank_png(side: int) -> bytes:
    """Give a black PNG of one bit a pixel."""
    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    data = zlib.compress(bytes((side + 7) // 8 + 1) * side, 9)
    chunks = (b"IHDR", head), (b"IDAT", data), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*each) for each in chunks)


def png_chunk(name: bytes, data: bytes) -> bytes:
    """Give a chunk with its checksum."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _many_frames(form: str, count: int, side: int = 8) -> bytes:
    few = [Image.new("P" if form == "GIF" else "RGB", (side, side), n) for n in range(2)]
    body = encode(few[0], form, save_all=True, append_images=few[1:], duration=50)
    start = body.index(b"\x21\xf9")
    return body[:start] + body[start:-1] * (count // 2) + b"\x3b"


def _wide_canvas() -> bytes:
    body = bytearray(animation("GIF", 2))
    struct.pack_into("<HH", body, 6, 65535, 65535)
    return bytes(body)


def _webp_canvas() -> bytes:
    """Give an animation of two frames on a canvas of 16,384 x 16,384."""
    body = bytearray(animation("WEBP", 2))
    place = body.index(b"VP8X") + 12
    body[place : place + 6] = b"\xff\x3f\x00" * 2
    return bytes(body)


_BOMBS = [
    *(row(f"{form} of 4 gigapixels", "in its header", TOO_MANY_PIXELS, claiming(form, SIDE, SIDE)) for form in FORMATS if form != "WEBP"),
    *(row(f"{form} of 15 megapixels", "that are not there", BROKEN, claiming(form, 3900, 3900)) for form in ("PNG", "BMP", "TIFF", "AVIF", "WEBP", "ICO")),
    row("PNG of 400 megapixels", "in 50 kB", TOO_MANY_PIXELS, blank_png(20_000)),
    row("PNG of 49 megapixels", "in 6 kB", SHOWN, blank_png(7000)),
    row("GIF of 10,000 frames", "8 x 8", SHOWN, _many_frames("GIF", 10_000)),
    row("GIF of 10,000 frames, moving", "8 x 8", SHOWN, _many_frames("GIF", 10_000), "/anim=1"),
    row("GIF, huge canvas", "65,535 x 65,535 around small frames", SHOWN, _wide_canvas()),
    row("GIF, huge canvas, moving", "65,535 x 65,535 around small frames", SHOWN, _wide_canvas(), "/anim=1"),
    row("WebP, huge canvas", "16,384 x 16,384 around small frames", BROKEN, _webp_canvas()),
    row("100 frames of 1 megapixel", "GIF, moving", SHOWN, _many_frames("GIF", 100, 1000), "/anim=1"),
    row("SVG of 4 gigapixels", "its width and height", TOO_MANY_PIXELS, drawing("<rect/>", f'width="{SIDE}" height="{SIDE}"')),
    row("BMP below zero", "height -5, width -5", TOO_MANY_PIXELS, b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + struct.pack("<IiiHHIIiiII", 40, -5, 5, 1, 24, 0, 0, 0, 0, 0, 0)),
]  # fmt: skip

CASES = [*_NO_PICTURES, *_DAMAGED, *_BOMBS]
