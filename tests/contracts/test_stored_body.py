"""Large bodies that a cache leaves where they are."""

from __future__ import annotations

import gc
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from micropic.adapters import file_body
from micropic.adapters.disk_cache import DiskCache
from micropic.adapters.entry import LARGE, VERSION
from micropic.adapters.grpc_cache import GrpcCache
from micropic.domain import urls
from micropic.domain.model import PIECE, BodyLostError, Preview, StoredBody
from micropic.domain.purge import Purge
from micropic.ports import Cache
from micropic.services.cache import CacheServer

BODY = os.urandom(PIECE) * 11 + b"end"
LARGE_ONE = Preview(BODY, "image/png", 1_700_000_000.25, 60.0, etag='"e"')
SMALL_ONE = replace(LARGE_ONE, body=BODY[:LARGE])
KEY = "/fill/30/20/q=80/http://h/a"


@pytest.fixture(params=["disk", "gRPC"])
async def cache(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Cache]:
    async with AsyncExitStack() as stack:
        disk = DiskCache(tmp_path, 64 * 1024**2, leave_large=True)
        stack.callback(disk.close)
        if request.param == "disk":
            yield disk
        else:
            server = await stack.enter_async_context(CacheServer(disk, "127.0.0.1", 0))
            shared = GrpcCache("127.0.0.1", server.port, 10.0, leave_large=True)
            yield await stack.enter_async_context(shared)


async def stored(cache: Cache) -> StoredBody:
    await cache.put(KEY, LARGE_ONE)
    kept = await cache.get(KEY)
    assert kept is not None
    assert kept.stored is not None
    return kept.stored


def file_in(directory: Path) -> Path:
    (file,) = (path for path in (directory / f"v{VERSION}").rglob("*") if path.is_file())
    return file


def open_descriptors() -> int:
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))


def damage(file: Path, at: int) -> None:
    data = file.read_bytes()
    start = len(data) - len(BODY)
    with file.open("r+b") as opened:
        opened.seek(start + at)
        opened.write(bytes([data[start + at] ^ 1]))


async def test_a_large_body_is_left_and_a_small_one_is_not(cache: Cache) -> None:
    await cache.put(KEY, LARGE_ONE)
    kept = await cache.get(KEY)
    assert kept is not None
    assert (kept.body, kept.length) == (b"", len(BODY))
    assert replace(kept, body=BODY) == LARGE_ONE
    assert await kept.whole() == LARGE_ONE
    await cache.put(KEY, SMALL_ONE)
    assert await cache.get(KEY) == SMALL_ONE


@pytest.mark.parametrize(
    ("first", "last"),
    [
        (0, 0),
        (7, 9),
        (PIECE - 1, PIECE),
        (0, PIECE - 1),
        (3 * PIECE, len(BODY) - 1),
        (len(BODY) - 1, len(BODY) - 1),
        (0, len(BODY) - 1),
    ],
)
async def test_any_part_of_it_can_be_read(cache: Cache, first: int, last: int) -> None:
    body = await stored(cache)
    await body.check(first, last)
    assert await body.read(first, last) == BODY[first : last + 1]


async def test_a_damaged_block_is_lost_with_its_entry_and_no_other_part_is(
    cache: Cache, tmp_path: Path
) -> None:
    body = await stored(cache)
    damage(file_in(tmp_path), 2 * PIECE + 5)
    await body.check(0, 2 * PIECE - 1)
    assert await body.read(3 * PIECE, len(BODY) - 1) == BODY[3 * PIECE :]
    assert await cache.get(KEY) is not None
    with pytest.raises(BodyLostError):
        await body.check(0, len(BODY) - 1)
    assert await cache.get(KEY) is None
    with pytest.raises(BodyLostError):
        await body.read(2 * PIECE, 2 * PIECE)


@pytest.mark.parametrize("length", [0, 51, 300, 2 * PIECE])
async def test_an_entry_that_was_cut_short_is_a_miss(
    cache: Cache, tmp_path: Path, length: int
) -> None:
    await cache.put(KEY, LARGE_ONE)
    os.truncate(file_in(tmp_path), length)
    assert await cache.get(KEY) is None


async def test_a_purge_by_prefix_reads_the_keys_of_large_entries_too(cache: Cache) -> None:
    await cache.put(KEY, LARGE_ONE)
    await cache.put("/fill/30/20/q=80/http://i/a", LARGE_ONE)
    assert await cache.purge(Purge(prefixes=("http://h/",))) == 1
    assert await cache.get(KEY) is None


async def test_a_source_comes_back_whole(cache: Cache) -> None:
    key = urls.source_key(urls.parse_source(b"http://h/x"))
    await cache.put(key, LARGE_ONE)
    kept = await cache.get(key)
    assert kept is not None
    assert await kept.whole() == LARGE_ONE


async def test_what_is_being_read_stays_readable_for_a_while_once_it_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = DiskCache(tmp_path, 64 * 1024**2, leave_large=True)
    try:
        body = await stored(disk)
        await disk.put(KEY, SMALL_ONE)
        assert await body.read(0, len(BODY) - 1) == BODY
        monkeypatch.setattr(file_body, "_KEPT_OPEN", 0.0)
        with pytest.raises(BodyLostError):
            await body.read(0, 0)
        assert await disk.get(KEY) == SMALL_ONE, "the new entry is not dropped"
    finally:
        disk.close()


async def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    disk = DiskCache(tmp_path, 64 * 1024**2, leave_large=True)
    try:
        await (await stored(disk)).read(0, 0)
        before = open_descriptors()
        for _ in range(20):
            await (await stored(disk)).read(0, len(BODY) - 1)
        assert open_descriptors() <= before
    finally:
        disk.close()


async def test_a_replaced_entry_in_the_shared_cache_is_not_mixed_with_the_old_one(
    tmp_path: Path,
) -> None:
    async with AsyncExitStack() as stack:
        disk = DiskCache(tmp_path, 64 * 1024**2, leave_large=True)
        stack.callback(disk.close)
        server = await stack.enter_async_context(CacheServer(disk, "127.0.0.1", 0))
        shared = GrpcCache("127.0.0.1", server.port, 10.0, leave_large=True)
        await stack.enter_async_context(shared)
        body = await stored(shared)
        await shared.put(KEY, replace(LARGE_ONE, stored_at=LARGE_ONE.stored_at + 1))
        with pytest.raises(BodyLostError):
            await body.read(0, 5)
