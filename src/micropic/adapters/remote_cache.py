"""A cache in a store of bytes that others run, and that many processes may share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterable
from typing import Protocol, Self, TypeVar

import structlog

from micropic.adapters import entry
from micropic.adapters.entry import VERSION, CorruptEntryError, key_of, pack, unpack
from micropic.adapters.fault_watch import Watched
from micropic.domain.errors import Overloaded
from micropic.domain.freshness import DAY
from micropic.domain.model import PIECE, Preview
from micropic.domain.purge import Purge

log = structlog.get_logger()

T = TypeVar("T")

_PURGE_TIMEOUT = 30.0
"""Seconds: by prefix every entry is read."""


class Store(Protocol):
    """Holds bytes by name; whatever it raises is a fault."""

    async def read(self, name: str) -> bytes | None:
        """Give what was written; None: nothing."""
        ...

    async def write(self, name: str, data: bytes, seconds: float) -> None:
        """Hold bytes, whole or not at all; after `seconds` nobody asks for them any more."""
        ...

    async def remove(self, name: str) -> None:
        """Forget what was written, if anything was."""
        ...

    def names(self, beginning: str) -> AsyncIterator[str]:
        """Give the names of all there is that begin so."""
        ...

    async def close(self) -> None:
        """Hang up."""
        ...


class RemoteCache(Watched):
    """Keeps previews in `store`, as the same entries that lie on disk.

    Each call has `timeout` (seconds), and a fault costs no more than that: a `get` misses and a
    `put` keeps nothing. After some in a row the store is left alone but for a try now and then.
    The store is told that a preview is of use for `keep` seconds after it is stale.
    """

    def __init__(self, store: Store, timeout: float, keep: float = DAY) -> None:
        super().__init__()
        self._store = store
        self._timeout = timeout
        self._keep = keep

    async def __aenter__(self) -> Self:
        """Connect at the first call."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Hang up."""
        await self._store.close()

    async def get(self, key: str) -> Preview | None:
        """Give the preview as it was put, its provenance now `FROM_CACHE`; or None."""
        name = _name(key)
        if not self._watch.allows():
            return None
        data = await self._ask(self._store.read(name))
        if data is None:
            return None
        try:
            if len(data) > PIECE:  # to hash it takes too long for the event loop
                stored_key, preview = await asyncio.to_thread(unpack, data)
            else:
                stored_key, preview = unpack(data)
        except CorruptEntryError:
            log.warning("cache_entry_corrupt", name=name)
            await self.delete(key)
            return None
        return preview if stored_key == key else None

    async def put(self, key: str, preview: Preview) -> None:
        """Keep a preview, in the place of an older one."""
        if self._watch.allows():
            if len(preview.body) > PIECE:
                data = b"".join(await asyncio.to_thread(pack, key, preview))
            else:
                data = b"".join(pack(key, preview))
            await self._ask(self._store.write(_name(key), data, preview.lifetime + self._keep))

    async def delete(self, key: str) -> None:
        """Forget a preview, if it is here."""
        if self._watch.allows():
            await self._ask(self._store.remove(_name(key)))

    async def purge(self, what: Purge) -> int:
        """Forget all that `what` concerns, and tell how many entries that were.

        Raises:
            Overloaded: the store does not answer, or has too much to look through.

        """
        forgotten = await self._ask(self._forget(what), _PURGE_TIMEOUT)
        if forgotten is None:
            msg = "The cache does not answer in time; what was to be purged may be there still."
            raise Overloaded(msg)
        return forgotten

    async def _forget(self, what: Purge) -> int:
        forgotten = 0
        for beginning in _beginnings(what):
            # All names first: a store need not tell them well while some of them go.
            for name in [name async for name in self._store.names(beginning)]:
                if not what.prefixes or what.everything or what.concerns(await self._key(name)):
                    await self._store.remove(name)
                    forgotten += 1
        return forgotten

    async def _key(self, name: str) -> str:
        try:
            return key_of(await self._store.read(name) or b"")
        except CorruptEntryError:
            return ""

    async def _ask(self, call: Awaitable[T], timeout: float | None = None) -> T | None:
        timeout = timeout or self._timeout
        try:
            async with asyncio.timeout(timeout):
                answer = await call
        except TimeoutError:
            self._watch.failed(f"no answer within {timeout:g} s")
            return None
        except Exception as error:  # noqa: BLE001 # whatever a store's library raises, no request fails by it
            self._watch.failed(" ".join(f"{type(error).__name__}: {error}".split()))
            return None
        self._watch.succeeded()
        return answer


def _beginnings(what: Purge) -> Iterable[str]:
    """Give what the names begin with among which are all that are to be forgotten."""
    if what.everything or what.prefixes:
        return [f"v{VERSION}/"]
    return [_place(entry.source_part(source)) for source in what.sources]


def _name(key: str) -> str:
    return _place(entry.name(key))


def _place(name: bytes) -> str:
    """Give where an entry is: in one of many folders, apart from those of other formats."""
    digits = name.hex()
    return f"v{VERSION}/{digits[:2]}/{digits}"
