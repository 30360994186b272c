"""Who is let in to wait, and who is better told at once to come again.

Nothing here has a clock of its own: `now` and deadlines are in seconds of any clock that goes
forward, waits and what is measured in seconds.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from micropic.domain.errors import Overloaded

_SHORT = 25
_SHORT_AFAR = 10
"""By how much the longest wait is divided while more is asked for than can be done.

By less where the work is done by others: what is known of waits has the way to them in it.
"""
_LONGEST_RETRY = 30
"""Seconds; nobody is sent away for longer, whatever has gathered."""
_WEIGHT = 0.05
"""Of the newest measurement in a mean."""
_GUESS = 0.02
"""Seconds that something takes, before it was measured."""
_FORGOTTEN = 5.0
"""Seconds without work after which what it took is forgotten."""


class Door:
    """Refuses those whose wait would be too long.

    A burst may wait `most` seconds. If that is not enough, more is asked for than can be done, and
    to wait gains nobody anything: from then on the queue is kept short, so that who gets in is
    answered soon, until for a moment nobody waits, or for a while nobody had to be refused.

    Who is refused is told to come again when it would be its turn if all who were refused came.
    """

    def __init__(self, most: float, short: float = _SHORT) -> None:
        self._most = most
        self.least = most / short
        """For how long one may wait in any case."""
        self._is_short = False
        self._refused_at = -math.inf
        self._empty_since: float | None = -math.inf
        self._next_turn = -math.inf
        self.refused = 0
        """How many were, since the start."""

    def seen(self, now: float, *, waiting: bool) -> None:
        """Take note of whether anybody waits."""
        self._is_short = self._stays_short(now)
        if waiting:
            self._empty_since = None
        elif self._empty_since is None:
            self._empty_since = now

    def longest(self, now: float) -> float:
        """Give for how long one may wait who comes now."""
        return self.least if self._stays_short(now) else self._most

    def _stays_short(self, now: float) -> bool:
        empty_since = math.inf if self._empty_since is None else self._empty_since
        is_needed = now - self._refused_at < self._most
        return self._is_short and is_needed and now - empty_since < self.least

    def enter(
        self, now: float, deadline: float, wait: float, *, each: float, least: float = 0.0
    ) -> None:
        """Let one in that would wait so long; `each` is by how much one more adds to that.

        A wait of up to `least` is short, whatever else there is.

        Raises:
            Overloaded: it would wait too long, or longer than until its deadline.

        """
        longest = max(self.longest(now), least)
        if wait <= 0 or (wait <= longest and now + wait < deadline):
            return
        self.refused += 1
        if wait > longest:
            self._is_short, self._refused_at = True, now
        latest = now + _LONGEST_RETRY
        self._next_turn = min(max(self._next_turn, now + wait) + each, latest)
        msg = "More previews are wanted than can be made at the moment; try again later."
        raise Overloaded(msg, retry_after=max(1, math.ceil(self._next_turn - now)))


class Mean:
    """A mean that forgets: the newest twenty or so count most."""

    def __init__(self, guess: float = _GUESS) -> None:
        self.value = guess

    def add(self, value: float) -> None:
        """Take one more into account."""
        self.value += _WEIGHT * (value - self.value)


class Line:
    """Those who wait for one of several `servers`, and those who are on their way to it.

    How long that takes follows from how long the servers have taken of late: after a while without
    work nothing is known of what comes next.
    """

    def __init__(self, servers: int, longest_wait: float, guess: float = _GUESS) -> None:
        self.servers = servers
        self.waiting = self.busy = 0
        self.door = Door(longest_wait)
        self._guess = guess
        self._work = Mean(guess)
        self._way = Mean()
        self._worked_at = -math.inf
        self._coming: dict[object, tuple[float, str]] = {}

    @property
    def coming(self) -> int:
        """How many are on their way."""
        return len(self._coming)

    def check(self, now: float, deadline: float, ahead: int | None = None) -> None:
        """Let in one who is here, with so many `ahead` of it; None: all who wait.

        Raises:
            Overloaded: it would wait for too long.

        """
        self._enter(now, deadline, self._ahead(ahead))

    def check_in_time(self, now: float, deadline: float, ahead: int | None = None) -> None:
        """Let in one who has come a long way, unless it comes too late.

        Raises:
            Overloaded: it would wait for longer than until its deadline.

        """
        self._enter(now, deadline, self._ahead(ahead), least=math.inf)

    def check_coming(
        self, now: float, deadline: float, ahead: int | None = None, client: str = ""
    ) -> None:
        """Let on its way one that is among those who come already.

        It waits for those who come before it, too, but not while it is on its way itself: of each
        client for as many as of its own, since their turns take turns. Those who take long, as
        from an origin that hangs, may never come, and do not count.

        Raises:
            Overloaded: it would wait for too long.

        """
        soon = now - 2 * self._way.value
        coming = Counter(whose for began, whose in self._coming.values() if began > soon)
        others = sum(min(count, coming[client]) for count in coming.values()) - 1
        self._enter(now, deadline, self._ahead(ahead) + max(0, others), way=self._way.value)

    def _ahead(self, ahead: int | None) -> int:
        return self.waiting if ahead is None else ahead

    def _enter(
        self, now: float, deadline: float, before: int, *, way: float = 0.0, least: float = 0.0
    ) -> None:
        if not self.busy and not self.waiting and now - self._worked_at > _FORGOTTEN:
            self._work = Mean(self._guess)
        work = self._work.value
        each = work / self.servers
        wait = max(0, before + 1 - (self.servers - self.busy)) * each - way
        # One for each server may wait, however long their work takes, if it is done in time.
        self.door.enter(now, deadline - work - way, wait, each=each, least=max(least, work))

    def come(self, now: float, client: str = "") -> object:
        """Be on the way; what is given is for `came`."""
        token = object()
        self._coming[token] = now, client
        return token

    def came(self, token: object, now: float, *, here: bool) -> None:
        """End the way: in the line, or elsewhere."""
        began, _ = self._coming.pop(token)
        if here:
            self._way.add(now - began)

    def join(self, now: float) -> None:
        """Wait from now on, or be served at once."""
        self.waiting += 1
        if self.waiting > self.servers - self.busy:
            self.door.seen(now, waiting=True)

    def leave(self, now: float) -> None:
        """Wait no more: it is one's turn, or one has gone."""
        self.waiting -= 1
        if not self.waiting:
            self.door.seen(now, waiting=False)

    def served(self, now: float, seconds: float, *, whole: bool = True) -> None:
        """Note for how long a server was at work; where that was cut short it takes longer."""
        self._worked_at = now
        self._work.add(seconds if whole else max(seconds, self._work.value))


