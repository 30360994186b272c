"""What is done to decoded pictures: cut, resample, lay on a colour, blur, sharpen.

libvips does the work on pictures in memory; numpy arrays are what passes between the steps.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyvips

from micropic.domain import geometry
from micropic.domain.model import Box, Colour, Size

Pixels = npt.NDArray[np.uint8]
"""H x W x 3 or 4, uint8, sRGB; the fourth is alpha, not multiplied in."""

_KEPT_SAMPLES = 1 << 20
"""Samples, before and after, up to which a picture is resampled in one piece, and by what is kept
for the next one of its shape, unless it has alpha: then that is more than twenty times the memory,
for a third of the time. More are computed in strips by a thread of libvips, which takes less
memory, and some 0.1 ms for the thread."""
_KEPT_SHAPES = 16
_SIGMA_OF_COPY = 8.0
"""Of the blur of the smaller copy: below that the steps of its mask would show."""
_LEAST_FACTOR = 4
"""To shrink and enlarge costs as much as a direct blur by a sigma of 30."""
_REACH = 2.0
"""Sigmas; libvips leaves out what is less than a fifth of a Gaussian's middle, beyond 1.8."""
_OPAQUE = 255
_COLOURS = 3


def size_of(pixels: Pixels) -> Size:
    """Give width and height."""
    height, width = pixels.shape[:2]
    return Size(width, height)


def has_alpha(pixels: Pixels) -> bool:
    """Tell whether there is an alpha channel."""
    return bool(pixels.shape[2] > _COLOURS)


def without_idle_alpha(pixels: Pixels) -> Pixels:
    """Leave the alpha channel out where nothing is transparent."""
    if has_alpha(pixels) and pixels[:, :, _COLOURS].min() == _OPAQUE:
        return np.ascontiguousarray(pixels[:, :, :_COLOURS])
    return pixels


def upright(pixels: npt.NDArray[Any], orientation: int) -> npt.NDArray[Any]:
    """Undo an EXIF orientation (Exif 2.32, section 4.6.4): what is stored to what is seen."""
    if orientation == 1:
        return pixels
    transpose, rows, columns = geometry.flips(orientation)
    if transpose:
        pixels = pixels.transpose(1, 0, 2)
    if rows:
        pixels = pixels[::-1]
    if columns:
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def cut(pixels: Pixels, box: Box) -> Pixels:
    """Give a view of the part inside `box`."""
    return pixels[box.top : box.top + box.height, box.left : box.left + box.width]


def resample(pixels: Pixels, size: Size) -> Pixels:
    """Bring to `size` (Lanczos 3)."""
    if size_of(pixels) == size:
        return pixels
    is_large = max(pixels.size, size.width * size.height * _COLOURS) > _KEPT_SAMPLES
    if not (is_large or has_alpha(pixels)):
        return _resampler(pixels.shape, size)(pixels)
    resized = _resized(to_vips(pixels), size)
    return from_vips(resized) if is_large else _at_once(resized)


def lay_on(pixels: Pixels, colour: Colour) -> Pixels:
    """Lay what is transparent on a colour; gives three channels."""
    if not has_alpha(pixels):
        return pixels
    return from_vips(to_vips(pixels).flatten(background=list(colour)))


def blur(pixels: Pixels, sigma: float) -> Pixels:
    """Blur by a Gaussian; `sigma` in pixels."""
    image = to_vips(pixels)
    if not has_alpha(pixels):
        return from_vips(_blurred(image, sigma))
    blurred = _blurred(image.premultiply(), sigma).unpremultiply()
    return from_vips(blurred.cast(pyvips.BandFormat.UCHAR))


def _blurred(image: pyvips.Image, sigma: float) -> pyvips.Image:
    """Blur; by a large sigma a smaller copy, which costs as much as any other.

    What a Gaussian leaves has no detail that the copy lacks: on photos, noise and edges the result
    is off by less than 1 level of 255 in the mean, and by 3 at most. The edges are repeated before,
    as `gaussblur` does, else a row of pixels would count for as many as are shrunk to one.
    """
    factor = int(sigma / _SIGMA_OF_COPY)
    if factor < _LEAST_FACTOR:
        return image.gaussblur(sigma)
    margin = factor * math.ceil(_REACH * sigma / factor)
    width, height = (
        factor * math.ceil((side + 2 * margin) / factor) for side in (image.width, image.height)
    )
    copy = image.embed(margin, margin, width, height, extend=pyvips.Extend.COPY)
    copy = copy.shrink(factor, factor).gaussblur(sigma / factor).copy_memory()
    enlarged = copy.resize(factor, kernel=pyvips.Kernel.LINEAR)
    return enlarged.crop(margin, margin, image.width, image.height)


