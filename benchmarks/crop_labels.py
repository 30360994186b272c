"""Where the subject of each picture is, and the pictures themselves."""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pyvips

from benchmarks import packages
from micropic.domain.model import Box, FocusPoint, Size
from micropic.imaging.pixels import Pixels

SETS = {1: "crop_labels.toml", 2: "crop_labels_2.toml"}
_LONGER_SIDE = 640
"""Pixels of the pictures as every detector gets them: about what is decoded for a preview."""
_FETCHERS = {"debian": packages.debian, "npm": packages.npm, "pypi": packages.pypi}


@dataclass(frozen=True, slots=True)
class Label:
    """One picture's subject, in shares of its width and height."""

    set: int
    """Of SETS."""
    source: str
    """`debian`, `npm` or `pypi`."""
    package: str
    path: str
    """Inside the package."""
    point: FocusPoint
    left: float
    top: float
    right: float
    bottom: float

    def read(self, cache: Path) -> Pixels | None:
        """Give the picture as H x W x 3, uint8, sRGB; None if it is not to be had."""
        folder = _FETCHERS[self.source](self.package, cache)
        if folder is None or not (folder / self.path).is_file():
            return None
        image = pyvips.Image.thumbnail(str(folder / self.path), _LONGER_SIDE, size="down")
        if image.hasalpha():
            image = image.flatten(background=255)
        pixels: Pixels = image.colourspace("srgb").numpy()
        return pixels

    def visible(self, picture: Size, window: Box) -> float:
        """Give how much of the box the window shows, as a share of the most it could show."""
        width, height = (self.right - self.left), (self.bottom - self.top)
        across = _overlap(self.left, self.right, window.left, window.width, picture.width)
        down = _overlap(self.top, self.bottom, window.top, window.height, picture.height)
        most = min(width, window.width / picture.width) * min(
            height, window.height / picture.height
        )
        return across * down / most

    def shows_point(self, picture: Size, window: Box) -> bool:
        """Say whether the window shows the point."""
        x, y = (
            self.point.x * picture.width - window.left,
            self.point.y * picture.height - window.top,
        )
        return 0 <= x <= window.width and 0 <= y <= window.height


def read_labels() -> tuple[list[Label], list[Label]]:
    """Give the half to tune on and the half to report.

    They alternate in the order of the SHA-256 of the pictures' paths, so that nobody chooses:
    within each set, since another order of the first would report what had been tuned on.
    """
    tune, report = [], []
    for number, name in SETS.items():
        labels = _labels_in(number, Path(__file__).with_name(name))
        labels.sort(key=lambda label: hashlib.sha256(label.path.encode()).digest())
        tune += labels[::2]
        report += labels[1::2]
    return tune, report


def _labels_in(number: int, file: Path) -> list[Label]:
    return [
        Label(number, source, package, path, FocusPoint(x, y), *box)
        for source, found in tomllib.loads(file.read_text()).items()
        for package, pictures in found.items()
        for path, (x, y, *box) in pictures.items()
    ]


def _overlap(start: float, end: float, before: int, length: int, whole: int) -> float:
    """Give how much of start to end the window shows, all in shares of the whole."""
    return max(0.0, min(end, (before + length) / whole) - max(start, before / whole))
