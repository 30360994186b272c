"""What a picture claims to be, from its first bytes: no pixel is decoded here."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass, replace
from typing import Any

import pyvips
from PIL import Image

from micropic.domain.errors import BrokenImage, NotAnImage, TooManyPixels
from micropic.domain.geometry import displayed
from micropic.domain.model import Size
from micropic.imaging import icc, ico, jpeg_header, svg, webp_header
from micropic.imaging.kinds import ICO_SIGNATURE, SNIFFED, Kind, Limits, no_memory, sniff


@dataclass(frozen=True, slots=True)
class Picture:
    """What a picture's header says."""

    kind: Kind
    stored: Size
    """As the pixels lie in the file."""
    orientation: int = 1
    """EXIF orientation, 1 to 8 (Exif 2.32, section 4.6.4)."""
    frames: int = 1
    """Of an animation."""
    profile: bytes = b""
    """An ICC profile for RGB, other than sRGB, that decoding leaves to be applied."""
    managed: bytes = b""
    """An ICC profile that is not for RGB: decoding applies it."""
    jpeg: jpeg_header.Header | None = None
    """What else the header of a JPEG says."""

    @property
    def size(self) -> Size:
        """As people see it."""
        return displayed(self.stored, self.orientation)


Image.MAX_IMAGE_PIXELS = None  # `probe` has a limit of its own, and an error for it

_MOST_SCANNED = 1_000_000_000
"""Pixels times scans in a JPEG: 20 scans of 50 megapixels, where encoders write 14 at most."""
_MOST_REPEATED = 20_000
"""Elements that an SVG may have drawn beyond those that stand in it: less than a second's work."""
_DEEPEST = 2
"""How many drawings may lie in one another by data URLs."""
_TINY = 64
"""By how much a WebP is shrunk of which only the header is wanted."""
_ICC = "icc-profile-data"
_RGB = {3, 4}
"""Bands: with alpha there is one more."""

_LOADERS = {
    Kind.JPEG: "jpegload_buffer",
    Kind.PNG: "pngload_buffer",
    Kind.WEBP: "webpload_buffer",
    Kind.GIF: "gifload_buffer",
    Kind.AVIF: "heifload_buffer",
    Kind.TIFF: "tiffload_buffer",
    Kind.SVG: "svgload_buffer",
}


def unwrapped(data: bytes | memoryview) -> bytes | memoryview:
    """Give the PNG that an icon holds as its largest picture; anything else as it is.

    Raises:
        BrokenImage: the icon's directory is damaged.

    """
    if bytes(data[:4]) != ICO_SIGNATURE:
        return data
    picture = _largest_in_icon(data)
    return picture if ico.is_png(picture) else data


def probe(data: bytes | memoryview, limits: Limits, depth: int = 0) -> Picture:
    """Read a picture's header; `depth` tells how many pictures it lies in.

    Raises:
        NotAnImage: the bytes are of no kind that is decoded; the error names what was found.
        BrokenImage: the header is damaged.
        TooManyPixels: the header claims more than `limits` allow for its kind.
        TooMuchMemory: not even the header could be read with what there is.

    """
    kind = sniff(bytes(data[:SNIFFED]))
    picture = _PROBES.get(kind, _probe_vips)(kind, data)
    width, height = picture.stored
    allowed = limits.pixels_of(kind)
    if width * height > allowed:
        msg = (
            f"The {kind} picture has {width} x {height} pixels; "
            f"the service decodes at most {allowed} of this kind."
        )
        raise TooManyPixels(msg)
    if kind is Kind.SVG:
        _check_drawing(data, limits, depth)
    return picture


def _check_drawing(data: bytes | memoryview, limits: Limits, depth: int) -> None:
    found = svg.survey(data)
    if found.drawn > found.elements + _MOST_REPEATED or depth > _DEEPEST:
        msg = "The SVG picture refers to its elements, or to pictures, too many times over."
        raise BrokenImage(msg)
    left = limits.pixels
    for inner in found.pictures:
        try:
            size = probe(inner, limits, depth + 1).stored
        except NotAnImage:
            continue  # it is not shown, as in browsers
        except BrokenImage:
            if sniff(inner[:SNIFFED]) is Kind.SVG:
                raise
            continue
        left -= size.width * size.height
        if left < 0:
            msg = f"The pictures in the SVG have more than {limits.pixels} pixels."
            raise TooManyPixels(msg)


def load(data: bytes | memoryview, kind: Kind, **options: str | float) -> pyvips.Image:
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


def lacks_memory(error: pyvips.Error) -> bool:
    """Tell whether libvips itself got no memory."""
    return "out of memory" in str(error)


def _probe_bmp(kind: Kind, data: bytes | memoryview) -> Picture:
    return Picture(kind, Size(*open_pillow(kind, data).size))


def _probe_ico(kind: Kind, data: bytes | memoryview) -> Picture:
    try:
        return Picture(kind, ico.bitmap_size(_largest_in_icon(data)))
    except (struct.error, ValueError):
        raise broken(kind) from None


def _largest_in_icon(data: bytes | memoryview) -> memoryview:
    try:
        return ico.largest(data)
    except (struct.error, ValueError):
        raise broken(Kind.ICO) from None


def _probe_webp(kind: Kind, data: bytes | memoryview) -> Picture:
    try:
        size = webp_header.size(data)
    except ValueError:
        raise broken(kind) from None
    # Smaller than it is: libvips takes the memory of a frame here already, and fills it.
    options = {"scale": 1 / _TINY} if min(size) >= _TINY else {}
    return replace(_probe_vips(kind, data, **options), stored=size)


def _probe_vips(kind: Kind, data: bytes | memoryview, **options: float) -> Picture:
    try:
        image = load(data, kind, **options)
    except pyvips.Error as error:
        raise (no_memory() if lacks_memory(error) else broken(kind)) from error
    orientation = image.get("orientation") if image.get_typeof("orientation") else 1
    # Not by get_n_pages, to which 10,000 pages and more are one.
    animated = kind in {Kind.GIF, Kind.WEBP} and image.get_typeof("n-pages")
    frames = image.get("n-pages") if animated else 1
    profile = image.get(_ICC) if image.get_typeof(_ICC) else b""
    size, bands = Size(image.width, image.height), image.bands
    return Picture(kind, size, orientation, frames, **_profile(profile, bands))


def _profile(profile: bytes, bands: int) -> dict[str, Any]:
    """Say what is to become of a profile; nearly every one on the web is sRGB's and says nothing.

    A profile for RGB is applied once few pixels are left; libvips would bring the whole picture
    to sRGB, which takes longer than most decoders.
    """
    if not icc.is_profile(profile) or icc.is_srgb(profile):
        return {}
    return {"profile" if icc.is_rgb(profile) and bands in _RGB else "managed": profile}


def _probe_jpeg(_: Kind, data: bytes | memoryview) -> Picture:
    header = jpeg_header.read(data)
    width, height = header.frame.size
    if len(header.scans) * width * height > _MOST_SCANNED:
        msg = (
            f"A JPEG picture of {width} x {height} pixels has too many scans: {len(header.scans)}."
        )
        raise BrokenImage(msg)
    profile = _profile(header.profile, len(header.frame.components))
    return Picture(Kind.JPEG, header.frame.size, header.orientation, jpeg=header, **profile)


_PROBES = {
    Kind.JPEG: _probe_jpeg,
    Kind.WEBP: _probe_webp,
    Kind.BMP: _probe_bmp,
    Kind.ICO: _probe_ico,
}
"""What reads the header of each kind; libvips that of all others."""
