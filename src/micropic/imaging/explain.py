"""A drawing of how a cut was chosen."""

from __future__ import annotations

import numpy as np

from micropic.domain.model import Box, Format, Transform
from micropic.imaging import engine
from micropic.imaging.encoders import encode
from micropic.imaging.frames import Frames
from micropic.imaging.kinds import Limits
from micropic.imaging.pixels import Pixels
from micropic.imaging.saliency import Map, saliency

_QUALITY = 85
_DIMMED = 0.25
"""What is left of the light where nothing stands out."""
_OUTSIDE = 0.5
"""What is left of the light outside the cut."""
_FRAME = (255, 220, 0)


def explain(data: bytes | memoryview, transform: Transform) -> bytes:
    """Draw the whole picture as a JPEG: bright what stands out, and framed what `fill` keeps.

    Raises what `engine.render` raises.
    """
    _, frames, output = engine.prepare(data, transform, Limits())
    pixels = engine.opaque(frames.first, transform)
    drawing = drawn(pixels, saliency(pixels), engine.place(frames.first, output, transform))
    return encode(Frames((drawing,)), Format.JPEG, _QUALITY)


def drawn(pixels: Pixels, salient: Map, box: Box) -> Pixels:
    """Light the picture by its saliency, and frame the box."""
    height, width = pixels.shape[:2]
    rows = np.arange(height) * salient.shape[0] // height
    columns = np.arange(width) * salient.shape[1] // width
    light = _DIMMED + (1 - _DIMMED) * np.sqrt(salient / max(float(salient.max()), 1e-6))
    inside = np.full((height, width), _OUTSIDE, np.float32)
    inside[_rows(box), _columns(box)] = 1
    lit = pixels * (light[np.ix_(rows, columns)] * inside)[..., None]
    drawing: Pixels = lit.astype(np.uint8)
    _frame(drawing, box, thickness=max(1, min(height, width) // 150))
    return drawing


def _rows(box: Box) -> slice:
    return slice(box.top, box.top + box.height)


def _columns(box: Box) -> slice:
    return slice(box.left, box.left + box.width)


def _frame(drawing: Pixels, box: Box, thickness: int) -> None:
    cut = drawing[_rows(box), _columns(box)]
    for side in (cut[:thickness], cut[-thickness:], cut[:, :thickness], cut[:, -thickness:]):
        side[:] = _FRAME
