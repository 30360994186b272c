from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from micropic.adapters import disk_cache
from micropic.adapters.disk_cache import DiskCache
from micropic.adapters.entry import VERSION
from micropic.adapters.grpc_cache import GrpcCache
from micropic.adapters.memory_cache import MemoryCache
from micropic.adapters.redis_store import RedisStore
from micropic.adapters.remote_cache import RemoteCache, Store
from micropic.adapters.s3_store import S3Store
from micropic.domain.freshness import lifetime
from micropic.domain.model import FROM_CACHE, Preview, SourceFacts
from micropic.domain.purge import Purge
from micropic.ports import Cache
from micropic.services.cache import CacheServer
from tests.support.s3_server import S3Server

MakeCache = Callable[[int], Awaitable[Cache]]

MIB = 1024**2
ROOMY = 64 * MIB
BODY = 100_000
"""Bytes; what an entry takes beside them is a few thousand at the most, for each cache."""
THREE = 3 * BODY + BODY // 2
"""Room for three entries and not for four."""


BOUNDED = ["memory", "disk", "disk, read by threads", "gRPC"]
REMOTE = ["Redis", "S3"]
"""What they hold is bounded by their servers' own settings."""


@pytest.fixture(params=BOUNDED)
async def make_cache(request: pytest.FixtureRequest) -> AsyncIterator[MakeCache]:
    """Make a cache that holds so many bytes."""
    async with AsyncExitStack() as stack:
        yield lambda max_bytes: bounded(request, stack, max_bytes)


@pytest.fixture(params=BOUNDED + REMOTE)
async def cache(request: pytest.FixtureRequest) -> AsyncIterator[Cache]:
    async with AsyncExitStack() as stack:
        if request.param in REMOTE:
            yield await stack.enter_async_context(RemoteCache(store(request), 10.0))
        else:
            yield await bounded(request, stack, ROOMY)


async def bounded(request: pytest.FixtureRequest, stack: AsyncExitStack, max_bytes: int) -> Cache:
    if request.param == "memory":
        return MemoryCache(max_bytes)
    if request.param == "disk, read by threads":
        request.getfixturevalue("monkeypatch").setattr(disk_cache, "read_cached", lambda _: None)
    cache = DiskCache(request.getfixturevalue("tmp_path"), max_bytes)
    stack.callback(cache.close)
    if request.param != "gRPC":
        return cache
    server = await stack.enter_async_context(CacheServer(cache, "127.0.0.1", 0))
    return await stack.enter_async_context(GrpcCache("127.0.0.1", server.port, 10.0))


def store(request: pytest.FixtureRequest) -> Store:
    if request.param == "Redis":
        return RedisStore(request.getfixturevalue("redis").url)
    server: S3Server = request.getfixturevalue("s3")
    for name, value in server.environment.items():
        request.getfixturevalue("monkeypatch").setenv(name, value)
    return S3Store(server.bucket, uuid4().hex, server.endpoint)


