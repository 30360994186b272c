"""Limit the concurrency at each origin, and open a circuit breaker for one that is dead.

What a stranger may choose is a path. So a path that hangs must cost the origin's other paths as
little as can be: it lowers the concurrency that paths without a good record share, and it opens no
breaker. Paths that answered recently have places that no other path can take. On a host that many
share, a stranger's paths may have a good record, too, and then fall silent: by that the breaker
opens for their folders alone.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, Self

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
_GOOD_QUERIES = 8
"""Those of them that differ in nothing but the query: strangers can invent any number."""
_GOOD_FOR = 3600.0
"""Seconds."""
_RESERVED = 4
"""The part, one in so many, of an origin's places that paths without a record cannot take."""
_LEAST = 8
"""The part, one in so many, of its places that they have in any case."""
_OTHER_CLIENTS = 8
"""The part, one in so many, of these that one client cannot take."""
_FEW = 4
"""Places that are too few to be divided among clients."""


_TOO_MUCH = "Too much is asked of this origin at once; try again in a moment."


class _Path(NamedTuple):
    """A path with its query, the path alone, and its folder, as hashes."""

    target: int
    bare: int
    folder: int

    @classmethod
    def of(cls, url: SourceUrl) -> Self:
        bare = url.target.partition("?")[0]
        return cls(hash(url.target), hash(bare), hash(bare.rpartition("/")[0]))


