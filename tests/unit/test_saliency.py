"""Where `smart` cuts: what stands out is kept, and what is everywhere says nothing."""

import numpy as np
import pytest

from micropic.domain.model import Box, Size
from micropic.imaging.pixels import Pixels
from micropic.imaging.saliency import place_salient, saliency


def picture(width: int, height: int, colour: tuple[int, int, int] = (90, 120, 90)) -> Pixels:
    return np.full((height, width, 3), colour, np.uint8)


def noise(shape: tuple[int, ...], around: int = 110, by: int = 60) -> Pixels:
    random = np.random.default_rng(7)
    return random.integers(around - by, around + by, shape).astype(np.uint8)


def checkered(pixels: Pixels, left: int, top: int, side: int) -> Pixels:
    """Draw a subject: red and white squares of 8 pixels."""
    rows, columns = np.indices((side, side)) // 8
    squares = np.where(((rows + columns) % 2)[..., None], (250, 250, 250), (200, 30, 30))
    pixels[top : top + side, left : left + side] = squares
    return pixels


def middle(box: Box) -> tuple[float, float]:
    return box.left + box.width / 2, box.top + box.height / 2


def test_a_subject_at_the_side_is_kept_whole() -> None:
    box = place_salient(checkered(picture(640, 320), 90, 120, 80), Size(160, 320))
    assert box.left <= 90
    assert box.left + box.width >= 170


def test_a_subject_at_the_foot_is_kept_whole() -> None:
    box = place_salient(checkered(picture(320, 640), 120, 460, 80), Size(320, 160))
    assert box.top <= 460
    assert box.top + box.height >= 540


def test_a_subject_is_found_in_a_texture_that_is_everywhere() -> None:
    """Grass and foliage say nothing; what has another colour does."""
    pixels = noise((320, 640, 3), by=25)
    pixels[120:200, 420:500, 0] += 90
    box = place_salient(pixels, Size(200, 320))
    assert box.left <= 420
    assert box.left + box.width >= 500


def test_of_two_equal_colours_the_one_with_detail_is_kept() -> None:
    """What is meant is in focus, and what is not is blurred."""
    pixels = picture(640, 320)
    pixels[120:200, 160:240] = (225, 140, 140)
    checkered(pixels, 400, 120, 80)
    x, _ = middle(place_salient(pixels, Size(160, 320)))
    assert x > 320


def test_of_two_equal_subjects_the_one_nearer_to_the_middle_is_kept() -> None:
    pixels = checkered(checkered(picture(640, 320), 10, 120, 80), 360, 120, 80)
    x, _ = middle(place_salient(pixels, Size(160, 320)))
    assert x > 320


def test_of_two_equal_subjects_the_upper_one_is_kept() -> None:
    """Heads stand above the half height."""
    pixels = checkered(checkered(picture(320, 640), 120, 130, 80), 120, 430, 80)
    _, y = middle(place_salient(pixels, Size(320, 200)))
    assert y < 320


def test_a_picture_of_one_colour_is_cut_about_the_middle() -> None:
    assert place_salient(picture(640, 320), Size(320, 320)).left == pytest.approx(160, abs=5)


@pytest.mark.parametrize("window", [Size(640, 320), Size(1, 320), Size(640, 1)])
def test_a_window_of_any_size_lies_inside_the_picture(window: Size) -> None:
    box = place_salient(checkered(picture(640, 320), 500, 40, 80), window)
    assert (box.width, box.height) == window
    assert 0 <= box.left <= 640 - box.width
    assert 0 <= box.top <= 320 - box.height


@pytest.mark.parametrize(("width", "height"), [(1, 1), (2, 1), (1, 300), (3000, 2), (65, 64)])
def test_a_picture_of_any_size_has_a_map_of_at_most_64_a_side(width: int, height: int) -> None:
    salient = saliency(noise((height, width, 3)))
    assert max(salient.shape) <= 64
    assert np.isfinite(salient).all()
    assert (salient >= 0).all()


def test_the_same_picture_is_always_cut_at_the_same_place() -> None:
    pixels = checkered(noise((320, 640, 3)), 90, 120, 80)
    boxes = {place_salient(pixels.copy(), Size(200, 320)) for _ in range(5)}
    assert len(boxes) == 1
