"""Where people look: which part of a picture `fill` keeps.

On a copy of at most 64 pixels a side, a pixel counts for how far its colour is from the
colours of the picture's border (what reaches the border is mostly background: Wei et al.,
"Geodesic Saliency Using Background Priors", ECCV 2012), for its edges, and for how near it is
to the middle, where photographers put what they mean (Tatler, "The central fixation bias in
scene viewing", Journal of Vision 7(14), 2007).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from micropic.domain.geometry import ALIGNMENT, place_aligned
from micropic.domain.model import Anchor, Box, FocusPoint, Size
from micropic.imaging.pixels import Pixels

Map = npt.NDArray[np.float32]
"""H x W, float32, 0 and up."""

_SIDE = 64
_BORDER = 0.08
"""The share of each side that counts as border."""
_CENTRE_SIGMA = 0.3
"""How wide the middle is, as a share of the side."""


def place_salient(pixels: Pixels, window: Size) -> Box:
    """Place the window over the part that stands out most."""
    height, width = pixels.shape[:2]
    picture = Size(width, height)
    if picture == window:
        return Box(0, 0, *window)
    step = -(-max(picture) // _SIDE)
    down, along = min(step, height), min(step, width)
    salient = saliency(pixels[down // 2 :: down, along // 2 :: along])
    # A window of the largest size that fits has room to move along one side alone.
    along_x = picture.width - window.width >= picture.height - window.height
    share = window.width / picture.width if along_x else window.height / picture.height
    best = _best_position(salient.sum(axis=0 if along_x else 1), share)
    middle = ALIGNMENT[Anchor.CENTER]
    alignment = FocusPoint(best, middle.y) if along_x else FocusPoint(middle.x, best)
    return place_aligned(picture, window, alignment)


def saliency(pixels: Pixels) -> Map:
    """Give how much each pixel of a small picture stands out."""
    colour = pixels.astype(np.float32)
    height, width = colour.shape[:2]
    unusual = _distance_from_border(colour)
    edges = _edges(colour.mean(axis=2))
    pull = np.outer(_towards_middle(height), _towards_middle(width))
    salient: Map = (_scaled(unusual) + _scaled(edges)) * pull
    return salient


def _distance_from_border(colour: npt.NDArray[np.float32]) -> Map:
    """Give each pixel's Mahalanobis distance from the distribution of the border's colours."""
    height, width = colour.shape[:2]
    top, side = max(1, round(height * _BORDER)), max(1, round(width * _BORDER))
    border = np.concatenate(
        [
            colour[:top].reshape(-1, 3),
            colour[-top:].reshape(-1, 3),
            colour[:, :side].reshape(-1, 3),
            colour[:, -side:].reshape(-1, 3),
        ]
    )
    mean = border.mean(axis=0)
    # 25 is five levels squared: no border is so even that noise should stand out from it.
    covariance = (border - mean).T @ (border - mean) / len(border) + 25 * np.eye(3)
    difference = colour - mean
    inverse = np.linalg.inv(covariance).astype(np.float32)
    distance: Map = np.sqrt(((difference @ inverse) * difference).sum(axis=2))
    return distance


def _edges(luminance: npt.NDArray[np.float32]) -> Map:
    energy = np.zeros_like(luminance)
    energy[:, 1:] += np.abs(np.diff(luminance, axis=1))
    energy[1:] += np.abs(np.diff(luminance, axis=0))
    return energy


def _towards_middle(length: int) -> npt.NDArray[np.float32]:
    offset = (np.arange(length, dtype=np.float32) + 0.5) / length - 0.5
    pull: npt.NDArray[np.float32] = np.exp(-0.5 * (offset / _CENTRE_SIGMA) ** 2)
    return pull


def _scaled(salient: Map) -> Map:
    """Bring to a mean of 1, so that kinds of evidence can be added."""
    scaled: Map = salient / (salient.mean() + np.float32(1e-6))
    return scaled


def _best_position(profile: npt.NDArray[np.float32], share: float) -> float:
    """Give where a window of `share` of the length holds the most, as an alignment 0 to 1.

    Among equals the one nearest to the middle.
    """
    length = len(profile)
    window = max(1, min(length, round(length * share)))
    if window == length:
        return 0.5
    sums = np.concatenate([[0.0], np.cumsum(profile, dtype=np.float64)])
    held = sums[window:] - sums[:-window]
    candidates = np.flatnonzero(held >= held.max() * (1 - 1e-6))
    middle = (len(held) - 1) / 2
    best = candidates[np.argmin(np.abs(candidates - middle))]
    return float(best / (len(held) - 1))
