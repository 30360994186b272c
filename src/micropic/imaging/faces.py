"""Where the faces are: which part of a picture `g=face` keeps.

The detector is OpenCV's cascade of Haar features (Viola and Jones, "Rapid Object Detection using
a Boosted Cascade of Simple Features", CVPR 2001), whose model comes with the extra
`micropic[faces]`. It finds upright faces that look into the camera, and little else: docs/crop.md
says how many, and what it costs.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import pyvips

from micropic.domain.geometry import place_around
from micropic.domain.model import Box, FocusPoint, Size
from micropic.imaging.extras import has_faces
from micropic.imaging.pixels import Pixels, size_of
from micropic.imaging.saliency import place_salient

_MODEL = "haarcascade_frontalface_default.xml"
_SIDE = 160
"""Pixels of the longer side of the picture that is searched."""
_SCALE_STEP, _NEIGHBOURS = 1.1, 5
_LEAST = 0.1
"""The least face, as a share of the shorter side."""
_LEAST_PIXELS = 16
"""The least face, in pixels of the picture that is searched."""
_HAIR = 0.15
"""What stands above the face that was found, as a share of its height."""


def place_faces(pixels: Pixels, window: Size) -> Box:
    """Place the window over the largest face and as many others as fit; without one by saliency."""
    picture = size_of(pixels)
    if picture == window:
        return Box(0, 0, *window)
    faces = sorted(find_faces(pixels), key=lambda face: -face.width * face.height)
    if not faces:
        return place_salient(pixels, window)
    across = _grown([(face.left, face.left + face.width) for face in faces], window.width)
    down = _grown([(face.top, face.top + face.height) for face in faces], window.height)
    return place_around(picture, window, FocusPoint(across / picture.width, down / picture.height))


def find_faces(pixels: Pixels) -> list[Box]:
    """Give the faces with their hair, in no order; none where the extra is not installed."""
    height, width = pixels.shape[:2]
    scale = max(1.0, max(height, width) / _SIDE)
    if not has_faces() or min(height, width) < _LEAST_PIXELS * scale:
        return []
    grey = pyvips.Image.new_from_array(pixels).colourspace("b-w").resize(1 / scale).numpy()
    least = max(_LEAST_PIXELS, round(min(grey.shape[:2]) * _LEAST))
    found = _cascade().detectMultiScale(grey, _SCALE_STEP, _NEIGHBOURS, minSize=(least, least))
    return [_with_hair(scale, *(int(value) for value in face)) for face in found]


@lru_cache(maxsize=1)
def _cascade() -> Any:
    import cv2  # noqa: PLC0415 - an extra, and slow to load

    cv2.setNumThreads(1)
    return cv2.CascadeClassifier(str(Path(cv2.data.haarcascades) / _MODEL))


def _with_hair(scale: float, left: int, top: int, width: int, height: int) -> Box:
    hair = min(top, height * _HAIR)
    return Box(
        round(left * scale),
        round((top - hair) * scale),
        round(width * scale),
        round((height + hair) * scale),
    )


def _grown(spans: list[tuple[int, int]], room: int) -> float:
    """Grow the first span by each of the others that leaves it within the room; its middle."""
    start, end = spans[0]
    for low, high in spans[1:]:
        if max(end, high) - min(start, low) <= room:
            start, end = min(start, low), max(end, high)
    return (start + end) / 2
