"""Where people look: which part of a picture `fill` keeps.

On a copy of at most 64 pixels a side, a pixel counts for how far its colour is from the
colours of the picture's border (what reaches the border is mostly background: Wei et al.,
"Geodesic Saliency Using Background Priors", ECCV 2012), times how much detail is around it
(what a photographer means is in focus: Jiang et al., "Salient Region Detection by UFO:
Uniqueness, Focusness and Objectness", ICCV 2013), times how near it is to the middle, where
photographers put what they mean (Tatler, "The central fixation bias in scene viewing", Journal
of Vision 7(14), 2007).

It is a product because each factor errs where another does not: grass is full of detail, but of
the border's colours; a blurred backdrop may have colours of its own, but no detail. docs/crop.md
has what each one gives, and what else was tried.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from micropic.domain.geometry import ALIGNMENT, place_aligned
from micropic.domain.model import Anchor, Box, FocusPoint, Size
from micropic.imaging.pixels import Pixels, size_of

Map = npt.NDArray[np.float32]
"""H x W, float32, 0 and up."""

_SIDE = 64
_BORDER = 0.08
"""The share of each side that counts as border."""
_CENTRE = FocusPoint(0.5, 0.38)
"""The middle of a square picture, for the eye: heads stand above the half height."""
_LOWER = 0.06
"""How much lower the middle of a picture is that is e times as wide as it is high."""
_SIGMA = FocusPoint(0.22, 0.2)
"""How wide the middle is, as shares of the width and the height."""
_CONTRAST = 1.25
"""The power of colour and detail against that of the place."""
_NEAR, _AROUND = 2.0, 4.0
"""How far colour and detail are blurred: sigma, in cells of the grid."""
_FLOOR = 0.1
"""What a factor of the product is at least, in units of its mean: none may veto the others."""


def place_salient(pixels: Pixels, window: Size, shown: Box | None = None) -> Box:
    """Place the window over the part that stands out most of where it shows `shown`, if given."""
    picture = size_of(pixels)
    if picture == window:
        return Box(0, 0, *window)
    salient = saliency(pixels)
    # A window of the largest size that fits has room to move along one side alone.
    along_x = picture.width - window.width >= picture.height - window.height
    share = window.width / picture.width if along_x else window.height / picture.height
    profile = salient.sum(axis=0 if along_x else 1)
    best = _best_position(profile, share, shown and _span(shown, picture, along_x=along_x))
    middle = ALIGNMENT[Anchor.CENTER]
    alignment = FocusPoint(best, middle.y) if along_x else FocusPoint(middle.x, best)
    return place_aligned(picture, window, alignment)


def saliency(pixels: Pixels) -> Map:
    """Give how much each part of a picture stands out, on a grid of at most 64 x 64."""
    colour = _sampled(pixels)
    unusual = _blurred(_distance_from_border(colour), _NEAR)
    detail = _blurred(_detail(colour.mean(axis=0)), _AROUND)
    salient: Map = (_factor(unusual) * _factor(detail)) ** _CONTRAST * _pull(*detail.shape)
    return salient


def _sampled(pixels: Pixels) -> npt.NDArray[np.float32]:
    """Give the colours of at most 64 x 64 pixels that are spread evenly: 3 x H x W.

    They are picked, not averaged: that is quicker, and averaging would hide the detail that
    tells what is sharp from what is not.
    """
    height, width = pixels.shape[:2]
    step = -(-max(height, width) // _SIDE)
    down, along = min(step, height), min(step, width)
    picked = pixels[down // 2 :: down, along // 2 :: along].transpose(2, 0, 1)
    return picked.astype(np.float32, order="C")  # what is done to all pixels is quicker by channel


def _detail(luminance: npt.NDArray[np.float32]) -> Map:
    """Give each pixel's difference from its neighbours to the left and above."""
    detail = np.zeros_like(luminance)
    detail[:, 1:] += np.abs(np.diff(luminance, axis=1))
    detail[1:] += np.abs(np.diff(luminance, axis=0))
    return detail


