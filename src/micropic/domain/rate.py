"""How much each client may ask for: a token bucket for everyone."""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import NamedTuple

_MOST_CLIENTS = 10_000
_ROUNDING = 1e-6


class Quota(NamedTuple):
    """What one more request came to."""

    wait: int
    """Seconds until there is a token again; 0: this request had one."""
    left: int
    """Tokens that are left."""
    full_in: int
    """Seconds until the bucket is full."""


class TokenBuckets:
    """A bucket of `burst` tokens for each client, which gets `rate` new ones a second.

    Clients whom nothing was heard of for the longest time are forgotten where there are too many:
    their buckets count as full. Not safe for threads.
    """

    def __init__(self, rate: float, burst: int, most: int = _MOST_CLIENTS) -> None:
        self.rate = rate
        self.burst = burst
        self._most = most
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        """Give how many clients are remembered."""
        return len(self._full_at)

    def take(self, client: str, now: float) -> Quota:
        """Take a token for a client at `now`, in seconds of any clock that goes forward."""
        full_at = max(now, self._full_at.pop(client, now))
        taken = (full_at - now) * self.rate
        lacking = taken + 1 - self.burst
        if lacking <= _ROUNDING:
            full_at += 1 / self.rate
            taken += 1
        self._full_at[client] = full_at
        if len(self._full_at) > self._most:
            self._full_at.popitem(last=False)
        return Quota(
            wait=self._wait(lacking),
            left=max(0, int(self.burst - taken + _ROUNDING)),
            full_in=math.ceil(full_at - now),
        )

    def wait(self, client: str, now: float) -> int:
        """Return the seconds until a client has a token, 0 if it has one; take none."""
        taken = max(0.0, self._full_at.get(client, now) - now) * self.rate
        return self._wait(taken + 1 - self.burst)

    def _wait(self, lacking: float) -> int:
        return math.ceil(lacking / self.rate) if lacking > _ROUNDING else 0
