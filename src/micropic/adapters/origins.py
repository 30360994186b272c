"""Limit the concurrency at each origin, and open a circuit breaker for one that is dead.

What a stranger may choose is a path. So a path that hangs must cost the origin's other paths as
little as can be: it lowers the concurrency that paths without a good record share, and it opens no
breaker. Paths that answered recently have places that no other path can take.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter, OrderedDict, deque
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
"""Origins that are remembered."""
_GOOD = 128
"""Paths with a good record that are remembered of an origin."""
_GOOD_FOR = 3600.0
"""Seconds."""
_RESERVED = 4
"""The part, one in so many, of an origin's places that paths without a record cannot take."""
_LEAST = 16
"""The part, one in so many, of its places that they have in any case."""


class Visit:
    """One request to an origin; what it came to is told by `answered`, or by how it ended."""

    def __init__(self, name: str, origin: _Origin, path: int, now: float) -> None:
        self._name = name
        self._origin = origin
        self._path = path
        self._began = now
        self._is_answered = False

    def answered(self, now: float) -> None:
        """Note that the header of a response came."""
        self._is_answered = True
        self._origin.heard(now)

    def ended(self, now: float, patience: float) -> None:
        """Note a success: unless it was slow, the path has a good record."""
        if now - self._began >= patience:
            self._origin.forget(self._path)
        elif self._is_answered:
            self._origin.record(self._path, now)

    def failed(self, error: BaseException, now: float, patience: float) -> None:
        """Note a failure, and a fault if it is the origin's.

        It is one that nobody could connect. It is also one that for `patience` seconds nothing
        came, neither to this request nor to another, if the path had answered recently. All that
        other slowness shows is that this path is slow.
        """
        origin = self._origin
        is_slow = now - self._began >= patience
        is_fault = _cannot_connect(error)
        if is_slow and not is_fault:
            origin.lower(self._began, now)
            is_silent = not self._is_answered and origin.heard_at <= self._began
            is_fault = is_silent and origin.is_news(self._path, now)
        if is_slow and self._is_answered:
            origin.forget(self._path)
        if is_fault and origin.fault(now):
            log.warning("origin_left_alone", origin=self._name, seconds=_PAUSE)


