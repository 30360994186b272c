"""Let no origin take up all fetches, and leave one that is dead alone for a while."""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import aiohttp
import structlog

from micropic.adapters.address_guard import AddressRefused
from micropic.adapters.breaker import Breaker
from micropic.domain.errors import OriginFailed, Overloaded
from micropic.domain.model import SourceUrl

log = structlog.get_logger()

_FAULTS = 5
"""In a row, after which an origin counts as dead."""
_PAUSE = 5.0
"""Seconds for which it is left alone then; after that one visit tries whether it lives again."""
_WAITING = 3
"""How many wait at most for each that may be there: else one origin would hold up all fetches."""
_MOST = 1000
"""Origins that are remembered for their faults."""


class Visit:
    """One request to an origin; what it came to is told by `answered`, or by how it ended."""

    def __init__(self, name: str, origin: _Origin, now: float) -> None:
        self._name = name
        self._origin = origin
        self._began = now

    def answered(self, now: float) -> None:
        """Note that the header of an answer came."""
        self._origin.heard_at = now
        self._origin.breaker.succeeded()

    def failed(self, error: BaseException, now: float, patience: float) -> None:
        """Note a fault, if it is the origin's.

        It is one that nobody could connect, and that for `patience` seconds nothing came, neither
        to this request nor to another one: a single slow picture says nothing of all others.
        """
        is_silent = self._origin.heard_at < self._began and now - self._began >= patience
        if not is_silent and not _cannot_connect(error):
            return
        breaker = self._origin.breaker
        was_open = breaker.is_open
        breaker.failed()
        if breaker.is_open and not was_open:
            log.warning("origin_left_alone", origin=self._name, seconds=_PAUSE)


class Origins:
    """Has at most `limit` requests at one origin at a time; three times as many wait for a turn.

    Origins are told apart by scheme, host and port. Those that neither have a visitor nor had a
    fault of late are forgotten. Times are in seconds.
    """

    def __init__(
        self, limit: int, patience: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit = limit
        self._patience = patience
        self._clock = clock
        self._origins: OrderedDict[str, _Origin] = OrderedDict()

    def __len__(self) -> int:
        """Give how many are remembered."""
        return len(self._origins)

    @property
    def left_alone(self) -> int:
        """How many are not asked for a while."""
        return sum(origin.breaker.is_open for origin in self._origins.values())

    @asynccontextmanager
    async def visit(self, url: SourceUrl) -> AsyncIterator[Callable[[], None]]:
        """Wait for a turn at an origin; what is given is to be called when an answer's header came.

        Raises:
            OriginFailed: it is known to be dead; with the seconds after which to try again.
            Overloaded: as many as may be there wait already.

        """
        origin = self._enter(url.origin)
        try:
            if origin.breaker.pause_left:
                raise _dead(url, origin.breaker)
            if origin.visitors > self._limit * (1 + _WAITING):
                msg = f"Too much is asked of {url.authority} at once; try again in a moment."
                raise Overloaded(msg)
            async with origin.turns:
                if not origin.breaker.allows():  # it has died while we waited
                    raise _dead(url, origin.breaker)
                visit = Visit(url.origin, origin, self._clock())
                try:
                    yield lambda: visit.answered(self._clock())
                except BaseException as error:
                    visit.failed(error, self._clock(), self._patience)
                    raise
        finally:
            self._leave(url.origin, origin)

    def _enter(self, name: str) -> _Origin:
        origin = self._origins.get(name)
        if origin is None:
            origin = _Origin(self._limit, Breaker(_FAULTS, _PAUSE, self._clock))
            self._origins[name] = origin
        origin.visitors += 1
        return origin

    def _leave(self, name: str, origin: _Origin) -> None:
        origin.visitors -= 1
        if origin.visitors:
            return
        if not origin.breaker.in_doubt:
            del self._origins[name]
            return
        self._origins.move_to_end(name)
        if len(self._origins) > _MOST:
            oldest = next(name for name, each in self._origins.items() if not each.visitors)
            del self._origins[oldest]


class _Origin:
    def __init__(self, limit: int, breaker: Breaker) -> None:
        self.turns = asyncio.Semaphore(limit)
        self.breaker = breaker
        self.visitors = 0
        """Those who wait are among them."""
        self.heard_at = -math.inf
        """When the last answer came, on the clock."""


def _cannot_connect(error: BaseException) -> bool:
    if isinstance(getattr(error, "os_error", None), AddressRefused):
        return False  # that is our doing
    return isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError)


def _dead(url: SourceUrl, breaker: Breaker) -> OriginFailed:
    msg = f"{url.authority} did not answer the last requests; it is tried again in a moment."
    return OriginFailed(msg, retry_after=max(1, math.ceil(breaker.pause_left)))