def _distance_from_border(colour: npt.NDArray[np.float32]) -> Map:
    """Give each pixel's Mahalanobis distance from the distribution of the border's colours."""
    _, height, width = colour.shape
    top, side = max(1, round(height * _BORDER)), max(1, round(width * _BORDER))
    edges = colour[:, :top], colour[:, -top:], colour[..., :side], colour[..., -side:]
    border = np.concatenate([edge.reshape(3, -1) for edge in edges], axis=1)
    mean = border.mean(axis=1, keepdims=True)
    # 25 is five levels squared: no border is so even that noise should stand out from it.
    covariance = (border - mean) @ (border - mean).T / border.shape[1] + 25 * np.eye(3)
    whitening = np.linalg.cholesky(np.linalg.inv(covariance)).astype(np.float32)
    white = whitening.T @ (colour.reshape(3, -1) - mean)
    distance: Map = np.sqrt((white * white).sum(axis=0)).reshape(height, width)
    return distance


def _blurred(evidence: Map, sigma: float) -> Map:
    """Blur by a Gaussian of `sigma` cells."""
    height, width = evidence.shape
    across: Map = evidence @ _blur(width, sigma).T
    blurred: Map = _blur(height, sigma) @ across
    return blurred


@lru_cache(maxsize=256)
def _blur(length: int, sigma: float) -> Map:
    """Give the matrix that blurs a column: `length` x `length`, each row sums to 1."""
    place = np.arange(length, dtype=np.float32)
    weights = np.exp(-0.5 * ((place[:, None] - place) / sigma) ** 2)
    matrix: Map = weights / weights.sum(axis=1, keepdims=True)
    return matrix


def _factor(evidence: Map) -> Map:
    """Bring to a mean of about 1, so that kinds of evidence weigh alike, and above the floor."""
    scaled: Map = evidence / (evidence.mean() + np.float32(1e-6)) + np.float32(_FLOOR)
    return scaled


@lru_cache(maxsize=256)
def _pull(height: int, width: int) -> Map:
    middle = _CENTRE.y + _LOWER * math.log(width / height)
    pull: Map = np.outer(_towards(middle, _SIGMA.y, height), _towards(_CENTRE.x, _SIGMA.x, width))
    return pull


def _towards(centre: float, sigma: float, length: int) -> npt.NDArray[np.float32]:
    place = (np.arange(length, dtype=np.float32) + 0.5) / length
    pull: npt.NDArray[np.float32] = np.exp(-0.5 * ((place - centre) / sigma) ** 2)
    return pull


def _span(box: Box, picture: Size, *, along_x: bool) -> tuple[float, float]:
    """Give where the box starts and ends, as shares of the picture."""
    if along_x:
        return box.left / picture.width, (box.left + box.width) / picture.width
    return box.top / picture.height, (box.top + box.height) / picture.height


def _best_position(
    profile: npt.NDArray[np.float32], share: float, span: tuple[float, float] | None
) -> float:
    """Give where a window of `share` of the length holds the most, as an alignment 0 to 1.

    Only those count that miss the least of the span, if one is given. Among equals the one
    nearest to the middle.
    """
    length = len(profile)
    window = max(1, min(length, round(length * share)))
    if window == length:
        return 0.5
    sums = np.concatenate([[0.0], np.cumsum(profile, dtype=np.float64)])
    held = sums[window:] - sums[:-window]
    if span:
        missed = _missed(np.arange(len(held)), window, span[0] * length, span[1] * length)
        held[missed > missed.min()] = 0
    candidates = np.flatnonzero(held >= held.max() * (1 - 1e-6))
    middle = (len(held) - 1) / 2
    best = candidates[np.argmin(np.abs(candidates - middle))]
    return float(best / (len(held) - 1))


def _missed(
    starts: npt.NDArray[np.int64], window: int, first: float, last: float
) -> npt.NDArray[np.float64]:
    """Give how much of the cells from first to last each window misses.

    Of what is longer than a window it is the middle that counts.
    """
    middle, reach = (first + last) / 2, min(last - first, window) / 2
    before = np.maximum(starts - (middle - reach), 0)
    after = np.maximum(middle + reach - (starts + window), 0)
    missed: npt.NDArray[np.float64] = before + after
    return missed