class Backlog:
    """What others work on for us: how long one more waits follows from how long the last ones did.

    Nothing need be known of who works, nor of who else has work for them.
    """

    def __init__(self, longest_wait: float) -> None:
        self.inside = 0
        """How many are not answered yet."""
        self.door = Door(longest_wait, _SHORT_AFAR)
        self._waited, self._ahead = Mean(0.0), Mean(0.0)
        self._work = Mean()

    def enter(self, now: float, deadline: float) -> int:
        """Let one in; give how many there are ahead of it.

        Raises:
            Overloaded: it would wait for too long.

        """
        each = self._waited.value / max(self._ahead.value, 1.0)
        self.door.enter(now, deadline, self.inside * each, each=each, least=self._work.value)
        if not self.inside:
            self.door.seen(now, waiting=True)
        self.inside += 1
        return self.inside - 1

    def left(self, now: float) -> None:
        """Take note that one has its answer, or waits no more."""
        self.inside -= 1
        if not self.inside:
            self.door.seen(now, waiting=False)

    def answered(self, now: float, ahead: int, waited: float, worked: float | None = None) -> None:
        """Note for how long one waited with so many ahead of it, and how long its work took."""
        if ahead:  # else it has waited for others' work alone
            self._waited.add(waited)
            self._ahead.add(ahead)
        elif waited < self._waited.value / max(self._ahead.value, 1.0):
            self._waited.add(waited)  # nor would one more wait for so long any longer
        if worked is not None:
            self._work.add(worked)
        self.door.seen(now, waiting=self._waited.value >= self.door.least / 4)


class Room:
    """The bytes of sources that may be in memory at once."""

    def __init__(self, limit: float = math.inf) -> None:
        self.limit = limit
        self.held = self.refused = 0
        """How many are, and how often there was no room for more."""

    @contextmanager
    def share(self) -> Iterator[Callable[[int], None]]:
        """Give what takes so many bytes more, all to be given back when the block ends.

        It raises Overloaded where there is no room for them. Nobody waits for room: those who
        hold some of it may each be waiting for more.
        """
        mine = 0

        def take(size: int) -> None:
            nonlocal mine
            if self.held + size > self.limit:
                self.refused += 1
                msg = "Too many bytes of pictures are held in memory; try again in a moment."
                raise Overloaded(msg)
            self.held += size
            mine += size

        try:
            yield take
        finally:
            self.held -= mine
