"""Whether memory grows: samples of the processes that last, and their slope."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.footprint import Footprint, of_process

MIB = 1024**2
Series = Sequence[tuple[float, float]]
"""Seconds and bytes."""


@dataclass(frozen=True, slots=True)
class Growth:
    """How the memory of something went."""

    rss: float
    """MiB a minute."""
    own: float
    measured: float
    """Seconds, of all lives together; of a sum, of what was measured for the shortest time."""
    last: Footprint

    def __add__(self, other: Growth) -> Growth:
        return Growth(
            self.rss + other.rss,
            self.own + other.own,
            min(self.measured, other.measured),
            self.last + other.last,
        )


class Memory:
    """Samples of processes, by part and place; a place has one life after the other."""

    def __init__(self) -> None:
        self._lives: defaultdict[tuple[str, str], defaultdict[int, list[tuple[float, Footprint]]]]
        self._lives = defaultdict(lambda: defaultdict(list))

    def sample(self, now: float, part: str, place: str, pid: int) -> None:
        """Read one process now; one that is gone is left out."""
        footprint = of_process(pid)
        if footprint.rss:
            self._lives[part, place][pid].append((now, footprint))

    def rows(self) -> Iterator[tuple[float, str, str, int, Footprint]]:
        """Give every sample: seconds, part, place, process and what it takes."""
        for (part, place), lives in self._lives.items():
            for pid, life in lives.items():
                yield from ((now, part, place, pid, footprint) for now, footprint in life)

    def growth(self, settle: float) -> dict[str, dict[str, Growth]]:
        """Give the growth in each place of each part, without `settle` seconds of each life."""
        grown: defaultdict[str, dict[str, Growth]] = defaultdict(dict)
        for (part, place), lives in self._lives.items():
            grown[part][place] = _growth(lives.values(), settle)
        return grown


def slope(lives: Iterable[Series]) -> float:
    """Fit one slope to all lives by least squares, in bytes a second; each has its own height.

    So a restart, after which a process is smaller, is no fall of its memory. NaN where no life
    has two samples.
    """
    moments, sizes = [np.zeros(0)], [np.zeros(0)]
    for life in lives:
        if life:
            seconds, each = np.array(life, float).T
            moments.append(seconds - seconds.mean())
            sizes.append(each - each.mean())
    x, y = np.concatenate(moments), np.concatenate(sizes)
    spread = float(x @ x)
    return float(x @ y) / spread if spread else float("nan")


def _growth(lives: Iterable[Sequence[tuple[float, Footprint]]], settle: float) -> Growth:
    counted = [
        [(now, each) for now, each in life if now >= life[0][0] + settle] for life in lives if life
    ]
    rss, own = (
        60 / MIB * slope([[(now, getattr(each, name)) for now, each in life] for life in counted])
        for name in ("rss", "own")
    )
    measured = sum(life[-1][0] - life[0][0] for life in counted if life)
    last = max((life[-1] for life in lives if life), key=lambda sample: sample[0])[1]
    return Growth(rss, own, measured, last)