class Visit:
    """One request to an origin; what it came to is told by `answered`, or by how it ended."""

    def __init__(self, name: str, origin: _Origin, path: _Path, now: float) -> None:
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

        A failed connection is a fault. So are `patience` seconds without any response, to this
        request or another, if the path had answered recently. All that
        other slowness shows is that this path is slow.
        """
        origin = self._origin
        is_slow = now - self._began >= patience
        is_fault = is_unreachable = _cannot_connect(error)
        if is_slow and not is_fault:
            origin.lower(self._began, now)
            is_silent = not self._is_answered and origin.heard_at <= self._began
            is_fault = is_silent and origin.is_news(self._path, now)
        if is_slow and self._is_answered:
            origin.forget(self._path)
        if is_fault and origin.fault(now, is_unreachable=is_unreachable):
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
    async def visit(self, url: SourceUrl, client: str = "") -> AsyncIterator[Callable[[], None]]:
        """Wait for a turn at an origin; what is given is to be called when a header came.

        Clients whose names are known get fair shares of the places.

        Raises:
            OriginFailed: it is known to be dead; with the seconds after which to try again.
            Overloaded: as many as may be there wait already.

        """
        origin, path = self._enter(url.origin), _Path.of(url)
        try:
            is_good = origin.is_good(path, self._clock())
            if left := origin.pause_left(path, self._clock(), is_good=is_good):
                raise _dead(url, left)
            group = _Group(client, None if is_good else path.folder)
            turn = origin.places.turn(group, has_good=bool(origin.good))
            if turn is None:
                raise Overloaded(_TOO_MUCH)
            async with turn:
                now = self._clock()
                if not origin.allows(path, now, is_good=is_good):  # it has died while we waited
                    raise _dead(url, origin.pause_left(path, now, is_good=is_good))
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
        self.good: OrderedDict[int, tuple[float, int]] = OrderedDict()
        """Paths with queries (hashed) that answered in full and soon: when they last did, and the
        path alone."""
        self.visitors = 0
        """Those who wait are among them."""
        self.heard_at = -math.inf
        """When the last response began, on the clock."""
        self._silent: dict[int, int] = {}
        """Paths of `good`, without queries, that have been silent since then, and their folders."""
        self._is_unreachable = False
        """Whether the last fault was a failed connection."""
        self._next_try = -math.inf
        """When a path without a good record may try whether the origin lives again."""

    @property
    def is_worth_knowing(self) -> bool:
        return self.breaker.in_doubt or bool(self.good) or self.places.are_lowered

    def is_good(self, path: _Path, now: float) -> bool:
        at, _ = self.good.get(path.target, (-math.inf, 0))
        return now - at < _GOOD_FOR

    def record(self, path: _Path, now: float) -> None:
        self.good[path.target] = now, path.bare
        self.good.move_to_end(path.target)
        like = [target for target, (_, bare) in self.good.items() if bare == path.bare]
        if len(like) > _GOOD_QUERIES:
            self._forget(like[0], path.bare)
        elif len(self.good) > _GOOD:
            target, (_, bare) = next(iter(self.good.items()))
            self._forget(target, bare)

    def forget(self, path: _Path) -> None:
        self._forget(path.target, path.bare)

    def _forget(self, target: int, bare: int) -> None:
        self.good.pop(target, None)
        self._silent.pop(bare, None)

    def heard(self, now: float) -> None:
        self.heard_at = now
        self.breaker.succeeded()
        self._silent.clear()
        self.places.raise_limit()

    def lower(self, began: float, now: float) -> None:
        self.places.lower_limit(began, now)

    def is_news(self, path: _Path, now: float) -> bool:
        """Return True if the silence of a path is evidence that the origin is dead.

        A path counts once, with all its queries, so that one that hangs says nothing of the others,
        until all are silent.
        """
        if not self.is_good(path, now):
            return False
        is_first = path.bare not in self._silent
        self._silent[path.bare] = path.folder
        return is_first or all(bare in self._silent for _, bare in self.good.values())

    def fault(self, now: float, *, is_unreachable: bool) -> bool:
        """Count a fault; return True if the breaker opens by it."""
        was_open = self.breaker.is_open
        self.breaker.failed()
        self._is_unreachable = is_unreachable
        if not self.breaker.is_open or was_open:
            return False
        self._next_try = now + _PAUSE
        return True

    def _is_open(self, path: _Path) -> bool:
        """Return True if the breaker is open for a path: by silence it is for some folders."""
        is_concerned = self._is_unreachable or path.folder in self._silent.values()
        return self.breaker.is_open and is_concerned

    # Paths without a record try for themselves: one that hangs, asked for again and again, would
    # else take each chance to find that the origin lives.

    def pause_left(self, path: _Path, now: float, *, is_good: bool) -> float:
        if not self._is_open(path):
            return 0.0
        return self.breaker.pause_left if is_good else max(0.0, self._next_try - now)

    def allows(self, path: _Path, now: float, *, is_good: bool) -> bool:
        if not self._is_open(path):
            return True
        if is_good:
            return self.breaker.allows()
        if now < self._next_try:
            return False
        self._next_try = now + _PAUSE
        return True


class _Group(NamedTuple):
    """Whose visits take turns with each other."""

    client: str
    """Empty: unknown."""
    folder: int | None
    """None: of paths with a good record."""


class _Places:
    """The places at one origin, given out in turns: fairly among clients, and among folders.

    Paths with a good record may take all of them, others a part. That part is halved when they
    hang, once for all that hang at a time, and grows by one with each response. Of that part, one
    folder of one client has three quarters at most, if there is more than a place or two, and one
    client seven eighths, if there are more than four. A free place goes to the client that has the
    fewest. If too many wait, the last of those is refused that have the most who wait.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._most: float = limit
        self._lowered_at = -math.inf
        self._inside: Counter[_Group] = Counter()
        self._clients: Counter[str] = Counter()
        """How many are inside of each client."""
        self._unproven: Counter[str] = Counter()
        """The same of paths without a good record."""
        self._waiting: OrderedDict[_Group, deque[asyncio.Future[None]]] = OrderedDict()
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

    def turn(self, group: _Group, *, has_good: bool) -> _Turn | None:
        """Return what waits for a place, and gives it back; None: too many wait already."""
        self._has_good = has_good
        if self._is_free(group):
            return _Turn(self, group)
        alike = {of: len(each) for of, each in self._waiting.items()
                 if (of.folder is None) == (group.folder is None)}  # fmt: skip
        if sum(alike.values()) >= self._limit * _WAITING:
            clients: Counter[str] = Counter()
            for of, count in alike.items():
                clients[of.client] += count
            longest = max(alike, key=lambda of: (clients[of.client], alike[of]))
            if longest.client == group.client:
                theirs, own = alike[longest], alike.get(group, 0)
            else:
                theirs, own = clients[longest.client], clients[group.client]
            if theirs <= own + 1:
                return None
            self._drop_newest(longest)
        return _Turn(self, group)

    async def take(self, group: _Group) -> None:
        if group not in self._waiting and self._is_free(group):
            self._count(group, 1)
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

    def _drop_newest(self, group: _Group) -> None:
        """Refuse the last that waits in a group, for one of which fewer wait."""
        queue = self._waiting[group]
        turn = queue.pop()
        if not queue:
            del self._waiting[group]
        if not turn.done():
            turn.set_exception(Overloaded(_TOO_MUCH))

    def give_back(self, group: _Group) -> None:
        self._count(group, -1)
        self._grant()

    def _count(self, group: _Group, change: int) -> None:
        counted: list[tuple[Counter[Any], object]] = [
            (self._inside, group),
            (self._clients, group.client),
        ]
        if group.folder is not None:
            counted.append((self._unproven, group.client))
        for counter, key in counted:
            counter[key] += change
            if not counter[key]:
                del counter[key]

    def _is_free(self, group: _Group) -> bool:
        if self._clients.total() >= self._limit:
            return False
        if group.folder is None:
            return True
        reserved = max(1, self._limit // _RESERVED) if self._has_good and self._limit > 1 else 0
        most = max(1, min(int(self._most), self._limit - reserved))
        of_folder = most - max(1, most // _RESERVED) if most > 2 else most  # noqa: PLR2004
        is_divided = group.client and most > _FEW
        of_client = most - max(1, most // _OTHER_CLIENTS) if is_divided else most
        return (
            self._unproven.total() < most
            and self._unproven[group.client] < of_client
            and self._inside[group] < of_folder
        )

    def _grant(self) -> None:
        """Give each group that waits a place in turn, as long as there are any."""
        while group := self._next():
            queue = self._waiting[group]
            turn = queue.popleft()
            if not turn.done():  # else who waited has left, and has not run since
                self._count(group, 1)
                turn.set_result(None)
            if queue:
                self._waiting.move_to_end(group)
            else:
                del self._waiting[group]

    def _next(self) -> _Group | None:
        free = filter(self._is_free, self._waiting)
        return min(free, key=lambda group: self._clients[group.client], default=None)


class _Turn:
    """A place at an origin, once it is one's turn; an async context manager."""

    def __init__(self, places: _Places, group: _Group) -> None:
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
