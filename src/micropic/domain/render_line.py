"""Admission to the render processes: fair by client, and short renders apart from long ones."""

from __future__ import annotations

import math
from bisect import bisect_right, insort
from typing import NamedTuple

from micropic.domain import cost
from micropic.domain.fairness import FairShares, Turn
from micropic.domain.waiting import Line

_GUESS_LONG = 0.5
"""Seconds that a long render takes, before one was measured."""


class Coming(NamedTuple):
    """A render whose source is on its way."""

    line: Line
    token: object


class RenderLine:
    """Who waits for one of several render processes, or is on the way there.

    Long renders (`cost.LONG`) have all processes but one at most, and a line of their own: what
    they take says nothing of how long a short one would wait. Who is ahead of whom follows from the
    fair share of each client. Costs are estimates in seconds.
    """

    def __init__(self, servers: int, longest_wait: float) -> None:
        self.servers = servers
        self.most_long = max(1, servers - 1)
        """How many processes long renders may have at a time."""
        self.shares = FairShares(servers)
        self._short = Line(servers, longest_wait)
        self._long = Line(self.most_long, longest_wait, _GUESS_LONG)
        self._waiting: dict[bool, list[Turn]] = {False: [], True: []}

    @property
    def waiting(self) -> int:
        """How many wait for a process."""
        return self._short.waiting + self._long.waiting

    @property
    def long_waiting(self) -> int:
        """How many of these are long."""
        return self._long.waiting

    @property
    def busy(self) -> int:
        """How many processes are at work."""
        return self._short.busy + self._long.busy

    @property
    def coming(self) -> int:
        """How many are on their way."""
        return self._short.coming + self._long.coming

    @property
    def refused(self) -> int:
        """How many were refused, since the start."""
        return self._short.door.refused + self._long.door.refused

    def check(self, now: float, deadline: float, client: str, seconds: float) -> None:
        """Let in one who is here.

        Raises:
            Overloaded: it would wait for too long.

        """
        self._line(seconds).check(now, deadline, self._ahead(client, seconds))

    def check_in_time(self, now: float, deadline: float, client: str, seconds: float) -> None:
        """Let in one who has come a long way, unless it comes too late.

        Raises:
            Overloaded: it would wait for longer than until its deadline.

        """
        self._line(seconds).check_in_time(now, deadline, self._ahead(client, seconds))

    def check_coming(self, now: float, deadline: float, client: str, seconds: float) -> None:
        """Let on its way one that is among those who come already.

        Raises:
            Overloaded: it would wait for too long.

        """
        ahead = self._ahead(client, seconds)
        self._line(seconds).check_coming(now, deadline, ahead, client)

    def come(self, now: float, client: str, seconds: float) -> Coming:
        """Be on the way; what is returned is for `came`."""
        line = self._line(seconds)
        return Coming(line, line.come(now, client))

    def came(self, coming: Coming, now: float, *, here: bool) -> None:  # as `Line`
        """End the way: in the line, or elsewhere."""
        coming.line.came(coming.token, now, here=here)

    def join(self, now: float, client: str, seconds: float) -> Turn:
        """Wait from now on; `leave` comes next, with or without a process."""
        turn = self.shares.take(client, seconds, is_long=self._is_long(seconds))
        insort(self._waiting[turn.is_long], turn)
        self._line(seconds).join(now)
        return turn

    def leave(self, turn: Turn, now: float) -> None:
        """Wait no more; `begin` or `give_up` comes next."""
        self._waiting[turn.is_long].remove(turn)
        self.shares.left(turn)
        self._line(turn.cost).leave(now)

    def give_up(self, turn: Turn) -> None:
        """Take a turn back that came to nothing."""
        self.shares.given_back(turn)

    def begin(self, turn: Turn) -> None:
        """Take note that a process is at work; `end` comes next."""
        self._line(turn.cost).busy += 1
        self._apart()

    def end(self, turn: Turn, now: float, seconds: float, *, whole: bool) -> None:
        """Note for how long a process was at work; where that was cut short it takes longer."""
        line = self._line(turn.cost)
        line.busy -= 1
        line.served(now, seconds, whole=whole)
        self._apart()
        self.shares.settled(turn, seconds, contended=self.waiting > 0)

    def _apart(self) -> None:
        self._short.servers = max(1, self.servers - self._long.busy)

    def _is_long(self, seconds: float) -> bool:
        return cost.is_long(seconds) and self.servers > 1

    def _line(self, seconds: float) -> Line:
        return self._long if self._is_long(seconds) else self._short

    def _ahead(self, client: str, seconds: float) -> int:
        tag = self.shares.tag(client, seconds)
        return bisect_right(self._waiting[self._is_long(seconds)], (tag, math.inf))
