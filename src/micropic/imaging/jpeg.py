"""The fast path: JPEG by libjpeg-turbo."""

from __future__ import annotations

import simplejpeg

from micropic.domain.geometry import displayed
from micropic.domain.model import Size
from micropic.imaging.kinds import Kind
from micropic.imaging.pixels import Pixels, upright
from micropic.imaging.probe import Picture, broken


def decode(data: bytes | memoryview, picture: Picture, minimum: Size) -> Pixels:
    """Decode at the smallest scale (1/8 to 8/8) that is at least `minimum`, upright.

    Raises:
        BrokenImage: the data is damaged or incomplete.

    """
    stored = displayed(minimum, picture.orientation)
    try:
        pixels: Pixels = simplejpeg.decode_jpeg(
            data, min_width=stored.width, min_height=stored.height, min_factor=1
        )
    except ValueError as error:
        raise broken(Kind.JPEG) from error
    return upright(pixels, picture.orientation)