def preview(name: str = "owl", size: int = BODY) -> Preview:
    body = (name.encode() * (size // len(name.encode()) + 1))[:size]
    return made(body, SourceFacts(sha256=name))


def made(body: bytes, facts: SourceFacts) -> Preview:
    return Preview(body, "image/jpeg", 1_700_000_000.123456, lifetime(facts), facts)


async def held(cache: Cache, *keys: str) -> list[str]:
    return [key for key in keys if await cache.get(key) is not None]


async def test_what_was_put_comes_back_equal(cache: Cache) -> None:
    facts = SourceFacts('"e"', "Mon", "max-age=5, public", "0", "Tue", "7", "accept", "ab" * 32)
    kept = made(b"\x00\xff\r\n" * 9, facts)
    await cache.put("key", kept)
    assert await cache.get("key") == kept
    assert await cache.get("key") == kept


@pytest.mark.parametrize("size", [0, 1, 3 * MIB, 3 * MIB + 1, 10 * MIB])
async def test_a_body_of_any_size_comes_back(cache: Cache, size: int) -> None:
    await cache.put("key", preview(size=size))
    kept = await cache.get("key")
    assert kept is not None
    assert kept == preview(size=size)
    assert kept.provenance == FROM_CACHE


async def test_many_gets_at_once_are_each_answered(cache: Cache) -> None:
    names = [f"n{number}" for number in range(90)]
    for name in names[::2]:
        await cache.put(name, preview(name))
    kept = await asyncio.gather(*map(cache.get, names + names))
    assert kept[::2] == [preview(name) for name in names[::2]] * 2
    assert kept[1::2] == [None] * 90


async def test_what_was_never_put_is_missing(cache: Cache) -> None:
    await cache.put("key", preview())
    assert await cache.get("other") is None


async def test_what_was_deleted_is_missing_and_may_be_put_again(cache: Cache) -> None:
    await cache.put("key", preview())
    await cache.put("other", preview())
    await cache.delete("key")
    assert await held(cache, "key", "other") == ["other"]
    await cache.put("key", preview("new"))
    assert await cache.get("key") == preview("new")


SOURCES = ["http://h/a", "http://h/b", "http://h/b/c", "http://i/a"]


def keys_of(source: str) -> list[str]:
    """Give the keys of a source and of what was made of it."""
    preview = f"/fill/30/20/q=80/{source}"
    return [preview, f"{preview}#abc", f"/fit/9/9/q=80/{source}", f"/source/0/0//{source}"]


@pytest.mark.parametrize(
    ("what", "forgotten"),
    [
        (Purge(), []),
        (Purge(frozenset({"http://h/b"})), ["http://h/b"]),
        (Purge(frozenset({"http://h/a", "http://i/a"})), ["http://h/a", "http://i/a"]),
        (Purge(prefixes=("http://h/b",)), ["http://h/b", "http://h/b/c"]),
        (Purge(frozenset({"http://i/a"}), ("http://h/b/",)), ["http://h/b/c", "http://i/a"]),
        (Purge(everything=True), SOURCES),
    ],
)
async def test_a_purge_takes_all_that_is_about_a_source_and_nothing_else(
    cache: Cache, what: Purge, forgotten: list[str]
) -> None:
    for source in SOURCES:
        for key in keys_of(source):
            await cache.put(key, preview())
    assert await cache.purge(what) == 4 * len(forgotten)
    for source in SOURCES:
        assert bool(await held(cache, *keys_of(source))) == (source not in forgotten)
    assert await cache.purge(what) == 0


async def test_deleting_what_is_not_there_is_no_error(cache: Cache) -> None:
    await cache.delete("key")
    assert await cache.get("key") is None


async def test_a_newer_preview_takes_the_place_of_the_older(cache: Cache) -> None:
    await cache.put("key", preview("old", 5000))
    await cache.put("key", preview("new", 70))
    assert await cache.get("key") == preview("new", 70)


async def test_replacing_takes_no_more_room(make_cache: MakeCache) -> None:
    cache = await make_cache(THREE)
    await cache.put("a", preview())
    for _ in range(9):
        await cache.put("b", preview())
    assert await held(cache, "a", "b") == ["a", "b"]


async def test_deleting_gives_room_back(make_cache: MakeCache) -> None:
    cache = await make_cache(THREE)
    for key in "abc":
        await cache.put(key, preview())
    await cache.delete("b")
    await cache.put("d", preview())
    assert await held(cache, "a", "b", "c", "d") == ["a", "c", "d"]


async def test_the_oldest_goes_when_the_bytes_are_used_up(make_cache: MakeCache) -> None:
    cache = await make_cache(THREE)
    for key in "abcde":
        await cache.put(key, preview())
    assert await held(cache, *"abcde") == ["c", "d", "e"]


async def test_a_get_makes_an_entry_the_newest(make_cache: MakeCache) -> None:
    cache = await make_cache(THREE)
    for key in "abc":
        await cache.put(key, preview())
    await cache.get("a")
    await cache.put("d", preview())
    assert await held(cache, *"abcd") == ["a", "c", "d"]


async def test_one_large_entry_makes_several_small_ones_go(make_cache: MakeCache) -> None:
    cache = await make_cache(THREE)
    for key in "abc":
        await cache.put(key, preview())
    await cache.put("large", preview(size=2 * BODY))
    assert await held(cache, "a", "b", "c", "large") == ["c", "large"]


async def test_what_is_larger_than_the_whole_is_not_kept_and_the_others_stay(
    make_cache: MakeCache,
) -> None:
    cache = await make_cache(THREE)
    await cache.put("a", preview())
    await cache.put("huge", preview(size=4 * BODY))
    assert await held(cache, "a", "huge") == ["a"]


async def test_what_is_larger_than_the_whole_does_not_leave_its_older_self(
    make_cache: MakeCache,
) -> None:
    cache = await make_cache(THREE)
    await cache.put("a", preview("old"))
    await cache.put("a", preview("new", 4 * BODY))
    assert await cache.get("a") is None


@pytest.mark.parametrize(
    "key",
    [
        "",
        " ",
        "eule/\u00fcber/\u65e5\u672c.jpg",
        "a\nb\r\n\x00c",
        "../../etc/passwd",
        "x" * 100_000,
    ],
    ids=["empty", "space", "unicode", "control", "dots", "long"],
)
async def test_any_text_is_a_key(cache: Cache, key: str) -> None:
    await cache.put(key, preview())
    assert await cache.get(key) == preview()
    assert await cache.get(key + "x") is None
    await cache.delete(key)
    assert await cache.get(key) is None


async def test_a_caller_that_leaves_does_not_stop_a_put(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, ROOMY)
    for number in range(20):
        task = asyncio.create_task(cache.put(f"k{number}", preview("x")))
        await asyncio.sleep(0)
        task.cancel()
    await asyncio.gather(*cache._puts)
    assert len([path for path in (tmp_path / f"v{VERSION}").rglob("*") if path.is_file()]) == 20
    assert len(cache._index) == 20
    cache.close()


async def test_a_disk_that_stalls_takes_no_more_memory_than_is_bounded(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, 1024 * MIB)
    old, large = preview("old"), replace(preview("new"), body=bytes(10 * MIB))
    await cache.put("k9", old)
    moves = threading.Event()
    stalled = cache._writer.run(moves.wait, 20.0)
    callers = [asyncio.create_task(cache.put(f"k{number}", large)) for number in range(10)]
    with capture_logs() as told:
        await asyncio.wait(callers[6:])
    for caller in callers:
        caller.cancel()
    assert len(cache._puts) == 6
    assert [cache.has(f"k{number}") for number in range(10)] == [True] * 6 + [False] * 4
    assert [line["event"] for line in told] == ["cache_disk_too_slow"]
    moves.set()
    await asyncio.gather(stalled, *cache._puts)
    await cache.put("k7", large)
    assert [cache.has(f"k{number}") for number in range(6, 10)] == [False, True, False, False]
    assert len([path for path in (tmp_path / f"v{VERSION}").rglob("*") if path.is_file()]) == 7
    cache.close()


async def test_an_entry_larger_than_what_may_wait_is_kept_by_a_disk_that_keeps_up(
    tmp_path: Path,
) -> None:
    cache = DiskCache(tmp_path, 1024 * MIB)
    await cache.put("k", replace(preview("x"), body=bytes(65 * MIB)))
    assert cache.has("k")
    cache.close()


def test_files_that_are_not_the_caches_own_are_left_alone(tmp_path: Path) -> None:
    DiskCache(tmp_path, ROOMY).close()
    root = tmp_path / f"v{VERSION}"
    strays = [root / "stray", root / "ab/cd", root / "ab" / ("0" * 64)]
    for stray in strays:
        stray.touch()
    (tmp_path / "tmp/folder").mkdir()
    cache = DiskCache(tmp_path, ROOMY)
    assert len(cache._index) == 0
    assert all(stray.exists() for stray in strays)
    cache.close()


async def test_what_comes_with_a_preview_counts_as_well() -> None:
    cache = MemoryCache(20_000)
    facts = SourceFacts(etag="e" * 5_000)
    for number in range(10):
        await cache.put(f"k{number}", Preview(b"x", "image/jpeg", 0.0, 60.0, facts))
    assert len(cache._index) < 4


async def test_entries_of_an_earlier_format_are_cleared_away(tmp_path: Path) -> None:
    DiskCache(tmp_path, ROOMY).close()
    old = tmp_path / f"v{VERSION - 1}" / "ab" / ("ab" * 32)
    old.parent.mkdir(parents=True)
    old.write_bytes(b"MPIC")
    DiskCache(tmp_path, ROOMY).close()
    assert not old.parent.parent.exists()
