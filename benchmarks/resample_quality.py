"""How near a JPEG's preview comes to a careful one, and what it costs beside the decode.

`python -m benchmarks.resample_quality`: the photos as 300 x 200, cut to the middle, before
encoding, in sRGB; against Pillow's Lanczos of the full decode of the same part. The part that the
service shows, that is: its edges lie on whole pixels of the scaled picture, at most half of one
from the exact middle.
"""

from __future__ import annotations

import io
import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from PIL import Image

from benchmarks import photos
from benchmarks.processes import ROOT
from micropic.domain import geometry
from micropic.domain.model import Anchor, Box, Mode, Size, Transform
from micropic.imaging import engine, jpeg, pixels
from micropic.imaging.kinds import Limits
from micropic.imaging.pixels import Pixels
from micropic.imaging.probe import Picture, probe

_OUT = Size(300, 200)
_TRANSFORM = Transform(Mode.FILL, _OUT, Anchor.CENTER, 80)
_ROUNDS = 15
_LEAST_MEAN, _NAMED_BELOW = 42.0, 38.0
_SAMPLINGS = {(1, 1): "4:4:4", (2, 1): "4:2:2", (2, 2): "4:2:0", (1, 2): "4:4:0", (4, 1): "4:1:1"}

Resampler = Callable[[Pixels, Box], Pixels]


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo, and what its preview should look like."""

    name: str
    data: bytes
    picture: Picture
    full: Image.Image

    @property
    def sampling(self) -> str:
        """As people write it."""
        assert self.picture.jpeg is not None
        luma = self.picture.jpeg.frame.components[0]
        return _SAMPLINGS[luma.across, luma.down]

    @property
    def scale(self) -> int:
        """The service's own, in eighths."""
        whole = geometry.whole_size(self.picture.size, Mode.FILL, _OUT)
        return jpeg.least_scale(self.picture.stored, whole)

    def decode(self, scale: int) -> Pixels:
        """Decode at `scale` eighths, as the service does."""
        width, height = self.picture.stored
        return jpeg.decode(self.data, self.picture, Size(width * scale // 8, height * scale // 8))

    def reference(self, box: Box, scale: int) -> Pixels:
        """Give what a careful resampling makes of `box`, in pixels at `scale` eighths."""
        left, top, width, height = (8 * edge / scale for edge in box)
        edges = left, top, min(left + width, self.full.width), min(top + height, self.full.height)
        return np.asarray(self.full.resize(_OUT, Image.Resampling.LANCZOS, box=edges))


def main() -> None:
    """Print the tables."""
    found = photos.find(ROOT / ".cache" / "benchmarks")
    loaded = [_load(*each) for each in zip(found.names, found.read(), strict=True)]
    print(f"{len(loaded)} photos: {found.origin}; the best of {_ROUNDS} rounds\n")
    _print_photos(loaded)
    _print_scales(loaded)
    _print_resamplers(loaded)


def _load(name: str, data: bytes) -> Photo:
    picture = probe(data, Limits())
    return Photo(name, data, picture, Image.open(io.BytesIO(data)).convert("RGB"))


def _print_photos(loaded: Sequence[Photo]) -> None:
    rows, levels, shares = [], [], []
    for photo in loaded:
        decoded = photo.decode(photo.scale)
        box = _middle(_size(decoded))
        level = _psnr(_served(decoded, box), photo.reference(box, photo.scale))
        decode, render = _best_of_both(photo)
        share = (render - decode) / decode
        levels.append(level)
        shares.append(share)
        mark = " (low)" if level < _NAMED_BELOW else ""
        scale = f"{photo.scale}/8"
        rows.append((photo.name, photo.sampling, scale, f"{level:.1f}{mark}", f"{decode:.1f}",
                     f"{render - decode:.1f}", f"{share:.0%}"))  # fmt: skip
    rows.append(("mean", "", "", f"{statistics.mean(levels):.1f}", "", "",
                 f"{statistics.mean(shares):.0%}"))  # fmt: skip
    _print(("photo", "sampling", "scale", "PSNR (dB)", "decode (ms)", "rest (ms)", "rest"), rows)
    met = "met" if statistics.mean(levels) >= _LEAST_MEAN else "missed"
    print(f"Target: a mean of {_LEAST_MEAN:g} dB: {met}.\n")


def _print_scales(loaded: Sequence[Photo]) -> None:
    rows = []
    for more in range(3):
        levels, decodes, resamples = [], [], []
        for photo in loaded:
            scale = min(photo.scale + more, 8)
            decoded = photo.decode(scale)
            box = _middle(_size(decoded))
            levels.append(_psnr(_served(decoded, box), photo.reference(box, scale)))
            decodes.append(_best(partial(photo.decode, scale)))
            resamples.append(_best(partial(_served, decoded, box)))
        rows.append((f"+ {more}/8", *_summary(levels), f"{statistics.mean(decodes):.1f}",
                     f"{statistics.mean(resamples):.1f}"))  # fmt: skip
    headings = ("scale", "PSNR (dB)", "least (dB)", "decode (ms)", "resample (ms)")
    _print(headings, rows)


def _print_resamplers(loaded: Sequence[Photo]) -> None:
    rows = []
    for name, resampler in _RESAMPLERS.items():
        levels, times = [], []
        for photo in loaded:
            decoded = photo.decode(photo.scale)
            box = _middle(_size(decoded))
            levels.append(_psnr(resampler(decoded, box), photo.reference(box, photo.scale)))
            times.append(_best(partial(resampler, decoded, box)))
        rows.append((name, *_summary(levels), f"{statistics.mean(times):.2f}"))
    _print(("resampler", "PSNR (dB)", "least (dB)", "ms"), rows)


def _served(decoded: Pixels, box: Box) -> Pixels:
    return pixels.resample(pixels.cut(decoded, box), _OUT)


def _by_pillow(decoded: Pixels, box: Box, filter_: Image.Resampling) -> Pixels:
    edges = (box.left, box.top, box.left + box.width, box.top + box.height)
    return np.asarray(Image.fromarray(decoded).resize(_OUT, filter_, box=edges))


_RESAMPLERS: dict[str, Resampler] = {
    "the service's (libvips, Lanczos 3)": _served,
    "Pillow, Lanczos": partial(_by_pillow, filter_=Image.Resampling.LANCZOS),
    "Pillow, bicubic": partial(_by_pillow, filter_=Image.Resampling.BICUBIC),
    "Pillow, Hamming": partial(_by_pillow, filter_=Image.Resampling.HAMMING),
}


def _best_of_both(photo: Photo) -> tuple[float, float]:
    """Time the bare decode and the whole render by turns, so that both meet the same machine."""
    decodes, renders = [], []
    for _ in range(_ROUNDS):
        decodes.append(_time(lambda: photo.decode(photo.scale)))
        renders.append(_time(lambda: engine.render(photo.data, _TRANSFORM)))
    return min(decodes), min(renders)


def _best(work: Callable[[], object]) -> float:
    return min(_time(work) for _ in range(_ROUNDS))


def _time(work: Callable[[], object]) -> float:
    """Give milliseconds of CPU."""
    started = time.process_time()
    work()
    return (time.process_time() - started) * 1000


def _middle(size: Size) -> Box:
    window = geometry.window_size(size, _OUT)
    return geometry.place_aligned(size, window, geometry.ALIGNMENT[Anchor.CENTER])


def _size(pixels: Pixels) -> Size:
    return Size(pixels.shape[1], pixels.shape[0])


def _psnr(pixels: Pixels, reference: Pixels) -> float:
    error = float(np.mean((pixels.astype(np.float64) - reference) ** 2))
    return 10 * math.log10(255**2 / error) if error else math.inf


def _summary(levels: Sequence[float]) -> tuple[str, str]:
    return f"{statistics.mean(levels):.1f}", f"{min(levels):.1f}"


def _print(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    for cells in (headings, ["---"] * len(headings), *rows):
        print(f"| {' | '.join(cells)} |")
    print(flush=True)


if __name__ == "__main__":
    main()
