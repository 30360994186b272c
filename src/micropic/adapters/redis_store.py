"""Entries in Redis, or in a server that speaks as it does."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

_CONNECTIONS = 32
"""Who finds all of them in use waits, as long as its time allows."""
_KEYS_AT_ONCE = 1000
_PREFIX = "micropic:"
_AGAIN = Retry(NoBackoff(), 1)
"""A server that was started again has closed every connection, which its next use finds out."""


class RedisStore:
    """Holds entries as strings that expire, in the database that `url` names.

    What they may take up together, and which of them go first, Redis is told by its own settings.
    """

    def __init__(self, url: str) -> None:
        pool = BlockingConnectionPool.from_url(
            url, max_connections=_CONNECTIONS, timeout=None, retry=_AGAIN
        )
        self._redis = Redis.from_pool(pool)

    async def read(self, name: str) -> bytes | None:
        """Give what was written; None: nothing, or it has expired."""
        data = await self._redis.get(_key(name))
        return data if isinstance(data, bytes) else None

    async def write(self, name: str, data: bytes, seconds: float) -> None:
        """Hold bytes for `seconds`."""
        await self._redis.set(_key(name), data, ex=math.ceil(seconds))

    async def remove(self, name: str) -> None:
        """Forget what was written, if anything was."""
        await self._redis.unlink(_key(name))

    async def names(self, beginning: str) -> AsyncIterator[str]:
        """Give the names of all there is that begin so; it is a walk through the database."""
        async for key in self._redis.scan_iter(match=_key(beginning) + "*", count=_KEYS_AT_ONCE):
            yield key.decode().removeprefix(_PREFIX).replace(":", "/")

    async def close(self) -> None:
        """Hang up."""
        await self._redis.aclose()


def _key(name: str) -> str:
    return _PREFIX + name.replace("/", ":")
