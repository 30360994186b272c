"""How much work a function does, whatever else the machine has to do."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any

_ROUNDS = 9


def growth(work: Callable[[int], Any], size: int) -> float:
    """Return how many times the CPU time of `work(4 * size)` is that of `work(size)`.

    It is about 4 if the work is linear in the size and 16 if it is quadratic. Work that takes less
    than a loop over `size` numbers counts as such a loop: there may be a short way for short text.
    The shortest of several rounds counts; what `work` raises is a result like any other.
    """
    loop = _seconds(lambda length: sum(1 for _ in range(length)), size)
    small, large = _seconds(work, size), _seconds(work, 4 * size)
    return large / max(small, loop)


def _seconds(work: Callable[[int], Any], size: int) -> float:
    return min(_once(work, size) for _ in range(_ROUNDS))


def _once(work: Callable[[int], Any], size: int) -> float:
    started = time.thread_time()
    with contextlib.suppress(Exception):
        work(size)
    return max(time.thread_time() - started, 1e-6)
