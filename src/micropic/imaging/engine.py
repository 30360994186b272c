"""Bytes and a transform in, a preview out; one process, no I/O."""

from __future__ import annotations

from dataclasses import dataclass

from micropic.domain import geometry
from micropic.domain.errors import TooMuchMemory
from micropic.domain.model import Anchor, Box, FocusPoint, Gravity, Mode, Size, Transform
from micropic.imaging import jpeg, vips
from micropic.imaging.faces import place_faces
from micropic.imaging.jpeg import Pixels
from micropic.imaging.probe import Kind, probe
from micropic.imaging.saliency import place_salient

DEFAULT_MAX_PIXELS = 50_000_000


@dataclass(frozen=True, slots=True)
class Encoded:
    """A preview: its bytes, what they are, and its size in pixels."""

    body: bytes
    media_type: str
    size: Size


def render(
    data: bytes | memoryview, transform: Transform, max_pixels: int = DEFAULT_MAX_PIXELS
) -> Encoded:
    """Render one preview.

    Raises:
        NotAnImage, BrokenImage, TooManyPixels, TooMuchMemory: by what is wrong with `data`.

    """
    try:
        return _render(data, transform, max_pixels)
    except MemoryError as error:
        msg = "Rendering the picture takes more memory than render.max_memory allows."
        raise TooMuchMemory(msg) from error


def _render(data: bytes | memoryview, transform: Transform, max_pixels: int) -> Encoded:
    pixels, output = decode(data, transform, max_pixels)
    box = cut(pixels, output, transform)
    body = jpeg.encode(vips.resample(pixels, box, output), transform.quality)
    return Encoded(body, "image/jpeg", output)


def decode(data: bytes | memoryview, transform: Transform, max_pixels: int) -> tuple[Pixels, Size]:
    """Give the picture at a size from which the answer can be cut, and the answer's size."""
    picture = probe(data, max_pixels)
    output = geometry.output_size(picture.size, transform.mode, transform.size)
    whole = geometry.whole_size(picture.size, transform.mode, transform.size)
    scales_freely = picture.kind is Kind.SVG and whole.width * whole.height <= max_pixels
    if whole.width > picture.size.width and not scales_freely:
        whole = picture.size  # what has pixels is enlarged after the cut, not before
    decoder = jpeg.decode if picture.plain else vips.decode
    return decoder(data, picture, whole), output


def cut(pixels: Pixels, output: Size, transform: Transform) -> Box:
    """Choose the part of the decoded picture that the answer shows."""
    height, width = pixels.shape[:2]
    decoded = Size(width, height)
    if transform.mode is Mode.FIT:
        return Box(0, 0, *decoded)
    return _place(pixels, geometry.window_size(decoded, output), transform.gravity)


def _place(pixels: Pixels, window: Size, gravity: Gravity) -> Box:
    height, width = pixels.shape[:2]
    if isinstance(gravity, FocusPoint):
        return geometry.place_around(Size(width, height), window, gravity)
    if gravity is Anchor.SMART:
        return place_salient(pixels, window)
    if gravity is Anchor.FACE:
        return place_faces(pixels, window)
    return geometry.place_aligned(Size(width, height), window, geometry.ALIGNMENT[gravity])
