"""What a picture claims to be, from its first bytes: no pixel is decoded here."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from enum import StrEnum

import pyvips
from PIL import Image

from micropic.domain.errors import BrokenImage, NotAnImage, TooManyPixels
from micropic.domain.geometry import displayed
from micropic.domain.model import Size
from micropic.imaging import jpeg_header


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
class Picture:
    """What a picture's header says."""

    kind: Kind
    stored: Size
    """As the pixels lie in the file."""
    orientation: int = 1
    """EXIF orientation, 1 to 8 (Exif 2.32, section 4.6.4)."""
    plain: bool = False
    """A JPEG, which `jpeg.decode` decodes."""
    jpeg: jpeg_header.Header | None = None
    """What else the header of a JPEG says."""

    @property
    def size(self) -> Size:
        """As people see it."""
        return displayed(self.stored, self.orientation)


Image.MAX_IMAGE_PIXELS = None  # `probe` has a limit of its own, and an error for it

_SVG = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml|<!--|<!DOCTYPE\s+svg|<svg)[\s\S]*", re.IGNORECASE
)
_SIGNATURES: list[tuple[bytes, Kind]] = [
    (b"\xff\xd8\xff", Kind.JPEG),
    (b"\x89PNG\r\n\x1a\n", Kind.PNG),
    (b"GIF87a", Kind.GIF),
    (b"GIF89a", Kind.GIF),
    (b"II*\x00", Kind.TIFF),
    (b"MM\x00*", Kind.TIFF),
    (b"BM", Kind.BMP),
    (b"\x00\x00\x01\x00", Kind.ICO),
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
_LOADERS = {
    Kind.JPEG: "jpegload_buffer",
    Kind.PNG: "pngload_buffer",
    Kind.WEBP: "webpload_buffer",
    Kind.GIF: "gifload_buffer",
    Kind.AVIF: "heifload_buffer",
    Kind.TIFF: "tiffload_buffer",
    Kind.SVG: "svgload_buffer",
}


def probe(data: bytes | memoryview, max_pixels: int) -> Picture:
    """Read a picture's header.

    Raises:
        NotAnImage: the bytes are of no kind that is decoded; the error names what was found.
        BrokenImage: the header is damaged.
        TooManyPixels: the header claims more than `max_pixels`.

    """
    kind = sniff(bytes(data[:4096]))
    if kind is Kind.JPEG:
        picture = _probe_jpeg(data)
    else:
        picture = _probe_pillow(kind, data) if is_pillow(kind) else _probe_vips(kind, data)
    width, height = picture.stored
    if width * height > max_pixels:
        msg = (
            f"The picture has {width} x {height} pixels; "
            f"render.max_pixels allows {max_pixels} in all."
        )
        raise TooManyPixels(msg)
    return picture


def sniff(head: bytes) -> Kind:
    """Tell the kind by the first bytes (at most 4 KiB of them are looked at).

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
    if _SVG.match(head) and b"<svg" in head:
        return Kind.SVG
    found = next(
        (name for pattern, name in _OTHERS if pattern.match(head)), "data of no known kind"
    )
    known = ", ".join(Kind)
    msg = f"The source is not a picture that can be decoded but {found}. Known are {known}."
    raise NotAnImage(msg)


def load(data: bytes | memoryview, kind: Kind, **options: str) -> pyvips.Image:
    """Open, not yet decode, by the one libvips loader for this kind.

    Raises:
        pyvips.Error: the header is damaged.

    """
    return getattr(pyvips.Image, _LOADERS[kind])(data, **options)


def is_pillow(kind: Kind) -> bool:
    """Tell the kinds that libvips does not read."""
    return kind in {Kind.BMP, Kind.ICO}


def open_pillow(kind: Kind, data: bytes | memoryview) -> Image.Image:
    """Open, not yet decode, by Pillow.

    Raises:
        BrokenImage: the header is damaged.

    """
    try:
        return Image.open(io.BytesIO(data), formats=[kind.value])
    except MemoryError:
        raise
    except Exception as error:  # Pillow's readers let many kinds out
        raise broken(kind) from error


def broken(kind: Kind) -> BrokenImage:
    """Give the error for a damaged picture."""
    return BrokenImage(f"The {kind} picture is damaged or incomplete.")


def _probe_pillow(kind: Kind, data: bytes | memoryview) -> Picture:
    return Picture(kind, Size(*open_pillow(kind, data).size))


def _probe_vips(kind: Kind, data: bytes | memoryview) -> Picture:
    try:
        image = load(data, kind)
    except pyvips.Error as error:
        raise broken(kind) from error
    orientation = image.get("orientation") if image.get_typeof("orientation") else 1
    return Picture(kind, Size(image.width, image.height), orientation)


def _probe_jpeg(data: bytes | memoryview) -> Picture:
    header = jpeg_header.read(data)
    return Picture(Kind.JPEG, header.frame.size, header.orientation, plain=True, jpeg=header)
