"""The kinds of picture, told by their first bytes; and how much of one is decoded.

No codec is loaded here: the service reads this, the render processes decode.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from micropic.domain.drawings import is_drawing
from micropic.domain.errors import NotAnImage, PreviewTooLarge, TooMuchMemory, TooMuchWork


class Kind(StrEnum):
    """The kinds of picture that are decoded, by the names people know them by."""

    JPEG = "JPEG"
    PNG = "PNG"
    WEBP = "WebP"
    GIF = "GIF"
    AVIF = "AVIF"
    TIFF = "TIFF"
    BMP = "BMP"
    ICO = "ICO"
    SVG = "SVG"


ACCEPT = (
    "image/jpeg,image/png,image/webp,image/gif,image/tiff,image/bmp,image/svg+xml,"
    "image/x-icon,image/avif;q=0.8,*/*;q=0.1"
)
"""The Accept field that says so; AVIF last, since it costs the most to decode."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What is decoded at the most."""

    pixels: int = 50_000_000
    """In a picture, or in all frames of an animation together."""
    avif_pixels: int = 16_000_000
    """In an AVIF picture, which takes 50 bytes of memory a pixel (docs/engine.md)."""
    avif_output_pixels: int = 8_847_360
    """In an AVIF preview (4096 x 2160): its encoder takes up to 75 bytes of memory a pixel."""
    frames: int = 100
    """Of an animation; what comes after them is left out."""
    preview_bytes: int = 16 * 1024**2
    """Maximum size of an encoded preview."""
    drawing_time: float = 0.0
    """Seconds of CPU time for an SVG, beyond which the process ends (`drawing_time`); 0: any."""
    cost: float = 0.0
    """Estimated seconds of a render (`domain.cost`), beyond which it is refused; 0: any."""

    def pixels_of(self, kind: Kind) -> int:
        """Give how many pixels a picture of this kind may have."""
        return min(self.pixels, self.avif_pixels) if kind is Kind.AVIF else self.pixels


SNIFFED = 4096
"""Bytes at the beginning by which a kind is told."""
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
ICO_SIGNATURE = b"\x00\x00\x01\x00"

_SIGNATURES: list[tuple[bytes, Kind]] = [
    (b"\xff\xd8\xff", Kind.JPEG),
    (PNG_SIGNATURE, Kind.PNG),
    (b"GIF87a", Kind.GIF),
    (b"GIF89a", Kind.GIF),
    (b"II*\x00", Kind.TIFF),
    (b"MM\x00*", Kind.TIFF),
    (b"BM", Kind.BMP),
    (ICO_SIGNATURE, Kind.ICO),
]
_OTHERS: list[tuple[re.Pattern[bytes], str]] = [
    (re.compile(rb"\s*(?:<!doctype html|<html|<head|<body)", re.IGNORECASE), "a web page (HTML)"),
    (re.compile(rb"%PDF-"), "a PDF document"),
    (re.compile(rb"\s*[{\[]\s*[\"{\[]"), "JSON"),
    (re.compile(rb"\xff\x0a|\x00\x00\x00\x0cJXL "), "JPEG XL"),
    (re.compile(rb"\x00\x00\x00\x0cjP  |\xff\x4f\xff\x51"), "JPEG 2000"),
    (re.compile(rb"8BPS"), "a Photoshop document"),
    (re.compile(rb"....ftyp(?:hei|hev|mif1|msf1)", re.DOTALL), "HEIC"),
    (re.compile(rb"....ftyp", re.DOTALL), "a video"),
    (re.compile(rb"\x1a\x45\xdf\xa3"), "a video (Matroska or WebM)"),
    (re.compile(rb"PK\x03\x04"), "a ZIP archive"),
    (re.compile(rb"\x1f\x8b"), "gzip data"),
    (re.compile(rb"\s*<"), "XML or HTML"),
    (re.compile(rb"[\t\n\r\x20-\x7e]{1,512}\Z"), "plain text"),
]


def sniff(head: bytes) -> Kind:
    """Tell the kind by the first bytes (`SNIFFED` of them).

    Raises:
        NotAnImage: it is none that is decoded.

    """
    for signature, kind in _SIGNATURES:
        if head.startswith(signature):
            return kind
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return Kind.WEBP
    if head[4:8] == b"ftyp" and re.search(rb"avi[fs]", head[8:64]):
        return Kind.AVIF
    if is_drawing(head):
        return Kind.SVG
    found = next(
        (name for pattern, name in _OTHERS if pattern.match(head)), "data of no known kind"
    )
    known = ", ".join(Kind)
    msg = f"The source is not a picture that can be decoded but {found}. Known are {known}."
    raise NotAnImage(msg)


def preview_too_large(limit: int) -> PreviewTooLarge:
    """Return the error for a preview of more than `limit` bytes."""
    return PreviewTooLarge(
        f"The preview would be larger than {limit} bytes. Ask for a smaller size, a lower quality "
        "or another format."
    )


def no_memory() -> TooMuchMemory:
    """Give the error for a picture that does not fit into the memory that a render may take."""
    return TooMuchMemory("Rendering the picture takes more memory than render.max_memory allows.")


def check_cost(seconds: float, limits: Limits) -> None:
    """Let a render pass whose estimated cost is allowed.

    Raises:
        TooMuchWork: it is not.

    """
    if 0 < limits.cost < seconds:
        msg = (
            "Rendering this preview takes too much work; ask for a smaller one, or for fewer "
            "effects or another format."
        )
        raise TooMuchWork(msg)
