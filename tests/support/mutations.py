"""Small pictures of every kind, and seeded damage to them."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import cache

import numpy as np
from PIL import Image

from tests.support.pictures import SVG, animation, encode, photo

LARGEST = 64 * 1024
"""Bytes of an input at the most."""
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_FIELDS = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
"""What is written over lengths, sizes, counts and offsets."""
_HEAD = 512
"""Bytes at the beginning in which most of these fields lie."""
_WORDS = (
    b"<g>", b"</g>", b"<svg>", b"<use href='#a'/>", b"<g id='a'>", b"&lt;", b"&a;", b"]]>", b"<!--",
    b"<image href='file:///etc/passwd'/>", b"width='1e9'", b"width='-1'", b"viewBox='0 0 0 0'",
    b"transform='scale(1e30)'", b"transform='rotate(nan)'", b"filter='url(#f)'", b"%", b"1e308",
    b"<text font-size='1e6'>x</text>", b"stroke-dasharray='1e-9'", b"\x00", b"\xff\xfe",
)  # fmt: skip


@cache
def samples() -> dict[str, tuple[bytes, ...]]:
    """Give a few pictures of each kind, by the kind's name."""
    return {
        "JPEG": (photo(64, 48), photo(150, 100), _saved(photo(64, 48), "JPEG", quality=30)),
        "JPEG, progressive": (
            _saved(photo(96, 64), "JPEG", progressive=True),
            _saved(photo(40, 40), "JPEG", progressive=True, subsampling=0),
        ),
        "PNG": (photo(48, 32, "PNG"), _transparent()),
        "PNG, palette and 16 bits": (_palette("PNG"), _sixteen_bits()),
        "WebP, lossy": (photo(64, 48, "WEBP"), _transparent("WEBP")),
        "WebP, lossless": (
            _saved(photo(48, 32), "WEBP", lossless=True),
            _saved(_palette("PNG"), "WEBP", lossless=True),
        ),
        "WebP, animated": (animation("WEBP", 4, 48, 32), animation("WEBP", 3, 20, 90)),
        "AVIF": (photo(48, 32, "AVIF"), _transparent("AVIF")),
        "GIF": (animation("GIF", 4, 48, 32), photo(40, 40, "GIF"), _palette("GIF")),
        "TIFF": (
            photo(40, 30, "TIFF"),
            *(_saved(photo(40, 30), "TIFF", compression=name) for name in _TIFF_COMPRESSIONS),
            _pages(),
        ),
        "BMP": (photo(40, 30, "BMP"), _palette("BMP")),
        "ICO": (_icon("png"), _icon("bmp")),
        "SVG": (SVG, _DRAWING),
    }


def mutants(kind: str, count: int, seed: int = 1) -> Iterator[bytes]:
    """Give `count` damaged pictures; the same ones in every run.

    One in eight is spliced with a sample of any kind. Half of the PNGs get their checksums
    mended, without which most damage would go no further than these.
    """
    chance = random.Random(f"{kind} {seed}")
    own = samples()[kind]
    everything = [sample for group in samples().values() for sample in group]
    for _ in range(count):
        body = chance.choice(own)
        for _ in range(chance.choice((1, 1, 1, 2, 4, 8))):
            others = everything if chance.random() < 1 / 8 else own
            body = mutated(body, chance, others)
        if body.startswith(_PNG_SIGNATURE) and chance.random() < 1 / 2:
            body = with_checksums(body)
        yield body[:LARGEST]


def mutated(body: bytes, chance: random.Random, others: Sequence[bytes]) -> bytes:
    """Damage bytes once; `others` are those that they may be spliced with."""
    return chance.choice(_MUTATIONS)(body, chance, others)


# --- samples ---------------------------------------------------------------------------------

_TIFF_COMPRESSIONS = ("tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits", "group4")
_DRAWING = (
    b'<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY a "aaa">]>'
    b'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
    b'viewBox="0 0 100 50"><defs><linearGradient id="g"><stop offset="0" stop-color="red"/>'
    b'</linearGradient><filter id="f"><feGaussianBlur stdDeviation="3"/></filter>'
    b'<pattern id="p" width="5" height="5" patternUnits="userSpaceOnUse"><path d="M0 0l5 5"/>'
    b'</pattern><mask id="m"><rect width="50" height="50" fill="white"/></mask></defs>'
    b'<style>.a { stroke: blue; stroke-width: 2 }</style>'
    b'<circle cx="20" cy="20" r="15" fill="url(#g)" filter="url(#f)"/>'
    b'<path class="a" d="M10 10C20 20 40 20 50 10z" fill="url(#p)" mask="url(#m)"/>'
    b'<text x="5" y="40" font-size="9">&a; \xc3\xa4</text><use xlink:href="#m"/>'
    b'<image width="9" height="9" href="data:image/png;base64,iVBORw0KGgo="/></svg>'
)  # fmt: skip


