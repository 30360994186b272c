"""What is done to decoded pictures."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from micropic.domain.model import Size
from micropic.imaging import pixels
from micropic.imaging.pixels import Pixels

_SHAPES = [(180, 270), (270, 180), (133, 500), (200, 300)]


def noise(shape: tuple[int, int], channels: int, seed: int) -> Pixels:
    """Give pixels that no other seed gives."""
    return np.random.default_rng(seed).integers(0, 256, (*shape, channels), np.uint8)


def by_pillow(picture: Pixels, size: Size) -> Pixels:
    """Resample in another way, which multiplies colours by their alpha, too."""
    mode = "RGBA" if pixels.has_alpha(picture) else "RGB"
    resized = Image.frombytes(mode, pixels.size_of(picture), picture.tobytes()).resize(
        size, Image.Resampling.LANCZOS
    )
    return np.asarray(resized)


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("shape", _SHAPES)
def test_pictures_of_one_shape_are_resampled_each_from_its_own_pixels(
    shape: tuple[int, int], channels: int
) -> None:
    """What is kept for a shape is not to show in the next picture."""
    size = Size(150, 100)
    pictures = [noise(shape, channels, seed) for seed in range(4)]
    for picture in [*pictures, *reversed(pictures)]:
        expected = by_pillow(picture, size).astype(int)
        if channels == 4:
            picture[..., 3] |= 128  # what is nearly transparent has no colour to compare
            expected = by_pillow(picture, size).astype(int)
        difference = np.abs(pixels.resample(picture, size).astype(int) - expected)
        assert difference.mean() < 2


def test_more_shapes_than_are_kept_and_larger_ones() -> None:
    """Each is as it should be, in any order, when it comes again, too."""
    shapes = [(100 + 7 * number, 240) for number in range(20)] + [(1200, 900)]
    pictures = [noise(shape, 3, seed) for seed, shape in enumerate(shapes)]
    size = Size(90, 60)
    once = [pixels.resample(picture, size).copy() for picture in pictures]
    again = [pixels.resample(picture, size) for picture in reversed(pictures)]
    for first, second, picture in zip(once, reversed(again), pictures, strict=True):
        assert np.array_equal(first, second)
        assert np.abs(first.astype(int) - by_pillow(picture, size).astype(int)).mean() < 2


def test_a_part_of_a_picture_is_resampled() -> None:
    """Rows that do not lie in one piece are taken as they lie."""
    whole = noise((300, 400), 3, 1)
    part = whole[20:220, 50:350]
    given = pixels.resample(part, Size(150, 100))
    assert np.array_equal(given, pixels.resample(part.copy(), Size(150, 100)))
    assert np.abs(given.astype(int) - by_pillow(part.copy(), Size(150, 100))).mean() < 2


def _direct_blur(source: pixels.Pixels, sigma: float) -> pixels.Pixels:
    image = pixels.to_vips(source)
    if not pixels.has_alpha(source):
        return pixels.from_vips(image.gaussblur(sigma))
    return pixels.from_vips(image.premultiply().gaussblur(sigma).unpremultiply().cast("uchar"))


@pytest.mark.parametrize("sigma", [32, 57.3, 100])
@pytest.mark.parametrize("shape", [(401, 603, 3), (401, 603, 4), (7, 500, 3), (1, 1, 3)])
@pytest.mark.parametrize("what", ["noise", "edge", "ramp"])
def test_a_large_blur_of_a_small_copy_looks_like_a_direct_one(
    sigma: float, shape: tuple[int, int, int], what: str
) -> None:
    source = np.full(shape, 255, np.uint8)
    columns = np.arange(shape[1])[None, :, None]
    source[:, :, :3] = {
        "noise": np.random.default_rng(1).integers(0, 256, (*shape[:2], 3)),
        "edge": np.where(columns > shape[1] // 3, 255, 0),
        "ramp": columns % 256,
    }[what]
    blurred = pixels.blur(source, sigma)
    difference = np.abs(blurred.astype(int) - _direct_blur(source, sigma))
    assert difference.mean() < 1
    assert difference.max() <= 4
