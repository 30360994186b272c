"""How HTTP says what a client may ask for (draft-ietf-httpapi-ratelimit-headers-10)."""

from __future__ import annotations

import math
import time

from micropic.domain import clients
from micropic.domain.errors import TooManyRequests
from micropic.domain.rate import Quota, TokenBuckets
from micropic.web.responses import Fields


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


def _refusal(quota: Quota) -> TooManyRequests:
    msg = "You ask for more previews than proxy.rate and proxy.burst allow one client."
    return TooManyRequests(msg, retry_after=quota.wait)
