"""The distributed shape: proxies, workers around RabbitMQ, and the cache that they share."""

from __future__ import annotations

from contextlib import AsyncExitStack

from micropic.adapters.amqp_link import Broker
from micropic.adapters.amqp_previewer import AmqpPreviewer
from micropic.adapters.grpc_cache import GrpcCache
from micropic.pipeline.admission import Admission
from micropic.pipeline.bypass import PrivateBypass
from micropic.pipeline.caching import Lookup
from micropic.pipeline.coalescing import Coalescing
from micropic.pipeline.leasing import LeaseKeeping, Leasing
from micropic.pipeline.local import Local
from micropic.pipeline.only_if_cached import OnlyIfCached
from micropic.pipeline.remembered_errors import RememberedErrors
from micropic.services.cache import CacheServer
from micropic.services.health import Health
from micropic.services.previewer import Worker
from micropic.settings import Settings
from micropic.wiring import common
from micropic.wiring.caches import disk_cache

_FETCHES_AHEAD = 4
"""Requests that a worker takes beyond its render processes, so that these wait for no fetch."""


async def run_proxy(settings: Settings) -> None:
    """Run the HTTP service until it is told to stop.

    The shared cache is asked within the joining: to ask it takes a while, in which an equal
    request may come and go.

    Raises:
        OSError: an address is not to be had.

    """
    async with AsyncExitStack() as stack:
        sockets = common.proxy_sockets(settings)
        cache = await stack.enter_async_context(_shared_cache(settings))
        workers = await stack.enter_async_context(AmqpPreviewer(_broker(settings)))
        limited = Admission(settings.proxy.max_in_flight, workers)
        made = RememberedErrors(settings.cache.negative_age, Leasing(cache, limited))
        shared = common.in_memory(settings, Coalescing(Lookup(cache, OnlyIfCached(made))))
        previewer = PrivateBypass(shared=shared, private=limited)
        health = Health({"broker": lambda: workers.ready}, {"cache": lambda: cache.trouble})
        await common.serve_previews(settings, sockets, previewer, health)


async def run_previewer(settings: Settings) -> None:
    """Run a worker until it is told to stop.

    Raises:
        OSError: an address or a render process is not to be had.

    """
    async with AsyncExitStack() as stack:
        at = common.health_socket(settings)
        renderer = await stack.enter_async_context(common.renderer(settings))
        source = await common.source(settings, stack)
        cache = await stack.enter_async_context(_shared_cache(settings))
        local = LeaseKeeping(cache, Local(source, renderer))
        prefetch = settings.amqp.prefetch or common.slots(settings) + _FETCHES_AHEAD
        worker = await stack.enter_async_context(Worker(_broker(settings), local, prefetch))
        ready = {"renderer": lambda: renderer.ready, "broker": lambda: worker.ready}
        health = Health(ready, {"cache": lambda: cache.trouble})
        await common.serve_health(at, health, f"works for {settings.amqp.host}")


async def run_cache(settings: Settings) -> None:
    """Run the shared cache until it is told to stop.

    Raises:
        OSError: an address or the cache directory is not to be had.
        CacheDirectoryInUseError: another process owns the cache directory.
        SettingsError: the cache is to be somewhere else than on disk.

    """
    async with AsyncExitStack() as stack:
        at = common.health_socket(settings)
        cache = disk_cache(settings)
        stack.callback(cache.close)
        server = CacheServer(cache, settings.grpc.host, settings.grpc.port)
        await stack.enter_async_context(server)
        told = f"keeps previews for {settings.grpc.host}:{server.port}"
        await common.serve_health(at, Health({}), told, port=server.port)


def _shared_cache(settings: Settings) -> GrpcCache:
    return GrpcCache(settings.grpc.host, settings.grpc.port, settings.grpc.timeout)


def _broker(settings: Settings) -> Broker:
    amqp = settings.amqp
    return Broker(
        protocol=amqp.protocol,
        user=amqp.user,
        password=amqp.password,
        host=amqp.host,
        port=amqp.port,
        queue=amqp.queue,
        queue_length=amqp.queue_length,
    )
