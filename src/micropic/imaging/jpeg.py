"""The fast path: JPEG by libjpeg-turbo."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import simplejpeg

from micropic.domain.model import Size
from micropic.imaging.probe import Kind, Picture, broken

Pixels = npt.NDArray[np.uint8]
"""H x W x 3, uint8, sRGB."""


def decode(data: bytes | memoryview, picture: Picture, minimum: Size) -> Pixels:
    """Decode at the smallest scale (1/8 to 8/8) that is at least `minimum`, upright.

    Raises:
        BrokenImage: the data is damaged or incomplete.

    """
    stored = minimum if picture.orientation < 5 else Size(minimum.height, minimum.width)  # noqa: PLR2004
    try:
        pixels: Pixels = simplejpeg.decode_jpeg(
            data, min_width=stored.width, min_height=stored.height, min_factor=1
        )
    except ValueError as error:
        raise broken(Kind.JPEG) from error
    return upright(pixels, picture.orientation)


def encode(pixels: Pixels, quality: int) -> bytes:
    """Encode, 4:2:0."""
    data: bytes = simplejpeg.encode_jpeg(
        np.ascontiguousarray(pixels), quality=quality, colorsubsampling="420", fastdct=True
    )
    return data


def upright(pixels: npt.NDArray[Any], orientation: int) -> npt.NDArray[Any]:
    """Undo an EXIF orientation (Exif 2.32, section 4.6.4): what is stored to what is seen."""
    if orientation >= 5:  # noqa: PLR2004 # 5 to 8 have rows and columns swapped
        pixels = pixels.transpose(1, 0, 2)
    if orientation in {3, 4, 7, 8}:
        pixels = pixels[::-1]
    if orientation in {2, 3, 6, 7}:
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)
