"""Which parts there are and how they are stacked: here, and nowhere else."""

from __future__ import annotations

import gc
import os
from contextlib import AsyncExitStack
from pathlib import Path
from socket import socket

import structlog

from micropic import __version__
from micropic.adapters.address_guard import AddressGuard
from micropic.adapters.amqp_link import Broker
from micropic.adapters.amqp_previewer import AmqpPreviewer
from micropic.adapters.by_scheme import SourceByScheme
from micropic.adapters.disk_cache import DiskCache
from micropic.adapters.http_source import HttpSource, HttpSourceOptions
from micropic.adapters.memory_cache import MemoryCache
from micropic.adapters.sample_source import SampleSource
from micropic.domain.model import Scheme
from micropic.domain.options import Defaults
from micropic.domain.urls import Grammar
from micropic.imaging.kinds import ACCEPT, Limits
from micropic.imaging.slots import RenderSlots, SlotOptions
from micropic.pipeline.admission import Admission
from micropic.pipeline.bypass import PrivateBypass
from micropic.pipeline.caching import Keeping, Lookup
from micropic.pipeline.coalescing import Coalescing
from micropic.pipeline.local import Local
from micropic.ports import Previewer, Source
from micropic.services.health import Checks, health_routes
from micropic.services.previewer import Worker
from micropic.services.proxy import ProxyApp, ProxyOptions
from micropic.services.server import Listener, listen, serve
from micropic.settings import Settings, cores
from micropic.web.pages import page_routes
from micropic.web.routed import routed

log = structlog.get_logger()

_FETCHES_AHEAD = 4
"""Requests that a worker takes beyond its render processes, so that these wait for no fetch."""


async def run_embedded(settings: Settings) -> None:
    """Run the embedded service until it is told to stop.

    Raises:
        OSError: an address, the cache directory or a render process is not to be had.
        CacheDirectoryInUseError: another process owns the cache directory.

    """
    async with AsyncExitStack() as stack:
        sockets = _listen(settings)
        renderer = await stack.enter_async_context(_renderer(settings))
        cache = _disk_cache(settings)
        stack.callback(cache.close)
        source = await _source(settings, stack)
        local = Admission(settings.proxy.max_in_flight, Local(source, renderer))
        previewer = PrivateBypass(shared=_shared(settings, cache, local), private=local)
        await _serve_previews(settings, sockets, previewer, {"renderer": lambda: renderer.ready})


async def run_proxy(settings: Settings) -> None:
    """Run the HTTP service of the distributed shape until it is told to stop.

    Raises:
        OSError: an address is not to be had.

    """
    async with AsyncExitStack() as stack:
        sockets = _listen(settings)
        workers = await stack.enter_async_context(AmqpPreviewer(_broker(settings)))
        limited = Admission(settings.proxy.max_in_flight, workers)
        # The shared cache belongs here: a Lookup in front of the joining, Leasing behind it.
        shared = _in_memory(settings, Coalescing(limited))
        previewer = PrivateBypass(shared=shared, private=limited)
        await _serve_previews(settings, sockets, previewer, {"broker": lambda: workers.ready})


async def run_previewer(settings: Settings) -> None:
    """Run a worker of the distributed shape until it is told to stop.

    Raises:
        OSError: an address or a render process is not to be had.

    """
    async with AsyncExitStack() as stack:
        health_socket = listen(settings.health.host, settings.health.port)
        renderer = await stack.enter_async_context(_renderer(settings))
        source = await _source(settings, stack)
        # The shared cache belongs here: LeaseKeeping around what is made.
        local = Local(source, renderer)
        prefetch = settings.amqp.prefetch or _slots(settings) + _FETCHES_AHEAD
        worker = await stack.enter_async_context(Worker(_broker(settings), local, prefetch))
        checks = {"renderer": lambda: renderer.ready, "broker": lambda: worker.ready}
        health = Listener(health_socket, routed(health_routes(checks)))
        log.info("started", version=__version__, health_port=health.port)
        print(f"micropic {__version__} works for {settings.amqp.host}", flush=True)  # noqa: T201
        await _serve_for_long(health)


def _listen(settings: Settings) -> tuple[socket, socket]:
    """Bind the service's port and the health port."""
    proxy, health = settings.proxy, settings.health
    return listen(proxy.host, proxy.port), listen(health.host, health.port)


