"""What is known of a cache outside: whether to ask it, and what the log is told."""

from __future__ import annotations

import asyncio
import time

import structlog

from micropic.adapters.breaker import Breaker
from micropic.domain.model import Preview

log = structlog.get_logger()

_FAULTS_IN_A_ROW = 5
_PAUSE = 1.0
"""Seconds from one try to the next while the cache does not answer."""
_NOTHING = "/"
"""A key that nothing is kept under."""
_LOG_INTERVAL = 10.0
"""Seconds between two lines in the log about faults."""


class FaultWatch:
    """Is told of each answer and each fault; after some in a row the cache is left alone.

    But for a try now and then.
    """

    def __init__(self) -> None:
        self.faults = 0
        """Calls that failed since the start."""
        self._breaker = Breaker(_FAULTS_IN_A_ROW, _PAUSE)
        self._last_fault = ""
        self._next_line = 0.0

    @property
    def trouble(self) -> str:
        """Why the cache is not asked at present; empty while it is."""
        return self._last_fault if self._breaker.is_open else ""

    def allows(self) -> bool:
        """Tell whether to ask now."""
        return self._breaker.allows()

    def failed(self, fault: str) -> None:
        """Note a fault, in words for the log."""
        self.faults += 1
        self._breaker.failed()
        self._last_fault = fault
        if time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + _LOG_INTERVAL
            log.warning("cache_fault", error=fault, faults=self.faults)

    def succeeded(self) -> None:
        """Note an answer."""
        if self._breaker.is_open:
            log.warning("cache_answers_again", faults=self.faults)
            self._next_line = 0.0
        self._breaker.succeeded()


class Watched:
    """A cache outside, as those see it who run it; to be read on the event loop."""

    def __init__(self) -> None:
        self._watch = FaultWatch()
        self._trial: asyncio.Future[Preview | None] | None = None

    @property
    def trouble(self) -> str:
        """Why the cache is not asked at present; empty while it is.

        Whoever wants to know has it tried: else it would be in trouble for as long as nobody has
        requests for it.
        """
        trouble = self._watch.trouble
        if trouble and (self._trial is None or self._trial.done()):
            self._trial = asyncio.ensure_future(self.get(_NOTHING))
        return trouble

    async def get(self, key: str) -> Preview | None:
        """Give what is kept, as a `Cache` does."""
        raise NotImplementedError

    @property
    def faults(self) -> int:
        """Calls that failed since the start."""
        return self._watch.faults
