"""Which cache is made of `cache.url`, and in which order it is asked."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

import pytest

from micropic.adapters.grpc_cache import GrpcCache
from micropic.adapters.levels import Levels
from micropic.adapters.memory_cache import MemoryCache
from micropic.adapters.remote_cache import RemoteCache
from micropic.domain.model import Preview, PreviewRequest
from micropic.domain.urls import DEFAULT, build_path, parse_path
from micropic.settings import Settings, SettingsError, load
from micropic.wiring import embedded
from micropic.wiring.caches import OpenCache, disk_cache, open_cache
from tests.support.waiting import turns

TRANSFORM, SOURCE, *_ = parse_path(b"/fill/30/20/a.example/x", b"", DEFAULT)
REQUEST = PreviewRequest(TRANSFORM, SOURCE, build_path(TRANSFORM, SOURCE))


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


def settings(**environ: str) -> Settings:
    return load(None, {name.upper(): value for name, value in environ.items()}, {})[0]


@pytest.mark.parametrize(
    ("url", "kind", "is_remote"),
    [
        ("memory://", Levels, False),
        ("grpc://127.0.0.1:1", GrpcCache, True),
        ("grpc://[::1]:1", GrpcCache, True),
        ("redis://127.0.0.1:1", RemoteCache, True),
        ("redis://:secret@127.0.0.1:1/3", RemoteCache, True),
        ("rediss://user:secret@127.0.0.1:1/", RemoteCache, True),
        ("s3://bucket", RemoteCache, True),
        ("s3://bucket/prefix/?endpoint=http://127.0.0.1:1", RemoteCache, True),
    ],
)
async def test_each_url_has_its_cache(
    stack: AsyncExitStack, *, url: str, kind: type, is_remote: bool
) -> None:
    opened = await open_cache(settings(cache_url=url), stack)
    assert isinstance(opened.cache, kind)
    assert (opened.trouble is not None) == is_remote


async def test_a_file_url_goes_before_the_directory(stack: AsyncExitStack, tmp_path: Path) -> None:
    named, other = tmp_path / "a b", tmp_path / "other"
    url = named.as_uri()
    assert "%20" in url
    opened = await open_cache(settings(cache_url=url, cache_dirname=str(other)), stack)
    assert isinstance(opened.cache, Levels)
    assert (named / "lock").exists()
    assert not other.exists()


async def test_without_a_url_it_is_the_directory(stack: AsyncExitStack, tmp_path: Path) -> None:
    opened = await open_cache(settings(cache_dirname=str(tmp_path / "x")), stack)
    assert isinstance(opened.cache, Levels)
    assert (tmp_path / "x" / "lock").exists()


async def test_memory_alone_is_bounded_by_size_and_entries(stack: AsyncExitStack) -> None:
    opened = await open_cache(settings(cache_url="memory://", cache_entries="2"), stack)
    for key in "abc":
        await opened.cache.put(key, Preview(b"x", "image/jpeg", 0.0, 60.0))
    assert [await opened.cache.get(key) is None for key in "abc"] == [True, False, False]


@pytest.mark.parametrize(
    ("url", "package", "extra"),
    [("redis://127.0.0.1", "redis", "redis"), ("s3://bucket", "obstore", "s3")],
)
async def test_a_missing_extra_is_named(
    stack: AsyncExitStack, monkeypatch: pytest.MonkeyPatch, url: str, package: str, extra: str
) -> None:
    for name in list(sys.modules):
        if name == package or name.startswith(f"{package}."):
            monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, f"micropic.adapters.{extra}_store", raising=False)
    with pytest.raises(SettingsError, match=rf"cache\.url.*pip install 'micropic\[{extra}\]'"):
        await open_cache(settings(cache_url=url), stack)


def test_the_shared_cache_is_on_disk() -> None:
    with ExitStack() as stack, pytest.raises(SettingsError, match=r"cache\.url is redis:"):
        disk_cache(settings(cache_url="redis://127.0.0.1"), stack)


class SlowCache(MemoryCache):
    """Looks at once, and tells it later."""

    def __init__(self) -> None:
        super().__init__(1_000_000)
        self.looks: list[asyncio.Event] = []

    async def get(self, key: str) -> Preview | None:
        found = await super().get(key)
        self.looks.append(told := asyncio.Event())
        await told.wait()
        return found


class Inner:
    """Makes a preview when it is told to."""

    def __init__(self) -> None:
        self.calls: list[asyncio.Future[Preview]] = []

    async def preview(self, _: PreviewRequest) -> Preview:
        self.calls.append(asyncio.get_running_loop().create_future())
        return await self.calls[-1]


async def test_what_is_made_while_a_cache_looks_for_it_is_not_made_again() -> None:
    """A miss that is told after the equal work has ended: nobody is left to join then."""
    cache, inner = SlowCache(), Inner()
    opened = OpenCache(cache, str)
    shared = embedded._shared(settings(cache_memory="0"), opened, inner, lambda _: None)

    first = asyncio.create_task(shared.preview(REQUEST))
    await turns(lambda: cache.looks)
    cache.looks[0].set()
    await turns(lambda: inner.calls)
    second = asyncio.create_task(shared.preview(REQUEST))
    for _ in range(10):
        await asyncio.sleep(0)  # time to look, if it does
    made = Preview(b"x", "image/jpeg", 1e12, 60.0)
    inner.calls[0].set_result(made)
    await first
    for look in cache.looks:
        look.set()
    await turns(lambda: second.done() or len(inner.calls) > 1)
    assert len(inner.calls) == 1
    assert (await second).body == b"x"
