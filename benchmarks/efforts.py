"""Measure encoders: `python -m benchmarks.efforts`.

Prints, over the photos, what each effort of WebP, AVIF, PNG and GIF costs and saves, and which
quality of WebP and AVIF looks like JPEG at 80. Each row is beside the JPEG of the same pixels
at quality 80, as the service writes it, encoded in the same round.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, median

import numpy as np
import numpy.typing as npt
import pyvips
import simplejpeg
from PIL import Image, ImageOps

from benchmarks import photos
from benchmarks.processes import ROOT
from micropic.domain.model import Format
from micropic.imaging.encoders import encode
from micropic.imaging.frames import Frames
from micropic.imaging.pixels import Pixels, to_vips

Encoder = Callable[[Pixels], bytes]
_SIZES = {(300, 200): 12, (800, 600): 4}
"""Sizes, and how many photos are measured at each."""
_AVIF_EFFORTS = range(7)
"""What is above takes minutes for a run."""
_JPEG = "JPEG q=80"
_WINDOW = 8


@dataclass(frozen=True, slots=True)
class Result:
    """Means over the pictures."""

    milliseconds: float
    size: float
    """Bytes."""
    ssim: float


def ssim(one: Pixels, other: Pixels) -> float:
    """Give the mean structural similarity of two pictures' luma, in windows of 8 x 8.

    Wang et al., "Image quality assessment: from error visibility to structural similarity",
    IEEE Transactions on Image Processing 13(4), 2004, with even windows instead of Gaussian.
    """
    a, b = _luma(one), _luma(other)
    mean_a, mean_b = _means(a), _means(b)
    variance_a = _means(a * a) - mean_a**2
    variance_b = _means(b * b) - mean_b**2
    covariance = _means(a * b) - mean_a * mean_b
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    likeness = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    return float(
        (likeness / ((mean_a**2 + mean_b**2 + c1) * (variance_a + variance_b + c2))).mean()
    )


def measured(
    pictures: Sequence[Pixels], encoders: dict[str, Encoder], rounds: int
) -> dict[str, Result]:
    """Encode each picture by each encoder, in turns; CPU time, the median of the rounds."""
    spent: dict[str, list[float]] = {name: [] for name in encoders}
    bodies: dict[str, list[bytes]] = {}
    for _ in range(rounds):
        for name, encoder in encoders.items():
            started = time.process_time()
            bodies[name] = [encoder(picture) for picture in pictures]
            spent[name].append(1000 * (time.process_time() - started) / len(pictures))
    return {
        name: Result(
            median(spent[name]),
            fmean(map(len, made)),
            fmean(ssim(p, _decoded(b)) for p, b in zip(pictures, made, strict=True)),
        )
        for name, made in bodies.items()
    }


def efforts() -> dict[str, Encoder]:
    """Give every effort of every format."""
    return (
        {_JPEG: _ours(Format.JPEG, 80), "JPEG q=80, accurate DCT": _accurate_jpeg}
        | {f"WebP q=80, effort {n}": _webp(80, n) for n in range(7)}
        | {f"AVIF q=60, effort {n}": _avif(60, n) for n in _AVIF_EFFORTS}
        | {f"PNG, compression {n}": _png(n, "none") for n in (1, 3, 6, 9)}
        | {f"PNG, compression {n}, all filters": _png(n, "all") for n in (1, 3, 6, 9)}
        | {f"GIF, effort {n}": _gif(n) for n in (1, 4, 7, 10)}
    )


def qualities() -> dict[str, Encoder]:
    """Give a range of qualities, encoded as the service does."""
    return (
        {_JPEG: _ours(Format.JPEG, 80)}
        | {f"WebP q={q}": _ours(Format.WEBP, q) for q in (76, 78, 80, 82, 84, 86)}
        | {f"AVIF q={q}": _ours(Format.AVIF, q) for q in (50, 55, 60, 65, 70)}
    )


def _ours(wanted: Format, quality: int) -> Encoder:
    return lambda pixels: encode(Frames((pixels,)), wanted, quality)


def _accurate_jpeg(pixels: Pixels) -> bytes:
    data: bytes = simplejpeg.encode_jpeg(pixels, quality=80, colorsubsampling="420", fastdct=False)
    return data


def _webp(quality: int, effort: int) -> Encoder:
    return lambda pixels: to_vips(pixels).webpsave_buffer(Q=quality, effort=effort, keep="none")


def _avif(quality: int, effort: int) -> Encoder:
    return lambda pixels: to_vips(pixels).heifsave_buffer(
        compression="av1", Q=quality, effort=effort, bitdepth=8, keep="none"
    )


def _png(compression: int, filters: str) -> Encoder:
    return lambda pixels: to_vips(pixels).pngsave_buffer(
        compression=compression, filter=filters, keep="none"
    )


def _gif(effort: int) -> Encoder:
    return lambda pixels: to_vips(pixels).gifsave_buffer(effort=effort, keep="none")


def _decoded(body: bytes) -> Pixels:
    return np.asarray(Image.open(io.BytesIO(body)).convert("RGB"))


def _luma(pixels: Pixels) -> npt.NDArray[np.float64]:
    luma: npt.NDArray[np.float64] = pixels @ np.array([0.299, 0.587, 0.114])
    return luma


def _means(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Give the mean of every window of 8 x 8."""
    sums = np.pad(values, ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    n = _WINDOW
    totals: npt.NDArray[np.float64] = sums[n:, n:] - sums[:-n, n:] - sums[n:, :-n] + sums[:-n, :-n]
    return totals / n**2


def _print(title: str, results: dict[str, Result]) -> None:
    base = results[_JPEG]
    print(f"\n{title}\n\n| encoder | ms | times the JPEG's | bytes | of the JPEG's | SSIM |")
    print("|---|---|---|---|---|---|")
    for name, result in results.items():
        print(
            f"| {name} | {result.milliseconds:.1f} | {result.milliseconds / base.milliseconds:.1f} "
            f"| {result.size:,.0f} | {result.size / base.size:.2f} | {result.ssim:.4f} |"
        )
    sys.stdout.flush()


def main() -> None:
    """Measure in a process that uses one thread, as render processes do."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.efforts", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how many; the median counts")
    rounds = parser.parse_args().rounds
    if os.environ.get("VIPS_CONCURRENCY") != "1":
        command = [sys.executable, "-m", "benchmarks.efforts", "--rounds", str(rounds)]
        os.execve(sys.executable, command, os.environ | {"VIPS_CONCURRENCY": "1"})
    pyvips.cache_set_max(0)
    found = photos.find(ROOT / ".cache" / "benchmarks")
    print(f"{found.origin}; mean a photo, median of {rounds} rounds")
    for size, count in _SIZES.items():
        pictures = [
            np.asarray(
                ImageOps.fit(
                    Image.open(io.BytesIO(photo)).convert("RGB"), size, Image.Resampling.LANCZOS
                )
            )
            for photo in found.read()[:: 12 // count]
        ]
        name = f"{size[0]}x{size[1]}, {len(pictures)} photos"
        _print(f"Efforts at {name}", measured(pictures, efforts(), rounds))
        _print(f"Qualities at {name}", measured(pictures, qualities(), rounds))


if __name__ == "__main__":
    main()
