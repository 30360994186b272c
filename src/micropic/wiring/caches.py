"""The cache that `cache.url` names."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import NamedTuple
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

import structlog

from micropic.adapters.cache_directory import SOURCES, claim
from micropic.adapters.disk_cache import DiskCache, Policy
from micropic.adapters.levels import Level, Levels
from micropic.adapters.memory_cache import MemoryCache
from micropic.adapters.remote_cache import RemoteCache, Store
from micropic.domain.lru import LruIndex
from micropic.domain.s3fifo import S3FifoIndex
from micropic.ports import Cache
from micropic.settings import Settings, SettingsError
from micropic.wiring.extras import needing

log = structlog.get_logger()

_SETTING = "The setting cache.url"
_POLICIES: dict[str, Policy] = {"s3-fifo": S3FifoIndex[bytes], "lru": LruIndex[bytes]}


class OpenCache(NamedTuple):
    """A cache that is ready."""

    cache: Cache
    trouble: Callable[[], str] | None = None
    """Of one that is asked over a network: what is wrong with it; empty: nothing."""
    faults: Callable[[], int] | None = None
    """Of the same: calls that failed since the start."""
    usage: Callable[[], Mapping[str, Mapping[str, float | None]]] = dict
    """How full it is, level by level, as far as this process knows."""
    in_memory: bool = False
    """Whether it is in this process's memory, so that there is no use for another in front."""


async def open_cache(settings: Settings, stack: AsyncExitStack) -> OpenCache:
    """Open the cache, until `stack` is closed.

    Raises:
        CacheDirectoryInUseError: another process owns the cache directory.
        OSError: the cache directory is not to be had.
        SettingsError: an extra is missing.

    """
    # What only some of them need is loaded for these alone.
    url = urlsplit(settings.cache.url)
    match url.scheme:
        case "memory":
            levels = _levels(settings, lambda _, size, entries: MemoryCache(size, entries))
            return OpenCache(levels, usage=levels.levels, in_memory=True)
        case "grpc":
            with needing("distributed", _SETTING):
                from micropic.adapters.grpc_cache import GrpcCache  # noqa: PLC0415
            shared = GrpcCache(
                url.hostname or "", url.port or 0, settings.grpc.timeout, leave_large=True
            )
            await stack.enter_async_context(shared)
            return OpenCache(shared, lambda: shared.trouble, lambda: shared.faults)
        case "redis" | "rediss" | "s3":
            store = _s3(url) if url.scheme == "s3" else _redis(settings.cache.url)
            remote = RemoteCache(store, settings.cache.timeout)
            await stack.enter_async_context(remote)
            return OpenCache(remote, lambda: remote.trouble, lambda: remote.faults)
        case _:
            disk = disk_cache(settings, stack)
            return OpenCache(disk, usage=disk.levels)


def disk_cache(settings: Settings, stack: ExitStack | AsyncExitStack) -> Levels:
    """Open the cache directory, until `stack` is closed.

    Raises:
        CacheDirectoryInUseError: another process owns it.
        CacheDirectoryError: it cannot be made or written to.
        SettingsError: the cache is to be somewhere else.

    """
    wanted = cache_directory(settings)
    directory = claim(wanted)
    if directory != Path(os.path.realpath(wanted)):
        log.warning(
            "cache_in_subdirectory",
            directory=str(directory),
            detail=f"{wanted} contains files of others, or belongs to another user.",
        )
    policy = _POLICIES[settings.cache.policy]

    def open_level(folder: str, size: int, entries: int | None) -> DiskCache:
        level = DiskCache(directory / folder, size, entries, policy, leave_large=True)
        stack.callback(level.close)
        return level

    return _levels(settings, open_level)


def cache_directory(settings: Settings) -> Path:
    """Give where the cache on disk is.

    Raises:
        SettingsError: the cache is to be somewhere else.

    """
    url = urlsplit(settings.cache.url)
    if url.scheme not in {"", "file"}:
        msg = (
            f"The setting cache.url is {url.scheme}:, but this cache is on disk: give file: or none"
        )
        raise SettingsError(msg)
    # Unlike that of Path this takes a user whom nobody knows for a name.
    return Path(unquote(url.path) or os.path.expanduser(settings.cache.dirname))  # noqa: PTH111


def _levels(settings: Settings, level: Callable[[str, int, int | None], Level]) -> Levels:
    """Make a level, in a folder of its own, for previews and one for sources."""
    cache = settings.cache
    for_sources = int(cache.size * cache.sources)
    previews = level("", cache.size - for_sources, cache.entries or None)
    return Levels(previews, level(SOURCES, for_sources, None))


def _redis(url: str) -> Store:
    with needing("redis", _SETTING):
        from micropic.adapters.redis_store import RedisStore  # noqa: PLC0415
    return RedisStore(url)


def _s3(url: SplitResult) -> Store:
    with needing("s3", _SETTING):
        from micropic.adapters.s3_store import S3Store  # noqa: PLC0415
    endpoint = parse_qs(url.query).get("endpoint", [""])[-1]
    return S3Store(url.netloc, url.path.strip("/"), endpoint)
