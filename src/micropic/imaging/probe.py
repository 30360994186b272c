"""What a picture claims to be, from its first bytes: no pixel is decoded here."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass

import pyvips
from PIL import Image

from micropic.domain.errors import BrokenImage, NotAnImage, TooManyPixels, TooMuchMemory
from micropic.domain.geometry import displayed
from micropic.domain.model import Size
from micropic.imaging import ico, svg
from micropic.imaging.kinds import ICO_SIGNATURE, Kind, Limits, sniff


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
    plain: bool = False
    """A JPEG that libjpeg-turbo alone decodes right: usual sampling, no foreign colour space."""

    @property
    def size(self) -> Size:
        """As people see it."""
        return displayed(self.stored, self.orientation)


Image.MAX_IMAGE_PIXELS = None  # `probe` has a limit of its own, and an error for it

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
    kind = sniff(bytes(data[:4096]))
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


_MOST_REPEATED = 20_000
"""Elements that an SVG may have drawn beyond those that stand in it: less than a second's work."""
_DEEPEST = 2
"""How many drawings may lie in one another by data URLs."""


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
            if sniff(inner[:4096]) is Kind.SVG:
                raise
            continue
        left -= size.width * size.height
        if left < 0:
            msg = f"The pictures in the SVG have more than {limits.pixels} pixels."
            raise TooManyPixels(msg)


def load(data: bytes | memoryview, kind: Kind, **options: str | int) -> pyvips.Image:
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


def no_memory() -> TooMuchMemory:
    """Give the error for a picture that does not fit."""
    return TooMuchMemory("Decoding the picture takes more memory than render.max_memory allows.")


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


def _probe_vips(kind: Kind, data: bytes | memoryview) -> Picture:
    try:
        image = load(data, kind)
    except pyvips.Error as error:  # for WebP libvips takes the memory of a frame here already
        raise (no_memory() if lacks_memory(error) else broken(kind)) from error
    orientation = image.get("orientation") if image.get_typeof("orientation") else 1
    # Not by get_n_pages, to which 10,000 pages and more are one.
    animated = kind in {Kind.GIF, Kind.WEBP} and image.get_typeof("n-pages")
    frames = image.get("n-pages") if animated else 1
    return Picture(kind, Size(image.width, image.height), orientation, frames)


# --- JPEG (ITU-T T.81, annex B) --------------------------------------------------------------

_SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_LOSSLESS = frozenset({0xC3, 0xC5, 0xC6, 0xC7, 0xCB, 0xCD, 0xCE, 0xCF})
_MARKER, _SOS, _EOI, _EXIF, _ICC = 0xFF, 0xDA, 0xD9, 0xE1, 0xE2
_USUAL_SAMPLING = {
    (0x11,),
    (0x21,),
    (0x22,),
    (0x11, 0x11, 0x11),
    (0x21, 0x11, 0x11),
    (0x22, 0x11, 0x11),
    (0x12, 0x11, 0x11),
    (0x41, 0x11, 0x11),
}


def _probe_jpeg(_: Kind, data: bytes | memoryview) -> Picture:
    """Walk the markers up to the first scan."""
    orientation, foreign_colour, frame = 1, False, None
    position = 2
    while frame is None or data[position + 1] != _SOS:
        if position + 4 > len(data):
            raise broken(Kind.JPEG)
        marker = data[position + 1]
        if data[position] != _MARKER:
            raise broken(Kind.JPEG)
        if marker == _MARKER:  # fill bytes may stand before any marker (B.1.1.2)
            position += 1
            continue
        (length,) = struct.unpack_from(">H", data, position + 2)
        segment = bytes(data[position + 4 : position + 2 + length])
        if marker in _SOF:
            frame = _frame(marker, segment)
        elif marker == _EXIF and segment.startswith(b"Exif\x00\x00"):
            orientation = _exif_orientation(segment[6:])
        elif marker == _ICC and segment.startswith(b"ICC_PROFILE\x00"):
            # Nearly every profile on the web is sRGB's own and changes nothing.
            foreign_colour |= b"sRGB" not in segment
        elif marker in {_SOS, _EOI}:
            raise broken(Kind.JPEG)
        position += 2 + length
        if position + 2 > len(data):
            raise broken(Kind.JPEG)
    size, sampling = frame
    plain = sampling in _USUAL_SAMPLING and not foreign_colour
    return Picture(Kind.JPEG, size, orientation, plain=plain)


def _frame(marker: int, segment: bytes) -> tuple[Size, tuple[int, ...]]:
    """Read a frame header (B.2.2): the size and each component's sampling factors."""
    if marker in _LOSSLESS:
        msg = "Lossless and hierarchical JPEG are not decoded."
        raise NotAnImage(msg)
    try:
        precision, height, width, components = struct.unpack_from(">BHHB", segment)
        sampling = tuple(segment[7 + 3 * n] for n in range(components))
    except (struct.error, IndexError):
        raise broken(Kind.JPEG) from None
    if precision != 8:  # noqa: PLR2004
        msg = f"The JPEG picture has {precision} bits a sample; 8 are decoded."
        raise NotAnImage(msg)
    if not width or not height:
        raise broken(Kind.JPEG)
    return Size(width, height), sampling


def _exif_orientation(tiff: bytes) -> int:
    """Find tag 0x0112 in the first directory; a damaged block counts as none."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return 1
    try:
        (offset,) = struct.unpack_from(order + "I", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, offset)
        for n in range(count):
            tag, _, _, value = struct.unpack_from(order + "HHIH", tiff, offset + 2 + 12 * n)
            if tag == 0x0112:  # noqa: PLR2004
                return value if 1 <= value <= 8 else 1  # noqa: PLR2004
    except struct.error:
        pass
    return 1


_PROBES = {Kind.JPEG: _probe_jpeg, Kind.BMP: _probe_bmp, Kind.ICO: _probe_ico}
"""What reads the header of each kind; libvips that of all others."""