class Origins:
    """Has at most `limit` requests at one origin at a time; three times as many wait for a turn.

    Origins are told apart by scheme, host and port. Times are in seconds.
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
        """Wait for a turn at an origin; what is given is to be called when a header came.

        Raises:
            OriginFailed: it is known to be dead; with the seconds after which to try again.
            Overloaded: as many as may be there wait already.

        """
        origin, path = self._enter(url.origin), hash(url.target)
        try:
            is_good = origin.is_good(path, self._clock())
            if left := origin.pause_left(self._clock(), is_good=is_good):
                raise _dead(url, left)
            folder = url.target.partition("?")[0].rpartition("/")[0]
            group = None if is_good else hash(folder)
            turn = origin.places.turn(group, has_good=bool(origin.good))
            if turn is None:
                msg = f"Too much is asked of {url.authority} at once; try again in a moment."
                raise Overloaded(msg)
            async with turn:
                now = self._clock()
                if not origin.allows(now, is_good=is_good):  # it has died while we waited
                    raise _dead(url, origin.pause_left(now, is_good=is_good))
                visit = Visit(url.origin, origin, path, now)
                try:
                    yield lambda: visit.answered(self._clock())
                except BaseException as error:
                    visit.failed(error, self._clock(), self._patience)
                    raise
                visit.ended(self._clock(), self._patience)
        finally:
            self._leave(url.origin, origin)

    def _enter(self, name: str) -> _Origin:
        origin = self._origins.get(name)
        if origin is None:
            origin = self._origins[name] = _Origin(self._limit, self._clock)
        origin.visitors += 1
        return origin

    def _leave(self, name: str, origin: _Origin) -> None:
        origin.visitors -= 1
        if origin.visitors:
            return
        if not origin.is_worth_knowing:
            del self._origins[name]
            return
        self._origins.move_to_end(name)
        if len(self._origins) > _MOST:
            oldest = next(name for name, each in self._origins.items() if not each.visitors)
            del self._origins[oldest]


class _Origin:
    """What is known of an origin: whether it answers, and which of its paths do."""

    def __init__(self, limit: int, clock: Callable[[], float]) -> None:
        self.breaker = Breaker(_FAULTS, _PAUSE, clock)
        self.places = _Places(limit)
        self.good: OrderedDict[int, float] = OrderedDict()
        """Paths (hashed) that answered in full and soon, and when they last did."""
        self.visitors = 0
        """Those who wait are among them."""
        self.heard_at = -math.inf
        """When the last response began, on the clock."""
        self._silent: set[int] = set()
        """Paths of `good` that have been silent since then."""
        self._next_try = -math.inf
        """When a path without a good record may try whether the origin lives again."""

    @property
    def is_worth_knowing(self) -> bool:
        return self.breaker.in_doubt or bool(self.good) or self.places.are_lowered

    def is_good(self, path: int, now: float) -> bool:
        at = self.good.get(path)
        return at is not None and now - at < _GOOD_FOR

    def record(self, path: int, now: float) -> None:
        self.good[path] = now
        self.good.move_to_end(path)
        if len(self.good) > _GOOD:
            self.forget(next(iter(self.good)))

    def forget(self, path: int) -> None:
        self.good.pop(path, None)
        self._silent.discard(path)

    def heard(self, now: float) -> None:
        self.heard_at = now
        self.breaker.succeeded()
        self._silent.clear()
        self.places.raise_limit()

    def lower(self, began: float, now: float) -> None:
        self.places.lower_limit(began, now)

    def is_news(self, path: int, now: float) -> bool:
        """Return True if the silence of a path is evidence that the origin is dead.

        A path counts once, so that one that hangs says nothing of the others, until all are silent.
        """
        if not self.is_good(path, now):
            return False
        is_first = path not in self._silent
        self._silent.add(path)
        return is_first or len(self._silent) == len(self.good)

    def fault(self, now: float) -> bool:
        """Count a fault; return True if the breaker opens by it."""
        was_open = self.breaker.is_open
        self.breaker.failed()
        if not self.breaker.is_open or was_open:
            return False
        self._next_try = now + _PAUSE
        return True

    # Paths without a record try for themselves: one that hangs, asked for again and again, would
    # else take each chance to find that the origin lives.

    def pause_left(self, now: float, *, is_good: bool) -> float:
        if not self.breaker.is_open:
            return 0.0
        return self.breaker.pause_left if is_good else max(0.0, self._next_try - now)

    def allows(self, now: float, *, is_good: bool) -> bool:
        if is_good or not self.breaker.is_open:
            return self.breaker.allows()
        if now < self._next_try:
            return False
        self._next_try = now + _PAUSE
        return True


class _Places:
    """The places at one origin, given out in turns: fairly among the folders of its paths.

    Paths with a good record may take all of them (their group is None), others a part. That part
    is halved when they hang, once for all that hang at a time, and grows by one with each response.
    Of that part, one folder has three quarters at most, if there is more than a place or two.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._most: float = limit
        self._lowered_at = -math.inf
        self._inside: Counter[int | None] = Counter()
        self._waiting: OrderedDict[int | None, deque[asyncio.Future[None]]] = OrderedDict()
        self._has_good = False

    @property
    def are_lowered(self) -> bool:
        return self._most < self._limit

    def raise_limit(self) -> None:
        self._most = min(self._limit, self._most + 1)
        self._grant()

    def lower_limit(self, began: float, now: float) -> None:
        if began >= self._lowered_at:
            self._most = max(1, self._limit // _LEAST, self._most / 2)
            self._lowered_at = now

    def turn(self, group: int | None, *, has_good: bool) -> _Turn | None:
        """Return what waits for a place, and gives it back; None: too many wait already."""
        self._has_good = has_good
        room = self._limit * _WAITING
        if group is None:
            waiting = len(self._waiting.get(None, ()))
        else:
            waiting = sum(len(each) for of, each in self._waiting.items() if of is not None)
            # What the group may wait for in the places of others is not for it alone.
            if has_good and len(self._waiting.get(group, ())) >= room - room // _RESERVED:
                waiting = room
        if waiting >= room and not self._is_free(group):
            return None
        return _Turn(self, group)

    async def take(self, group: int | None) -> None:
        if group not in self._waiting and self._is_free(group):
            self._inside[group] += 1
            return
        queue = self._waiting.setdefault(group, deque())
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # its turn came at the same moment
                self.give_back(group)
            elif turn in queue:
                queue.remove(turn)
                if not queue:
                    del self._waiting[group]
            raise

    def give_back(self, group: int | None) -> None:
        self._inside[group] -= 1
        if not self._inside[group]:
            del self._inside[group]
        self._grant()

    def _is_free(self, group: int | None) -> bool:
        inside = self._inside.total()
        if inside >= self._limit:
            return False
        if group is None:
            return True
        reserved = max(1, self._limit // _RESERVED) if self._has_good and self._limit > 1 else 0
        most = max(1, min(int(self._most), self._limit - reserved))
        one = most - max(1, most // _RESERVED) if most > 2 else most  # noqa: PLR2004
        return inside - self._inside[None] < most and self._inside[group] < one

    def _grant(self) -> None:
        """Give each group that waits a place in turn, as long as there are any."""
        while group_and_queue := self._next():
            group, queue = group_and_queue
            turn = queue.popleft()
            if not turn.done():  # else who waited has left, and has not run since
                self._inside[group] += 1
                turn.set_result(None)
            if queue:
                self._waiting.move_to_end(group)
            else:
                del self._waiting[group]

    def _next(self) -> tuple[int | None, deque[asyncio.Future[None]]] | None:
        free = (each for each in self._waiting.items() if self._is_free(each[0]))
        return next(free, None)


class _Turn:
    """A place at an origin, once it is one's turn; an async context manager."""

    def __init__(self, places: _Places, group: int | None) -> None:
        self._places = places
        self._group = group

    async def __aenter__(self) -> None:
        await self._places.take(self._group)

    async def __aexit__(self, *_: object) -> None:
        self._places.give_back(self._group)


def _cannot_connect(error: BaseException) -> bool:
    if isinstance(getattr(error, "os_error", None), AddressRefused):
        return False  # that is our doing
    return isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError)


def _dead(url: SourceUrl, seconds: float) -> OriginFailed:
    msg = f"{url.authority} did not answer the last requests; it is tried again in a moment."
    return OriginFailed(msg, retry_after=max(1, math.ceil(seconds)))
