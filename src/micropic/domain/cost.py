"""Estimated cost of a render, before a pixel is decoded.

The unit is a second of the reference core, on which `python -m benchmarks cost` found the
estimates to be 0.6 to 1.8 of the measured CPU time (docs/overload.md). Elsewhere only the ratios
hold: scheduling corrects an estimate by the measured time (`domain/fairness.py`).
"""

from __future__ import annotations

from typing import NamedTuple

from micropic.domain import geometry
from micropic.domain.model import Format, Mode, Size, Transform

LONG = 0.2
"""Seconds from which a render is long: several times a 12-megapixel photo's (0.03 to 0.06)."""
TRIM_ROOM = 4
"""How many times as large as its box an image is decoded whose border is to be trimmed."""
_LARGEST_DRAWING = Size(1280, 1280)
"""Of `explain`."""
PROGRESSIVE_JPEG = "progressive JPEG"

_MEGA = 1e6
_FIXED = 0.0015
_TYPICAL = 0.008
"""Of an image of which nothing is known yet: a photo of two megapixels."""
_DECODING = {"JPEG": 0.002, PROGRESSIVE_JPEG: 0.002, "PNG": 0.014, "WebP": 0.015, "GIF": 0.012,
             "AVIF": 0.05, "TIFF": 0.016, "BMP": 0.016, "ICO": 0.016, "SVG": 0.04}  # fmt: skip
"""Seconds per megapixel of the source, by the names of `imaging.kinds.Kind`."""
_PROGRESSIVE = 0.012
"""Seconds per megapixel of what is decoded: the scans that a smaller one needs are fewer."""
_SCALING, _ENLARGING = 0.008, 0.035
"""Seconds per megapixel: of what is scaled down, and of what an enlargement results in."""
_TRIMMING = 0.04
_BLUR, _BLUR_PER_SIGMA, _BLUR_AT_MOST = 0.003, 0.0005, 0.02
"""Large sigmas cost no more: the blurred copy is a small one (`imaging.pixels.blur`)."""
_SHARPEN, _SHARPEN_PER_SIGMA = 0.065, 0.0075
_ENCODING = {Format.JPEG: 0.004, Format.PNG: 0.045, Format.WEBP: 0.045, Format.AVIF: 0.15,
             Format.GIF: 0.5}  # fmt: skip
_FINE_QUALITY, _AVIF_PER_QUALITY = 80, 0.015
"""Above a quality of 80 each step costs AVIF a tenth more."""


class Source(NamedTuple):
    """What is known of a source image from its header."""

    kind: str
    """A name of `imaging.kinds.Kind`, or `PROGRESSIVE_JPEG`."""
    size: Size
    """Upright, in pixels."""
    frames: int = 1


def is_long(seconds: float) -> bool:
    """Return whether a render of this cost is a long one."""
    return seconds > LONG


def least(transform: Transform) -> float:
    """Return what a render costs whatever its source is, in seconds."""
    return _FIXED + _finishing(_known_output(transform), transform, _candidates(transform, 1))


def unknown(transform: Transform) -> float:
    """Estimate the cost of a render whose source is not here yet, in seconds."""
    return _TYPICAL + least(transform)


def estimate(source: Source, transform: Transform, wanted: Format | None = None) -> float:
    """Estimate the cost of a render, in seconds.

    Without the format that is `wanted` it is the cheapest of those that the image may turn out to
    need.
    """
    frames = source.frames if transform.formats.animated else 1
    formats = (wanted,) if wanted else _candidates(transform, frames)
    decoded = _decoded(source, transform)
    output = geometry.output_size(
        source.size, transform.mode, transform.size, enlarge=transform.enlarge
    )
    if transform.mode is Mode.FIT and transform.trim is not None:
        output = Size(*map(min, source.size, transform.size))  # of whatever shape is left
    if transform.explain:
        output = geometry.fit_size(decoded, _LARGEST_DRAWING)
    each = _DECODING[source.kind] * _megapixels(decoded if source.kind == "SVG" else source.size)
    each += _scaling(decoded, output)
    if source.kind == PROGRESSIVE_JPEG:
        each += _PROGRESSIVE * _megapixels(decoded)
    if transform.trim is not None:
        each += _TRIMMING * _megapixels(decoded)
    return _FIXED + frames * (each + _finishing(output, transform, formats))


def _known_output(transform: Transform) -> Size:
    """Return the size of the output as far as it does not depend on the source."""
    is_known = transform.mode is Mode.FILL and transform.enlarge and not transform.explain
    return transform.size if is_known else Size(1, 1)


def _candidates(transform: Transform, frames: int) -> tuple[Format, ...]:
    formats = transform.formats
    if formats.animated and frames > 1:
        return (formats.animated,)
    return formats.opaque, formats.transparent


def _decoded(source: Source, transform: Transform) -> Size:
    room = 1 if transform.trim is None else TRIM_ROOM
    box = Size(transform.size.width * room, transform.size.height * room)
    whole = geometry.whole_size(source.size, transform.mode, box)
    return source.size if whole.width > source.size.width and source.kind != "SVG" else whole


def _scaling(decoded: Size, output: Size) -> float:
    if decoded == output:
        return 0.0
    before, after = _megapixels(decoded), _megapixels(output)
    return _ENLARGING * after if after > before else _SCALING * before


def _finishing(output: Size, transform: Transform, formats: tuple[Format, ...]) -> float:
    """Return the cost of all that is done to one frame of the output."""
    each = min(_encoding(wanted, transform.quality) for wanted in formats)
    if transform.blur:
        each += min(_BLUR + _BLUR_PER_SIGMA * transform.blur, _BLUR_AT_MOST)
    if transform.sharpen:
        each += _SHARPEN + _SHARPEN_PER_SIGMA * transform.sharpen
    return each * _megapixels(output)


def _encoding(wanted: Format, quality: int) -> float:
    finer = max(0, quality - _FINE_QUALITY) if wanted is Format.AVIF else 0
    return _ENCODING[wanted] + _AVIF_PER_QUALITY * finer


def _megapixels(size: Size) -> float:
    return size.width * size.height / _MEGA
