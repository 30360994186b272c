"""A cache in a store of bytes that others run, and that many processes may share."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable
from typing import Protocol, Self, TypeVar

import structlog

from micropic.adapters.entry import VERSION, CorruptEntryError, pack, unpack
from micropic.adapters.fault_watch import FaultWatch
from micropic.domain.freshness import DAY
from micropic.domain.model import Preview

log = structlog.get_logger()

T = TypeVar("T")


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

    async def close(self) -> None:
        """Hang up."""
        ...


class RemoteCache:
    """Keeps previews in `store`, as the same entries that lie on disk.

    Each call has `timeout` (seconds), and a fault costs no more than that: a `get` misses and a
    `put` keeps nothing. After some in a row the store is left alone but for a try now and then.
    The store is told that a preview is of use for `keep` seconds after it is stale.
    """

    def __init__(self, store: Store, timeout: float, keep: float = DAY) -> None:
        self._store = store
        self._timeout = timeout
        self._keep = keep
        self._watch = FaultWatch()

    async def __aenter__(self) -> Self:
        """Connect at the first call."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Hang up."""
        await self._store.close()

    @property
    def trouble(self) -> str:
        """Why the store is not asked at present; empty while it is."""
        return self._watch.trouble

    @property
    def faults(self) -> int:
        """Calls that failed since the start."""
        return self._watch.faults

    async def get(self, key: str) -> Preview | None:
        """Give the preview as it was put, its provenance now `FROM_CACHE`; or None."""
        name = _name(key)
        if not self._watch.allows():
            return None
        data = await self._ask(self._store.read(name))
        if data is None:
            return None
        try:
            stored_key, preview = unpack(data)
        except CorruptEntryError:
            log.warning("cache_entry_corrupt", name=name)
            await self.delete(key)
            return None
        return preview if stored_key == key else None

    async def put(self, key: str, preview: Preview) -> None:
        """Keep a preview, in the place of an older one."""
        if self._watch.allows():
            data = b"".join(pack(key, preview))
            await self._ask(self._store.write(_name(key), data, preview.lifetime + self._keep))

    async def delete(self, key: str) -> None:
        """Forget a preview, if it is here."""
        if self._watch.allows():
            await self._ask(self._store.remove(_name(key)))

    async def _ask(self, call: Awaitable[T]) -> T | None:
        try:
            async with asyncio.timeout(self._timeout):
                answer = await call
        except TimeoutError:
            self._watch.failed(f"no answer within {self._timeout:g} s")
            return None
        except Exception as error:  # noqa: BLE001 # whatever a store's library raises, no request fails by it
            self._watch.failed(" ".join(f"{type(error).__name__}: {error}".split()))
            return None
        self._watch.succeeded()
        return answer


def _name(key: str) -> str:
    """Give where an entry is: in one of many folders, apart from those of other formats."""
    digits = hashlib.sha256(key.encode()).hexdigest()
    return f"v{VERSION}/{digits[:2]}/{digits}"
