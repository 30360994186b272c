"""`explain=1` and `micropic render --explain`: the drawing shows what was chosen, and why."""

from pathlib import Path

import numpy as np
import pytest
import simplejpeg
from PIL import Image

import micropic
from micropic.domain.model import Anchor, Box, Mode, Size, Transform
from micropic.imaging.engine import render
from micropic.imaging.explain import drawing, drawn
from micropic.imaging.extras import has_faces


def test_what_stands_out_is_lit_and_what_is_cut_off_is_dimmed() -> None:
    pixels = np.full((40, 80, 3), 200, np.uint8)
    salient = np.zeros((4, 8), np.float32)
    salient[1, 5] = 3
    lighted = drawn(pixels, salient, Box(40, 0, 40, 40)).astype(int)
    lit, unlit, outside = lighted[15, 55, 2], lighted[30, 70, 2], lighted[15, 20, 2]
    assert lit == 200
    assert lit > unlit > outside


def test_the_cut_is_framed_and_the_picture_itself_is_left_alone() -> None:
    pixels = np.full((40, 80, 3), 200, np.uint8)
    framed = drawn(pixels, np.ones((4, 8), np.float32), Box(40, 0, 40, 40))
    assert [tuple(framed[20, x]) == (255, 220, 0) for x in (39, 40, 79)] == [False, True, True]
    assert (pixels == 200).all()


def test_the_whole_picture_is_drawn() -> None:
    data = simplejpeg.encode_jpeg(np.full((60, 90, 3), 120, np.uint8))
    transform = Transform(Mode.FILL, Size(60, 60), Anchor.SMART, 80, explain=True)
    made = render(data, transform)
    assert simplejpeg.decode_jpeg(made.body).shape == (60, 90, 3)
    assert made.size == (90, 60)


def test_a_large_picture_is_drawn_smaller_with_the_frame_where_it_was() -> None:
    pixels = np.full((100, 5000, 3), 200, np.uint8)
    small = drawing(pixels, Box(2500, 0, 2500, 100))
    assert small.shape == (26, 1280, 3)
    framed = [tuple(small[13, x]) == (255, 220, 0) for x in (0, 639, 640, 1279)]
    assert framed == [False, False, True, True]


def test_faces_are_framed_as_far_as_they_lie_in_the_picture() -> None:
    pixels = np.full((40, 80, 3), 200, np.uint8)
    framed = drawing(pixels, Box(40, 0, 40, 40), [Box(-5, 10, 15, 20)])
    assert tuple(framed[20, 9]) == tuple(framed[10, 5]) == (90, 200, 255)
    assert tuple(framed[20, 10]) != (90, 200, 255)


@pytest.mark.skipif(not has_faces(), reason="no wheel of the extra for this machine")
@pytest.mark.parametrize("gravity", [Anchor.SMART, Anchor.FACE, Anchor.CENTER])
@pytest.mark.parametrize("smart_faces", [True, False])
def test_those_faces_are_framed_that_had_a_say(gravity: Anchor, *, smart_faces: bool) -> None:
    astronaut = Image.open(Path(micropic.__file__).parent / "samples" / "astronaut.jpg")
    warm = np.array(astronaut.convert("RGB"))
    warm[..., 2] = np.minimum(warm[..., 2], warm[..., 0])  # blue are the frames alone
    transform = Transform(Mode.FILL, Size(300, 200), gravity, 95, explain=True)
    made = render(simplejpeg.encode_jpeg(warm), transform, smart_faces=smart_faces).body
    pixels = simplejpeg.decode_jpeg(made).astype(int)
    blue = (pixels[..., 2] > pixels[..., 0] + 30).sum()
    assert (blue > 200) == (gravity is Anchor.FACE or (gravity is Anchor.SMART and smart_faces))


def test_a_box_as_thin_as_a_line_is_still_seen() -> None:
    pixels = np.full((10, 12800, 3), 200, np.uint8)
    assert tuple(drawing(pixels, Box(5, 0, 1, 10))[0, 0]) == (255, 220, 0)
