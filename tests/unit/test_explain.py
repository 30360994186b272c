"""`explain=1` and `micropic render --explain`: the drawing shows what was chosen, and why."""

import numpy as np
import simplejpeg

from micropic.domain.model import Anchor, Box, Mode, Size, Transform
from micropic.imaging.engine import render
from micropic.imaging.explain import drawing, drawn


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


def test_a_box_as_thin_as_a_line_is_still_seen() -> None:
    pixels = np.full((10, 12800, 3), 200, np.uint8)
    assert tuple(drawing(pixels, Box(5, 0, 1, 10))[0, 0]) == (255, 220, 0)
