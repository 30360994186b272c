"""`micropic render --explain`: the drawing shows what was chosen, and why."""

import numpy as np
import simplejpeg

from micropic.domain.model import Anchor, Box, Mode, Size, Transform
from micropic.imaging.explain import drawn, explain


def test_what_stands_out_is_lit_and_what_is_cut_off_is_dimmed() -> None:
    pixels = np.full((40, 80, 3), 200, np.uint8)
    salient = np.zeros((4, 8), np.float32)
    salient[1, 5] = 3
    drawing = drawn(pixels, salient, Box(40, 0, 40, 40)).astype(int)
    lit, unlit, outside = drawing[15, 55, 2], drawing[30, 70, 2], drawing[15, 20, 2]
    assert lit == 200
    assert lit > unlit > outside


def test_the_cut_is_framed_and_the_picture_itself_is_left_alone() -> None:
    pixels = np.full((40, 80, 3), 200, np.uint8)
    drawing = drawn(pixels, np.ones((4, 8), np.float32), Box(40, 0, 40, 40))
    assert [tuple(drawing[20, x]) == (255, 220, 0) for x in (39, 40, 79)] == [False, True, True]
    assert (pixels == 200).all()


def test_the_whole_picture_is_drawn() -> None:
    data = simplejpeg.encode_jpeg(np.full((60, 90, 3), 120, np.uint8))
    transform = Transform(Mode.FILL, Size(60, 60), Anchor.SMART, 80)
    assert simplejpeg.decode_jpeg(explain(data, transform)).shape == (60, 90, 3)
