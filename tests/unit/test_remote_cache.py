from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from micropic.adapters.entry import pack
from micropic.adapters.remote_cache import RemoteCache
from micropic.domain.errors import Overloaded
from micropic.domain.freshness import DAY
from micropic.domain.model import Preview
from micropic.domain.purge import Purge

KEPT = Preview(b"x", "image/jpeg", 0.0, DAY)


class MemoryStore:
    """Holds bytes, or does what `fault` says."""

    def __init__(self) -> None:
        self.held: dict[str, bytes] = {}
        self.seconds: list[float] = []
        self.calls = 0
        self.fault: Exception | None = None
        self.hangs = False

    async def read(self, name: str) -> bytes | None:
        await self._call()
        return self.held.get(name)

    async def write(self, name: str, data: bytes, seconds: float) -> None:
        await self._call()
        self.held[name] = data
        self.seconds.append(seconds)

    async def remove(self, name: str) -> None:
        await self._call()
        self.held.pop(name, None)

    async def names(self, beginning: str) -> AsyncIterator[str]:
        await self._call()
        for name in self.held:
            if name.startswith(beginning):
                yield name

    async def close(self) -> None:
        self.held.clear()

    async def _call(self) -> None:
        self.calls += 1
        if self.hangs:
            await asyncio.Event().wait()
        if self.fault:
            raise self.fault


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def cache(store: MemoryStore) -> RemoteCache:
    return RemoteCache(store, 10.0)


async def test_a_preview_is_held_for_as_long_as_it_may_be_of_use(store: MemoryStore) -> None:
    await RemoteCache(store, 10.0).put("key", KEPT)
    await RemoteCache(store, 10.0, keep=5.0).put("key", KEPT)
    assert store.seconds == [DAY + DAY, DAY + 5.0]


@pytest.mark.parametrize("fault", [OSError("gone"), RuntimeError("closed"), ValueError("odd")])
async def test_a_fault_fails_nobody(
    store: MemoryStore, cache: RemoteCache, fault: Exception
) -> None:
    await cache.put("key", KEPT)
    store.fault = fault
    assert await cache.get("key") is None
    await cache.put("key", KEPT)
    await cache.delete("key")
    assert cache.faults == 3
    store.fault = None
    assert await cache.get("key") == KEPT


async def test_a_purge_that_a_fault_stops_is_told(store: MemoryStore, cache: RemoteCache) -> None:
    await cache.put("key", KEPT)
    store.fault = OSError("gone")
    with pytest.raises(Overloaded):
        await cache.purge(Purge(everything=True))
    assert cache.faults == 1


async def test_a_purge_by_prefix_passes_over_what_is_damaged(
    store: MemoryStore, cache: RemoteCache
) -> None:
    await cache.put("/fill/1/1//http://h/a", KEPT)
    await cache.put("/fill/1/1//http://h/b", KEPT)
    store.held[next(iter(store.held))] = b"damaged"
    assert await cache.purge(Purge(prefixes=("http://h/",))) == 1
    assert list(store.held.values()) == [b"damaged"]


async def test_a_store_that_hangs_costs_no_more_than_the_time(store: MemoryStore) -> None:
    cache = RemoteCache(store, 0.01)
    store.hangs = True
    begun = time.monotonic()
    assert await cache.get("key") is None
    await cache.put("key", KEPT)
    await cache.delete("key")
    assert time.monotonic() - begun < 5
    assert cache.faults == 3


async def test_after_faults_in_a_row_the_store_is_left_alone(
    store: MemoryStore, cache: RemoteCache
) -> None:
    store.fault = OSError("two\nlines")
    for _ in range(50):
        assert await cache.get("key") is None
        await cache.put("key", KEPT)
        await cache.delete("key")
    assert store.calls < 10
    assert cache.trouble == "OSError: two lines"


async def test_a_caller_that_leaves_is_no_fault(store: MemoryStore, cache: RemoteCache) -> None:
    store.hangs = True
    task = asyncio.create_task(cache.get("key"))
    async with asyncio.timeout(10):
        while not store.calls:  # noqa: ASYNC110 # each turn of the loop is a chance
            await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cache.faults == 0


async def test_an_entry_that_was_damaged_is_none_and_is_removed(
    store: MemoryStore, cache: RemoteCache
) -> None:
    await cache.put("key", KEPT)
    (name,) = store.held
    store.held[name] = store.held[name][:-1] + b"y"
    assert await cache.get("key") is None
    assert store.held == {}


async def test_an_entry_of_another_key_is_none(store: MemoryStore, cache: RemoteCache) -> None:
    await cache.put("key", KEPT)
    (name,) = store.held
    store.held[name] = b"".join(pack("other", KEPT))
    assert await cache.get("key") is None
