"""A drawing of how a cut was chosen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from micropic.domain import geometry
from micropic.domain.model import Box, Size
from micropic.imaging.pixels import Pixels, resample, size_of
from micropic.imaging.saliency import Map, saliency

_LONGEST_SIDE = 1280
"""Of a drawing, in pixels."""
_DIMMED = 0.35
"""What is left of the light where nothing stands out."""
_OUTSIDE = 0.5
"""What is left of the light outside the cut."""
_CUT, _FACE = (255, 220, 0), (90, 200, 255)
"""The colours of the frames."""


def drawing(pixels: Pixels, box: Box, faces: Sequence[Box] = ()) -> Pixels:
    """Draw the whole picture: bright what stands out, and framed the `box` that is kept.

    The `faces` that were seen are framed, too. `pixels` are three channels. The drawing is made
    smaller where a side is longer than 1280.
    """
    before = size_of(pixels)
    after = geometry.fit_size(before, Size(_LONGEST_SIDE, _LONGEST_SIDE))
    seen = [_scaled(_inside(face, before), before, after) for face in faces]
    return drawn(resample(pixels, after), saliency(pixels), _scaled(box, before, after), seen)


def drawn(pixels: Pixels, salient: Map, box: Box, faces: Sequence[Box] = ()) -> Pixels:
    """Light the picture by its saliency, and frame the box and the faces."""
    height, width = pixels.shape[:2]
    rows = np.arange(height) * salient.shape[0] // height
    columns = np.arange(width) * salient.shape[1] // width
    light = _DIMMED + (1 - _DIMMED) * np.sqrt(salient / max(float(salient.max()), 1e-6))
    inside = np.full((height, width), _OUTSIDE, np.float32)
    inside[_rows(box), _columns(box)] = 1
    lit = pixels * (light[np.ix_(rows, columns)] * inside)[..., None]
    result: Pixels = lit.astype(np.uint8)
    thickness = max(1, min(height, width) // 150)
    for face in faces:
        _frame(result, face, _FACE, (thickness + 1) // 2)
    _frame(result, box, _CUT, thickness)
    return result


def _inside(box: Box, picture: Size) -> Box:
    """Leave away what reaches beyond the picture."""
    left, top = max(0, box.left), max(0, box.top)
    right = min(picture.width, box.left + box.width)
    bottom = min(picture.height, box.top + box.height)
    return Box(left, top, right - left, bottom - top)


def _scaled(box: Box, before: Size, after: Size) -> Box:
    """Give the box's place in a picture that was brought from one size to another."""
    left, right = (x * after.width // before.width for x in (box.left, box.left + box.width))
    top, bottom = (y * after.height // before.height for y in (box.top, box.top + box.height))
    return Box(left, top, max(1, right - left), max(1, bottom - top))


def _rows(box: Box) -> slice:
    return slice(box.top, box.top + box.height)


def _columns(box: Box) -> slice:
    return slice(box.left, box.left + box.width)


def _frame(picture: Pixels, box: Box, colour: tuple[int, int, int], thickness: int) -> None:
    cut = picture[_rows(box), _columns(box)]
    for side in (cut[:thickness], cut[-thickness:], cut[:, :thickness], cut[:, -thickness:]):
        side[:] = colour