def sharpen(pixels: Pixels, sigma: float) -> Pixels:
    """Sharpen lightness by an unsharp mask; `sigma` in pixels."""
    return from_vips(to_vips(pixels).sharpen(sigma=sigma))


def to_srgb(pixels: Pixels, profile: bytes) -> Pixels:
    """Bring RGB pixels from a profile to sRGB; with one that makes no sense they stay."""
    try:
        return by_profile(pixels, profile, pyvips.Interpretation.SRGB)
    except pyvips.Error:
        return pixels


def by_profile(samples: npt.NDArray[np.uint8], profile: bytes, interpretation: str) -> Pixels:
    """Bring samples of the colour space that `interpretation` names to sRGB.

    Raises:
        pyvips.Error: the profile is damaged, or is for another space.

    """
    image = _in_memory(samples).copy(interpretation=interpretation)
    image.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
    # The intent is the default, as in libvips' own thumbnails.
    return from_vips(image.icc_transform("srgb", embedded=True, depth=8))


def content_box(pixels: Pixels, tolerance: int) -> Box:
    """Find what is left without a border in the colour of the top left corner.

    A pixel belongs to the border if no channel is off by more than `tolerance` levels. A
    picture that is all border is left whole.
    """
    difference = np.abs(pixels.astype(np.int16) - pixels[0, 0].astype(np.int16)).max(axis=2)
    inside = difference > tolerance
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    if not rows.size:
        return Box(0, 0, *size_of(pixels))
    top, left = int(rows[0]), int(columns[0])
    return Box(left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top)


def to_vips(pixels: Pixels) -> pyvips.Image:
    """Give an image that reads the same memory, if that lies in one piece."""
    return _in_memory(pixels).copy(interpretation=pyvips.Interpretation.SRGB)


def from_vips(image: pyvips.Image) -> Pixels:
    """Compute an image of 8-bit samples."""
    return _array(image, image.write_to_memory())


class _Resampler:
    """Resamples pictures of one shape, one at a time.

    To build libvips' pipeline takes as long as what it then computes. So it is built once, on
    memory into which each picture is copied.
    """

    def __init__(self, shape: tuple[int, ...], size: Size) -> None:
        self._samples = np.empty(shape, np.uint8)
        # To name the colour space costs a tenth of the resize, which is the same in each.
        self._source = _in_memory(self._samples)
        self._result = _resized(self._source, size)

    def __call__(self, pixels: Pixels) -> Pixels:
        np.copyto(self._samples, pixels)
        self._source.invalidate()  # nor does anything further on stay as it was
        return _at_once(self._result)


_resampler = lru_cache(_KEPT_SHAPES)(_Resampler)
"""What sites show are pictures of a few shapes, in a few sizes."""


def _at_once(image: pyvips.Image) -> Pixels:
    """Compute a small image in one piece; with the region goes what the steps before it hold."""
    region = pyvips.Region.new(image)
    return _array(image, region.fetch(0, 0, image.width, image.height))


def _resized(image: pyvips.Image, size: Size) -> pyvips.Image:
    across, down = size.width / image.width, size.height / image.height
    if image.bands == _COLOURS:
        return image.resize(across, vscale=down)
    # What is transparent has a colour that nobody sees: it must not bleed into its neighbours.
    resized = image.premultiply().resize(across, vscale=down)
    return resized.unpremultiply().cast(pyvips.BandFormat.UCHAR)


def _array(image: pyvips.Image, samples: Any) -> Pixels:
    return np.frombuffer(samples, np.uint8).reshape(image.height, image.width, image.bands)


def _in_memory(pixels: Pixels) -> pyvips.Image:
    height, width, bands = pixels.shape
    contiguous = np.ascontiguousarray(pixels)
    return pyvips.Image.new_from_memory(contiguous, width, height, bands, pyvips.BandFormat.UCHAR)
