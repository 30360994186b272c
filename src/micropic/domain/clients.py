"""Names for clients that say nothing of who they are."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from ipaddress import IPv6Address

_BYTES = 8


def group(client: str) -> str:
    """Return the name that a client is counted by: one customer has a whole /64 (RFC 6177)."""
    if ":" not in client:
        return client
    address = IPv6Address(client)
    return str(address.ipv4_mapped or int(address) >> 64)


@lru_cache(maxsize=4096)
def opaque(client: str) -> str:
    """Return a name by which a client gets its share of the work, equal in every process."""
    return hashlib.blake2b(
        group(client).encode(), digest_size=_BYTES, person=b"micropic"
    ).hexdigest()
