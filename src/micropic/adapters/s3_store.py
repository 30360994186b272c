"""Entries as objects in a bucket of S3, or of a server that speaks as it does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import obstore.store

if TYPE_CHECKING:
    from obstore.store import S3Config

_CALLS_AT_ONCE = 64
"""Each has a connection of its own; one more waits, as long as its time allows."""
_AGAIN = 1
"""How often a call is sent again: a server may have closed the connection just then."""


class S3Store:
    """Holds entries in `bucket`, their names beginning with `prefix`.

    Credentials, region and all else come from AWS's own variables of the environment, or from
    the machine's role; `endpoint` is the URL of another server, empty for AWS. Objects stay until
    a lifecycle rule of the bucket's removes them.
    """

    def __init__(self, bucket: str, prefix: str = "", endpoint: str = "") -> None:
        config: S3Config = {"endpoint": endpoint} if endpoint else {}
        self._bucket = obstore.store.S3Store(
            bucket,
            prefix=prefix or None,
            config=config,
            client_options={"allow_http": True} if endpoint.startswith("http:") else None,
            retry_config={"max_retries": _AGAIN},
        )
        self._free = asyncio.Semaphore(_CALLS_AT_ONCE)

    async def read(self, name: str) -> bytes | None:
        """Give what was written; None: nothing."""
        async with self._free:
            try:
                answer = await self._bucket.get_async(name)
            except FileNotFoundError:
                return None
            return bytes(await answer.bytes_async())

    async def write(self, name: str, data: bytes, seconds: float) -> None:  # noqa: ARG002 # S3 knows of days alone, and by rules
        """Hold bytes."""
        async with self._free:
            await self._bucket.put_async(name, data, use_multipart=False)

    async def remove(self, name: str) -> None:
        """Forget what was written, if anything was."""
        async with self._free:
            await self._bucket.delete_async(name)

    async def names(self, beginning: str) -> AsyncIterator[str]:
        """Give the names of all there is that begin so."""
        # Of a listing S3 knows whole folders alone.
        folder = beginning.rpartition("/")[0]
        async for objects in self._bucket.list(folder):
            for found in objects:
                if found["path"].startswith(beginning):
                    yield found["path"]

    async def close(self) -> None:
        """Do nothing: connections end with the process."""
