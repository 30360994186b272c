"""What befalls the parts during a soak, when, and which answers that excuses."""

from __future__ import annotations

import asyncio
import contextlib
import math
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from benchmarks.soak.sources import Outcome

_TICK = 0.1
_GRACE = 1.5
"""Seconds after a fault in which a client may still be told of it."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is done to a part, again and again."""

    name: str
    act: Callable[[], object]
    """Does it, and undoes it."""
    first: float
    """Seconds from the beginning of the soak."""
    every: float = math.inf
    """Seconds from one time to the next."""
    excused: frozenset[Outcome] = frozenset()
    """What a client may be told of it."""


@dataclass(slots=True)
class _Window:
    fault: Fault
    began: float
    ended: float = math.inf

    def covers(self, began: float, ended: float) -> bool:
        return began <= self.ended + _GRACE and ended >= self.began


class Faults:
    """Has faults happen one after the other, and knows when each did."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self._due = {fault: fault.first for fault in faults}
        self._windows: list[_Window] = []
        self.happened: Counter[str] = Counter()
        self.lasting: list[str] = []
        """Those that a part did not get over."""

    async def run(self, seconds: float) -> None:
        """Do what is due, until `seconds` have gone by; all is in order again then."""
        started = time.monotonic()
        while (now := time.monotonic() - started) < seconds:
            fault = min(self._due, key=lambda each: self._due[each])
            if self._due[fault] > now:
                await asyncio.sleep(_TICK)
                continue
            self._due[fault] = now + fault.every
            with self._window(fault):
                try:
                    await asyncio.to_thread(fault.act)
                except (AssertionError, subprocess.TimeoutExpired) as error:
                    self.lasting.append(f"{fault.name}: {error!r}")
            self.happened[fault.name] += 1

    def excuse(self, outcome: Outcome, began: float, ended: float) -> bool:
        """Tell whether a fault between the two moments is reason enough for an outcome.

        An answer to HEAD has no code: there the status has to do.
        """
        status, code = outcome
        return any(
            status == excused and code in {"", reason}
            for fault in self.between(began, ended)
            for excused, reason in fault.excused
        )

    def between(self, began: float, ended: float) -> list[Fault]:
        """Give the faults whose effects may be felt between the two moments."""
        return [window.fault for window in self._windows if window.covers(began, ended)]

    def last(self) -> str:
        """Tell which fault came last, for people."""
        if not self._windows:
            return "before any fault"
        window, now = self._windows[-1], time.monotonic()
        return f"{window.fault.name} began {now - window.began:.1f} s ago" + (
            f", ended {now - window.ended:.1f} s ago" if window.ended < now else ""
        )

    @contextlib.contextmanager
    def _window(self, fault: Fault) -> Iterator[None]:
        window = _Window(fault, time.monotonic())
        self._windows = [*self._windows[-20:], window]
        try:
            yield
        finally:
            window.ended = time.monotonic()
