"""Where the faces are: what `g=face` keeps, and `smart` where it may pay to look for them.

The detector is YuNet (Wu et al., "YuNet: A Tiny Millisecond-level Face Detector", Machine
Intelligence Research 20, 2023) as its authors' libfacedetection has it, whose model comes with
the extra `micropic[faces]`. docs/crop.md says how many faces it finds, and what it costs.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from micropic.domain.geometry import place_around
from micropic.domain.model import Box, FocusPoint, Size
from micropic.imaging.extras import has_faces
from micropic.imaging.pixels import Pixels, size_of
from micropic.imaging.saliency import place_salient
from micropic.imaging.yunet import detect

_SIDE, _SIDE_OF_SMART = 192, 96
"""Pixels of the longer side of what is searched: on demand, and for `smart`."""
_LEAST = 16
"""Pixels of the shorter side, under which nothing is searched."""
_SURE = 50
"""How sure the detector has to be of a face, in per cent."""
_ABOVE, _AROUND = 0.4, 0.2
"""How far a head reaches beyond its face: upwards, and elsewhere, as shares of the face."""
_SKIN = 0.1
"""The share of a picture that has the colours of skin if it pays to look for faces."""
_ROOMY = 0.7
"""The share of a picture that a window shows at most if it pays to look for faces."""
_COLOURLESS = 3.0
"""The mean chroma, in levels, up to which a picture says nothing of skin."""


def place_smart(pixels: Pixels, window: Size) -> Box:
    """Place the window over what stands out, and so that it shows the faces that are found."""
    return place_salient(pixels, window, _as_many_as_fit(glimpse_faces(pixels, window), window))


def place_faces(pixels: Pixels, window: Size) -> Box:
    """Place the window over the largest face and as many others as fit; without one by saliency."""
    picture = size_of(pixels)
    if picture == window:
        return Box(0, 0, *window)
    faces = _as_many_as_fit(find_faces(pixels), window)
    if faces is None:
        return place_salient(pixels, window)
    across, down = faces.left + faces.width / 2, faces.top + faces.height / 2
    return place_around(picture, window, FocusPoint(across / picture.width, down / picture.height))


def find_faces(pixels: Pixels) -> list[Box]:
    """Give the faces with their heads, in no order; none where the extra is not installed."""
    return _heads(pixels, _SIDE) if has_faces() else []


def glimpse_faces(pixels: Pixels, window: Size) -> list[Box]:
    """Give the faces that `smart` sees: as `find_faces`, but quicker, and only where it may pay.

    That is where there is skin, and where the window has room to move.
    """
    width, height = size_of(pixels)
    if not has_faces() or window.width * window.height > _ROOMY * width * height:
        return []
    return _heads(pixels, _SIDE_OF_SMART, where=_may_show_faces)


def _heads(
    pixels: Pixels, side: int, where: Callable[[Pixels], bool] = lambda _: True
) -> list[Box]:
    """Search pixels that are spread evenly, at most `side` in a row, if they are worth it."""
    step = -(-max(pixels.shape[:2]) // side)
    searched = pixels[step // 2 :: step, step // 2 :: step]
    if min(size_of(searched)) < _LEAST or not where(searched):
        return []
    return [_head(step, *face.box) for face in detect(searched) if face.sure >= _SURE]


def _head(step: int, left: int, top: int, width: int, height: int) -> Box:
    """Give the head of a face; it may reach beyond the picture."""
    return Box(
        round((left - _AROUND * width) * step),
        round((top - _ABOVE * height) * step),
        round((1 + 2 * _AROUND) * width * step),
        round((1 + _ABOVE + _AROUND) * height * step),
    )


def _may_show_faces(pixels: Pixels) -> bool:
    """Say whether there is skin, or no colour that could tell.

    The colours of skin are those of Chai and Ngan, "Face segmentation using skin-color map in
    videophone applications", IEEE Transactions on Circuits and Systems for Video Technology
    9(4), 1999: Cb from 77 to 127, Cr from 133 to 173.
    """
    red, green, blue = np.moveaxis(pixels[::2, ::2].astype(np.float32), 2, 0)
    light = 0.299 * red + 0.587 * green + 0.114 * blue
    blueness, redness = 0.564 * (blue - light), 0.713 * (red - light)
    skin = (blueness >= 77 - 128) & (blueness < 0) & (redness >= 133 - 128) & (redness <= 173 - 128)
    if skin.mean() >= _SKIN:
        return True
    return bool(np.abs(blueness).mean() + np.abs(redness).mean() <= _COLOURLESS)


def _as_many_as_fit(faces: list[Box], window: Size) -> Box | None:
    """Give the box of the largest face and of the others that leave it within the window."""
    if not faces:
        return None
    faces = sorted(faces, key=lambda face: -face.width * face.height)
    left, right = _grown([(face.left, face.left + face.width) for face in faces], window.width)
    top, bottom = _grown([(face.top, face.top + face.height) for face in faces], window.height)
    return Box(left, top, right - left, bottom - top)


def _grown(spans: list[tuple[int, int]], room: int) -> tuple[int, int]:
    """Grow the first span by each of the others that leaves it within the room."""
    start, end = spans[0]
    for low, high in spans[1:]:
        if max(end, high) - min(start, low) <= room:
            start, end = min(start, low), max(end, high)
    return start, end
