"""Pictures to ask previews of; the same ones in every run."""

from __future__ import annotations

import io
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyvips
from PIL import Image

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "ICO")
SVG = (
    b'<svg xmlns="http://www.w3.org/2000/svg" width="64" height="48">'
    b'<rect width="64" height="48" fill="#c82828"/></svg>'
)

RED, GREEN, BLUE, YELLOW = (200, 40, 40), (40, 180, 60), (40, 60, 200), (230, 210, 40)
QUADRANTS = (RED, GREEN, BLUE, YELLOW)
"""Top left, top right, bottom left, bottom right."""
_FROM_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""How a camera held that way stores what is upright (Exif 2.32, section 4.6.4)."""
_ORIENTATION = 0x0112


@cache
def photo(width: int = 320, height: int = 240, form: str = "JPEG", seed: int = 1) -> bytes:
    """Give something like a photo: gradients with smooth noise."""
    random = np.random.default_rng(seed)
    noise = random.integers(0, 90, (height // 16 + 2, width // 16 + 2, 3), np.uint8)
    smooth = Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)
    x, y = np.linspace(0, 110, width), np.linspace(0, 50, height)
    gradient = (x[None, :, None] + y[:, None, None]).astype(np.uint8)
    return encode(Image.fromarray(np.asarray(smooth) + gradient), form)


def quadrants(width: int, height: int) -> Image.Image:
    """Give a picture of four colours, each in its own quarter."""
    pixels = np.empty((height, width, 3), np.uint8)
    half_x, half_y = width // 2, height // 2
    pixels[:half_y, :half_x], pixels[:half_y, half_x:] = RED, GREEN
    pixels[half_y:, :half_x], pixels[half_y:, half_x:] = BLUE, YELLOW
    return Image.fromarray(pixels)


def oriented(orientation: int, form: str = "JPEG", width: int = 160, height: int = 96) -> bytes:
    """Give the quadrants as stored with an EXIF orientation; upright they are width x height."""
    image = quadrants(width, height)
    if orientation in _FROM_UPRIGHT:
        image = image.transpose(_FROM_UPRIGHT[orientation])
    exif = Image.Exif()
    exif[_ORIENTATION] = orientation
    return encode(image, form, exif=exif)


def drawing(inner: str, size: str = 'width="64" height="48"', before: str = "") -> bytes:
    """Give an SVG with these elements."""
    namespaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    return f"{before}<svg {namespaces} {size}>{inner}</svg>".encode()


def quadrant_colours(picture: Image.Image) -> tuple[tuple[int, int, int], ...]:
    """Name the colour in the middle of each quarter: the nearest of the four."""
    pixels = np.asarray(picture.convert("RGB")).astype(int)
    height, width, _ = pixels.shape
    return tuple(_nearest(pixels[height * y // 4, width * x // 4]) for y in (1, 3) for x in (1, 3))


def _nearest(pixel: npt.NDArray[Any]) -> tuple[int, int, int]:
    return min(QUADRANTS, key=lambda colour: int(np.abs(pixel - np.array(colour)).sum()))


def encode(image: Image.Image, form: str, **options: Any) -> bytes:
    """Give an image as a file."""
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def animation(form: str, frames: int, width: int = 90, height: int = 60) -> bytes:
    """Give frames of one colour each, shown for 40, 80, 120 ... ms."""
    images = [Image.new("RGB", (width, height), QUADRANTS[n % 4]) for n in range(frames)]
    durations = [40 * (n + 1) for n in range(frames)]
    return encode(
        images[0], form, save_all=True, append_images=images[1:], duration=durations, loop=0
    )


def pyramid_below_black() -> bytes:
    """Give a TIFF of 800 x 800, black, with smaller levels as SubIFDs, red."""
    red = np.full((800, 800, 3), RED, np.uint8)
    image = pyvips.Image.new_from_memory(red.tobytes(), 800, 800, 3, "uchar")
    body = bytearray(
        image.tiffsave_buffer(
            compression="none", tile=True, tile_width=64, tile_height=64, pyramid=True, subifd=True
        )
    )
    tags = Image.open(io.BytesIO(body)).tag_v2  # type: ignore[attr-defined]
    for offset, length in zip(tags[324], tags[325], strict=True):  # the tiles of the first level
        body[offset : offset + length] = bytes(length)
    return bytes(body)
