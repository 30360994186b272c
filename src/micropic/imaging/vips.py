"""Every other kind, by libvips (and Pillow, where libvips has no loader), and resampling."""

from __future__ import annotations

import numpy as np
import pyvips

from micropic.domain.errors import TooMuchMemory
from micropic.domain.model import Box, Size
from micropic.imaging.jpeg import Pixels
from micropic.imaging.probe import Kind, Picture, broken, is_pillow, load, open_pillow

_WHITE = [255, 255, 255]
_FAIL_ON = {
    Kind.PNG: pyvips.FailOn.TRUNCATED,
    Kind.GIF: pyvips.FailOn.TRUNCATED,
    Kind.TIFF: pyvips.FailOn.WARNING,
}
"""At which fault the loader is to stop, for the kinds that are not decoded at a smaller scale.

`thumbnail_buffer` scales while it loads, but lets these pass with their lower part missing.
"""
_ALLOWED_LOADERS = ("Jpeg", "Png", "Webp", "Nsgif", "Heif", "Tiff", "Svg")


def restrict_loaders() -> None:
    """Leave libvips the loaders for the kinds that `probe` lets through, and no other."""
    pyvips.operation_block_set("VipsForeignLoad", True)  # noqa: FBT003 # a C call
    for name in _ALLOWED_LOADERS:
        pyvips.operation_block_set(f"VipsForeignLoad{name}", False)  # noqa: FBT003


def decode(data: bytes | memoryview, picture: Picture, whole: Size) -> Pixels:
    """Decode to exactly `whole`, upright, sRGB, what is transparent laid on white.

    Raises:
        BrokenImage: the data is damaged or incomplete.
        TooMuchMemory: it took more than the process may have.

    """
    try:
        image = _thumbnail(data, picture, whole)
        if image.hasalpha():
            image = image.flatten(background=_WHITE)
        if image.interpretation != pyvips.Interpretation.SRGB:
            image = image.colourspace(pyvips.Interpretation.SRGB)
        return _pixels(image.cast(pyvips.BandFormat.UCHAR))
    except pyvips.Error as error:
        if "out of memory" in str(error):
            msg = "Decoding the picture takes more memory than render.max_memory allows."
            raise TooMuchMemory(msg) from error
        raise broken(picture.kind) from error


def resample(pixels: Pixels, box: Box, size: Size) -> Pixels:
    """Cut `box` out and bring it to `size` (Lanczos 3)."""
    cut = pixels[box.top : box.top + box.height, box.left : box.left + box.width]
    if (box.width, box.height) == size:
        return cut
    return _pixels(_image(cut).resize(size.width / box.width, vscale=size.height / box.height))


def _thumbnail(data: bytes | memoryview, picture: Picture, whole: Size) -> pyvips.Image:
    settings = {
        "height": whole.height,
        "size": pyvips.Size.FORCE,
        "output_profile": "srgb",
    }
    if is_pillow(picture.kind):
        return _load_pillow(data, picture.kind).thumbnail_image(whole.width, **settings)
    if picture.kind not in _FAIL_ON:
        return pyvips.Image.thumbnail_buffer(
            data, whole.width, fail_on=pyvips.FailOn.TRUNCATED, **settings
        )
    # To stand a picture upright its pixels are needed out of their order.
    access = pyvips.Access.SEQUENTIAL if picture.orientation == 1 else pyvips.Access.RANDOM
    image = load(data, picture.kind, access=access, fail_on=_FAIL_ON[picture.kind])
    return image.thumbnail_image(whole.width, **settings)


def _load_pillow(data: bytes | memoryview, kind: Kind) -> pyvips.Image:
    try:
        decoded = np.asarray(open_pillow(kind, data).convert("RGBA"))
    except MemoryError:
        raise
    except Exception as error:  # Pillow's readers let many kinds out
        raise broken(kind) from error
    return _image(decoded).copy(interpretation=pyvips.Interpretation.SRGB)


def _image(pixels: Pixels) -> pyvips.Image:
    height, width, bands = pixels.shape
    contiguous = np.ascontiguousarray(pixels)
    return pyvips.Image.new_from_memory(contiguous, width, height, bands, pyvips.BandFormat.UCHAR)


def _pixels(image: pyvips.Image) -> Pixels:
    return np.frombuffer(image.write_to_memory(), np.uint8).reshape(
        image.height, image.width, image.bands
    )
