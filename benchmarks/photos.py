"""The photos: twelve real ones from a Debian package, or made ones where there is no Debian."""

from __future__ import annotations

import io
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from benchmarks import packages

_PACKAGE = "mate-backgrounds"
_FOLDER = "usr/share/backgrounds/mate/nature"
_COUNT = 12
_WIDTHS = (1280, 1680, 1920, 2560)
"""Pixels; the range of the real ones."""


@dataclass(frozen=True, slots=True)
class Photos:
    """JPEG files in one folder."""

    folder: Path
    origin: str
    """Where they come from, for people."""

    @property
    def names(self) -> list[str]:
        """Their file names, in order."""
        return sorted(path.name for path in self.folder.glob("*.jpg"))

    def read(self) -> list[bytes]:
        """Give what is in the files, in the order of the names."""
        return [(self.folder / name).read_bytes() for name in self.names]


def find(cache: Path) -> Photos:
    """Give the photos, from the folder `cache` or into it."""
    unpacked = packages.debian(_PACKAGE, cache)
    if unpacked is not None:
        return Photos(unpacked / _FOLDER, f"Debian's {_PACKAGE}, nature")
    made = cache / "made"
    cache.mkdir(parents=True, exist_ok=True)
    if not made.is_dir():
        _make(cache, made)
    return Photos(made, f"made from noise, since Debian's {_PACKAGE} is not to be had")


def _make(cache: Path, target: Path) -> None:
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        folder = Path(scratch) / target.name
        folder.mkdir()
        for number in range(_COUNT):
            (folder / f"made{number:02}.jpg").write_bytes(_photo_like(number))
        folder.rename(target)


def _photo_like(seed: int) -> bytes:
    """Draw noise with much of it coarse and little of it fine, as in nature (1/f)."""
    random = np.random.default_rng(seed)
    width = _WIDTHS[seed % len(_WIDTHS)]
    height = width * 5 // 8
    total = np.zeros((height, width, 3), np.float32)
    for octave in range(9):
        total += _layer(random, 2 ** (octave + 2), (width, height)) * 0.6**octave
    low, high = total.min(), total.max()
    pixels = ((total - low) / (high - low) * 255).astype(np.uint8)
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "JPEG", quality=88)
    return data.getvalue()


def _layer(random: np.random.Generator, cells: int, size: tuple[int, int]) -> npt.NDArray[np.int16]:
    """Give noise of `cells` by `cells` values, enlarged to `size`: H x W x 3, around 0."""
    noise = random.integers(0, 256, (cells, cells, 3), np.uint8)
    enlarged = Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)
    return np.asarray(enlarged, np.int16) - 128
