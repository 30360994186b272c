"""How HTTP says what a client may ask for (draft-ietf-httpapi-ratelimit-headers-10)."""

from __future__ import annotations

import math
import time

from micropic.domain import clients
from micropic.domain.errors import TooManyRequests
from micropic.domain.rate import Quota, TokenBuckets
from micropic.web.responses import Fields

_GUESS_RATE = 0.1
"""Wrong tokens a second, after the first ones: 8,640 a day."""
_GUESS_BURST = 10


class RateLimit:
    """Counts requests by client: by its address, in IPv6 by the network of it (a /64)."""

    def __init__(self, rate: float, burst: int) -> None:
        self._buckets = TokenBuckets(rate, burst)
        window = math.ceil(burst / rate)
        self._policy = b'"client";q=%d;w=%d' % (burst, window)

    def take(self, client: str) -> tuple[Fields, TooManyRequests | None]:
        """Count a request; give the fields that its answer is to have, and why it is refused."""
        quota = self._buckets.take(clients.group(client), time.monotonic())
        fields = [
            (b"ratelimit-policy", self._policy),
            (b"ratelimit", b'"client";r=%d;t=%d' % (quota.left, quota.full_in)),
        ]
        return fields, _refusal(quota) if quota.wait else None


class GuessLimit:
    """Bounds the wrong tokens that a client may send, counted like its requests.

    A client over the limit is refused before its token is looked at, so that it learns nothing of
    it, not even by the right one. Others are not concerned: who knows the token is not locked out
    by strangers elsewhere.
    """

    def __init__(self, rate: float = _GUESS_RATE, burst: int = _GUESS_BURST) -> None:
        self._buckets = TokenBuckets(rate, burst)

    def check(self, client: str) -> None:
        """Let a client pass that may send another token.

        Raises:
            TooManyRequests: it has sent too many wrong ones.

        """
        if wait := self._buckets.wait(clients.group(client), time.monotonic()):
            msg = "Too many requests with a wrong token came from your address; try again later."
            raise TooManyRequests(msg, retry_after=wait)

    def failed(self, client: str) -> None:
        """Count a wrong token."""
        self._buckets.take(clients.group(client), time.monotonic())


def _refusal(quota: Quota) -> TooManyRequests:
    msg = "You ask for more previews than proxy.rate and proxy.burst allow one client."
    return TooManyRequests(msg, retry_after=quota.wait)
