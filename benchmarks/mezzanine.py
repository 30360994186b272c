"""What reduced copies of sources would bring: `python -m benchmarks.mezzanine`.

Renders six widths of 50 photos from the photos, and from copies of at most 1024 px on the long
side what is at most half as large as its copy; the copies are made within the time. Prints what
either costs and how close the previews are.
"""

from __future__ import annotations

import io
import math
import time
from collections.abc import Callable, Sequence
from functools import partial
from statistics import median

import numpy as np
from PIL import Image

from benchmarks import photos
from benchmarks.processes import ROOT
from benchmarks.table import Row, format_table
from micropic.domain.urls import DEFAULT, parse_path
from micropic.imaging.engine import render

_WIDTHS = (160, 240, 320, 400, 480, 512)
"""All of them at most half of a copy's width: the most that the copies could bring."""
_PHOTOS = 50
_ROUNDS = 3
_QUALITIES = (90, 95, 98)


def main() -> None:
    """Measure, round by round, and print the table."""
    sources = photos.find(ROOT / ".cache" / "benchmarks").read()
    page = [sources[number % len(sources)] for number in range(_PHOTOS)]
    plain, _ = _costs(partial(_from_sources, page))
    rows = []
    for quality in _QUALITIES:
        copied, previews = _costs(partial(_from_copies, page, quality))
        levels = [_psnr(*pair) for pair in zip(_from_sources(page), previews, strict=True)]
        rows.append(
            Row(
                what=f"srcset from copies of quality {quality}",
                figure=len(previews) / copied,
                unit="previews/s",
                limit=len(previews) / plain,
                limit_name="from the sources",
                least_ratio=3,
                detail=f"PSNR {min(levels):.1f} dB or more, median {median(levels):.1f}",
            )
        )
    print(format_table(rows))


def _costs(work: Callable[[], list[bytes]]) -> tuple[float, list[bytes]]:
    """Give the CPU seconds of the best round, and what was made."""
    seconds = []
    for _ in range(_ROUNDS):
        begun = time.process_time()
        previews = work()
        seconds.append(time.process_time() - begun)
    return min(seconds), previews


def _from_sources(page: Sequence[bytes]) -> list[bytes]:
    return [_fit(photo, width) for photo in page for width in _WIDTHS]


def _from_copies(page: Sequence[bytes], quality: int) -> list[bytes]:
    copies = (_fit(photo, 1024, quality) for photo in page)
    return [_fit(copy, width) for copy in copies for width in _WIDTHS]


def _fit(picture: bytes, width: int, quality: int = 80) -> bytes:
    path = f"/fit/{width}/{width}/q={quality}/sample:x".encode()
    return render(picture, parse_path(path, b"", DEFAULT).transform).body


def _psnr(one: bytes, other: bytes) -> float:
    pixels, others = (
        np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"), np.float32)
        for picture in (one, other)
    )
    # Rounded twice, a copy's preview may be a row higher or lower.
    height, width = (min(sides) for sides in zip(pixels.shape[:2], others.shape[:2], strict=True))
    pixels, others = pixels[:height, :width], others[:height, :width]
    return 10 * math.log10(255**2 / max(1e-9, float(np.mean((pixels - others) ** 2))))


if __name__ == "__main__":
    main()