async def _serve_previews(
    settings: Settings, sockets: tuple[socket, socket], previewer: Previewer, checks: Checks
) -> None:
    proxy_socket, health_socket = sockets
    health = health_routes(checks)
    app = ProxyApp(previewer, _proxy_options(settings), [*page_routes(), *health])
    listeners = Listener(proxy_socket, app), Listener(health_socket, routed(health))
    _announce(settings, *listeners)
    await _serve_for_long(*listeners)


async def _serve_for_long(*listeners: Listener) -> None:
    gc.collect()
    gc.freeze()  # what was made so far lasts as long as the process: no need to look again
    await serve(listeners)


def _shared(settings: Settings, cache: DiskCache, inner: Previewer) -> Previewer:
    """Stack what many clients share.

    Both look-ups stand before the joining, so that a hit costs no task. What is made is on disk
    before the joined work is over, and what is missing there is so at once: no request finds
    neither the one nor the other.
    """
    return _in_memory(settings, Lookup(cache, Coalescing(Keeping(cache, inner))))


def _in_memory(settings: Settings, inner: Previewer) -> Previewer:
    """Keep in memory what `inner` gives, if there is to be such a cache."""
    if not settings.cache.memory:
        return inner
    memory = MemoryCache(settings.cache.memory)
    return Lookup(memory, Keeping(memory, inner))


def _renderer(settings: Settings) -> RenderSlots:
    render = settings.render
    return RenderSlots(
        _slots(settings),
        SlotOptions(
            timeout=render.timeout,
            max_memory=render.max_memory,
            limits=Limits(
                pixels=render.max_pixels,
                avif_pixels=render.max_avif_pixels,
                frames=render.max_frames,
            ),
        ),
    )


def _slots(settings: Settings) -> int:
    # One more than cores: a process that waits for its next picture leaves no core idle.
    return settings.render.slots or cores() + 1


def _disk_cache(settings: Settings) -> DiskCache:
    cache = settings.cache
    # Unlike that of Path this takes a user whom nobody knows for a name.
    directory = Path(os.path.expanduser(cache.dirname))  # noqa: PTH111
    return DiskCache(directory, cache.size, cache.entries or None)


async def _source(settings: Settings, stack: AsyncExitStack) -> Source:
    source = settings.source
    options = HttpSourceOptions(
        accept=ACCEPT,
        user_agent=f"micropic/{__version__}",
        timeout=source.timeout,
        connect_timeout=source.connect_timeout,
        max_bytes=source.max_bytes,
        max_redirects=source.max_redirects,
        allow_hosts=source.allow_hosts,
        nameservers=source.nameservers,
    )
    http = await stack.enter_async_context(HttpSource(AddressGuard(source.allow_networks), options))
    return SourceByScheme({Scheme.HTTP: http, Scheme.HTTPS: http, Scheme.SAMPLE: SampleSource()})


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


def _proxy_options(settings: Settings) -> ProxyOptions:
    return ProxyOptions(
        grammar=Grammar(
            defaults=Defaults(
                quality=settings.previewer.quality,
                avif_quality=settings.previewer.avif_quality,
                max_side=settings.proxy.max_side,
            ),
            default_scheme=Scheme(settings.source.default_scheme),
        ),
        timeout=settings.proxy.timeout,
        credential_hosts=settings.source.credential_hosts,
    )


def _announce(settings: Settings, proxy: Listener, health: Listener) -> None:
    """Say where the service is, to people on standard output and to programs in the log."""
    log.info("started", version=__version__, port=proxy.port, health_port=health.port)
    if not settings.source.allow_hosts:
        log.warning(
            "open_to_anyone",
            detail="Anyone who reaches the port can have pictures fetched from any public host. "
            "Name the hosts that you need in SOURCE_ALLOW_HOSTS, or keep the port to yourself.",
        )
    host = "localhost" if settings.proxy.host in {"0.0.0.0", "::"} else settings.proxy.host  # noqa: S104
    address = f"http://{f'[{host}]' if ':' in host else host}:{proxy.port}"
    print(  # noqa: T201 # for the person who started it
        f"micropic {__version__} listens on {address}\n"
        f"Try {address}/fill/300/200/sample:cat.jpg or open {address}/ in a browser.",
        flush=True,
    )
