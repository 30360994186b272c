"""Stop asking one who does not answer."""

from __future__ import annotations

import time
from collections.abc import Callable


class Breaker:
    """Opens after `limit` faults in a row; then one try every `pause` seconds goes through.

    The first answer closes it. A try that is never heard of again does no harm: the next one is
    due `pause` seconds later all the same.
    """

    def __init__(
        self, limit: int, pause: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit = limit
        self._pause = pause
        self._clock = clock
        self._faults = 0
        self._next_try = 0.0

    @property
    def is_open(self) -> bool:
        """Whether it keeps callers away."""
        return self._faults >= self._limit

    @property
    def in_doubt(self) -> bool:
        """Whether the last that was heard was a fault."""
        return self._faults > 0

    @property
    def pause_left(self) -> float:
        """For how many seconds it keeps everybody away."""
        return max(0.0, self._next_try - self._clock()) if self.is_open else 0.0

    def allows(self) -> bool:
        """Tell whether to ask now."""
        if not self.is_open:
            return True
        if self.pause_left:
            return False
        self._next_try = self._clock() + self._pause
        return True

    def succeeded(self) -> None:
        """Note an answer."""
        self._faults = 0

    def failed(self) -> None:
        """Note a fault."""
        self._faults += 1
        if self._faults == self._limit:
            self._next_try = self._clock() + self._pause