def _saved(body: bytes, form: str, **options: object) -> bytes:
    image = Image.open(io.BytesIO(body)).convert("RGB")
    if options.get("compression") == "group4":
        image = image.convert("1")
    return encode(image, form, **options)


def _transparent(form: str = "PNG") -> bytes:
    image = Image.open(io.BytesIO(photo(32, 32))).convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize((32, 32)))
    return encode(image, form)


def _palette(form: str) -> bytes:
    return encode(Image.open(io.BytesIO(photo(32, 24))).convert("P"), form)


def _sixteen_bits() -> bytes:
    grey = (np.linspace(0, 65535, 30)[None, :] * np.ones((20, 1))).astype(np.uint16)
    return encode(Image.fromarray(grey), "PNG")


def _pages() -> bytes:
    images = [Image.open(io.BytesIO(photo(48 >> n, 32 >> n))) for n in range(3)]
    return encode(images[0], "TIFF", save_all=True, append_images=images[1:])


def _icon(inner: str) -> bytes:
    image = Image.open(io.BytesIO(photo(32, 32))).convert("RGBA")
    return encode(image, "ICO", sizes=[(16, 16), (32, 32)], bitmap_format=inner)


# --- damage ----------------------------------------------------------------------------------

_Mutation = Callable[[bytes, random.Random, Sequence[bytes]], bytes]


def _flip_bits(body: bytes, chance: random.Random, _: object) -> bytes:
    changed = bytearray(body)
    for _ in range(chance.choice((1, 2, 5, 20))):
        if changed:
            changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _set_bytes(body: bytes, chance: random.Random, _: object) -> bytes:
    changed = bytearray(body)
    if changed:
        start = chance.randrange(len(changed))
        end = min(len(changed), start + chance.choice((1, 4, 16)))
        changed[start:end] = chance.choice((bytes(end - start), chance.randbytes(end - start)))
    return bytes(changed)


def _set_field(body: bytes, chance: random.Random, _: object) -> bytes:
    form = chance.choice(("B", ">H", "<H", ">I", "<I"))
    size = struct.calcsize(form)
    reach = min(len(body), chance.choice((64, _HEAD, len(body) + 1))) - size
    if reach < 0:
        return body
    offset = chance.randrange(reach + 1)
    value = struct.pack(form, chance.choice(_FIELDS) & ((1 << 8 * size) - 1))
    return body[:offset] + value + body[offset + size :]


def _truncate(body: bytes, chance: random.Random, _: object) -> bytes:
    return body[: chance.randrange(len(body) + 1)]


def _cut_out(body: bytes, chance: random.Random, _: object) -> bytes:
    start = chance.randrange(len(body) + 1)
    return body[:start] + body[start + chance.choice((1, 2, 8, 64, 500)) :]


def _insert(body: bytes, chance: random.Random, _: object) -> bytes:
    start = chance.randrange(len(body) + 1)
    inserted = chance.choice((chance.randbytes(chance.choice((1, 4, 40))), chance.choice(_WORDS)))
    return body[:start] + inserted + body[start:]


def _repeat(body: bytes, chance: random.Random, _: object) -> bytes:
    start = chance.randrange(len(body) + 1)
    piece = body[start : start + chance.choice((4, 30, 300))]
    return body[:start] + piece * chance.choice((2, 10, 100)) + body[start:]


def _splice(body: bytes, chance: random.Random, others: Sequence[bytes]) -> bytes:
    other = chance.choice(others)
    return body[: chance.randrange(len(body) + 1)] + other[chance.randrange(len(other) + 1) :]


_MUTATIONS: tuple[_Mutation, ...] = (
    _flip_bits, _flip_bits, _set_bytes, _set_field, _set_field, _set_field, _truncate, _cut_out,
    _insert, _repeat, _splice,
)  # fmt: skip


def with_checksums(body: bytes) -> bytes:
    """Mend the CRC of every chunk of a PNG that is there as a whole."""
    changed, position = bytearray(body), len(_PNG_SIGNATURE)
    while position + 12 <= len(changed):
        (length,) = struct.unpack_from(">I", changed, position)
        end = position + 8 + length
        if end + 4 > len(changed):
            break
        struct.pack_into(">I", changed, end, zlib.crc32(changed[position + 4 : end]))
        position = end + 4
    return bytes(changed)
