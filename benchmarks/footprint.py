"""The memory of a process and all that it started."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_INTERVAL = 0.2
"""Seconds between two samples."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """Bytes, summed over processes; see proc(5), smaps_rollup."""

    pss: int = 0
    """Proportional set: a page that several share counts once."""
    rss: int = 0
    """Resident set: a page that several share counts for each."""
    own: int = 0
    """What no file is behind (Anonymous): it stays as it is when others that share pages end."""

    def __add__(self, other: Footprint) -> Footprint:
        return Footprint(self.pss + other.pss, self.rss + other.rss, self.own + other.own)

    def highest(self, other: Footprint) -> Footprint:
        """Give the higher one of each figure."""
        return Footprint(
            max(self.pss, other.pss), max(self.rss, other.rss), max(self.own, other.own)
        )


def of_tree(pid: int) -> Footprint:
    """Add up `pid` and its descendants."""
    return sum((of_tree(child) for child in children(pid)), of_process(pid))


class Peak:
    """Samples a process tree in a thread, from the start of its `with` block to the end."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self.footprint = Footprint()

    @contextlib.contextmanager
    def sampled(self) -> Iterator[None]:
        """Sample while the block runs."""
        self._thread.start()
        try:
            yield
        finally:
            self._stop.set()
            self._thread.join()

    def _sample(self) -> None:
        while not self._stop.wait(_INTERVAL):
            self.footprint = self.footprint.highest(of_tree(self._pid))


def of_process(pid: int) -> Footprint:
    """Read one process; one that is gone takes nothing."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    except (FileNotFoundError, ProcessLookupError):
        return Footprint()
    kibibytes = {line.split()[0]: int(line.split()[1]) for line in lines}
    return Footprint(*(kibibytes.get(name, 0) * 1024 for name in ("Pss:", "Rss:", "Anonymous:")))


def children(pid: int) -> list[int]:
    """Give the processes that `pid` has started."""
    found: list[int] = []
    for tasks in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            found += map(int, tasks.read_text().split())
    return found
