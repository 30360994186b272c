"""Fair shares of what several servers do, by client: weighted fair queuing.

Each piece of work gets a tag, and the smallest one is served first: how much work each client would
have had, in the seconds of the estimates, when this one is done if all were served at once and
equally (A. Demers, S. Keshav, S. Shenker, "Analysis and simulation of a fair queueing algorithm",
1989). So six connections of one client get no more than one of another, and short work comes before
long work that arrived with it. What one client brings is served in the order in which it came.

The clock is the work that was done, not the time that went by: on a machine that is slower than the
estimates say, nothing changes in the order.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from typing import NamedTuple

from micropic.domain.waiting import Mean

_MOST_CLIENTS = 10_000
_MOST_DEBT = 10.0
"""Seconds of work that a client may be ahead of the others at most: more is forgiven."""
_CLIENTS_PER_SERVER = 2
"""However many clients there are, the clock goes at this pace at least: so what waits is not
overtaken for ever by clients that are new."""


class Turn(NamedTuple):
    """A place in the order, which is that of the fields."""

    tag: float
    number: int
    """Equal tags are served in the order of their arrival."""
    client: str
    cost: float
    is_long: bool = False


class FairShares:
    """Hands out turns. Clients without work and without debt are forgotten."""

    def __init__(self, servers: int, most: int = _MOST_CLIENTS) -> None:
        self._most_divided = _CLIENTS_PER_SERVER * servers
        self._most = most
        self._clock = 0.0
        """How much work each client would have had by now."""
        self._number = 0
        self._pending: Counter[str] = Counter()
        self._waiting: dict[str, list[float]] = {}
        """The tags of what each client has waiting, which grow."""
        self._had: OrderedDict[str, float] = OrderedDict()
        """What the clock would show once all the work is done that a client has brought."""
        self._estimated, self._measured = Mean(), Mean()

    def __len__(self) -> int:
        """Return how many clients are remembered."""
        return len(self._had)

    def tag(self, client: str, cost: float) -> float:
        """Return the tag that work would get if it came now.

        It is no smaller than those of what the client has waiting: these stay as they are, while
        what the client had becomes less with each estimate that was too high. Else its new work
        would overtake the old for as long as it brings any.
        """
        waiting = self._waiting.get(client)
        total = self._total(client, cost)
        return max(total, waiting[-1]) if waiting else total

    def take(self, client: str, cost: float, *, is_long: bool = False) -> Turn:
        """Bring work; every turn is to be `left`, then `settled` or `given_back`, once."""
        tag = self.tag(client, cost)
        self._number += 1
        self._pending[client] += 1
        self._waiting.setdefault(client, []).append(tag)
        self._had[client] = self._total(client, cost)
        self._had.move_to_end(client)
        if len(self._had) > self._most:
            self._had.popitem(last=False)
        return Turn(tag, self._number, client, cost, is_long)

    def left(self, turn: Turn) -> None:
        """Take note that work does not wait any more: it is begun, or will not be."""
        waiting = self._waiting[turn.client]
        waiting.remove(turn.tag)
        if not waiting:
            del self._waiting[turn.client]

    def given_back(self, turn: Turn) -> None:
        """Take work back that was not begun."""
        self._charge(turn, 0.0)

    def settled(self, turn: Turn, seconds: float, *, contended: bool) -> None:
        """Charge a client for the measured time of its work instead of the estimate.

        Work done while the queue was not `contended` costs nothing later.
        """
        self._estimated.add(turn.cost)
        self._measured.add(seconds)
        charged = seconds * self._estimated.value / self._measured.value
        self._clock += charged / min(len(self._pending), self._most_divided)
        if not contended:
            had = self._had.get(turn.client, 0.0) + charged - turn.cost
            self._clock = max(self._clock, had)
        self._charge(turn, charged)

    def _total(self, client: str, cost: float) -> float:
        """Return how much the client will have had once it has had this, too."""
        had = self._had.get(client, 0.0)
        return min(max(self._clock, had), self._clock + _MOST_DEBT) + cost

    def _charge(self, turn: Turn, charged: float) -> None:
        client = turn.client
        self._pending[client] -= 1
        is_last = not self._pending[client]
        if is_last:
            del self._pending[client]
        if client in self._had:
            self._had[client] += charged - turn.cost
            if is_last and self._had[client] <= self._clock:
                del self._had[client]
