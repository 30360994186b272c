"""Which parts there are and how they are stacked: here, and nowhere else."""

from __future__ import annotations

import gc
import os
from contextlib import AsyncExitStack
from pathlib import Path

import structlog

from micropic import __version__
from micropic.adapters.address_guard import AddressGuard
from micropic.adapters.by_scheme import SourceByScheme
from micropic.adapters.disk_cache import DiskCache
from micropic.adapters.http_source import HttpSource, HttpSourceOptions
from micropic.adapters.memory_cache import MemoryCache
from micropic.adapters.sample_source import SampleSource
from micropic.domain.model import Scheme
from micropic.domain.options import Defaults
from micropic.domain.urls import Grammar
from micropic.imaging import extras
from micropic.imaging.kinds import ACCEPT, Limits
from micropic.imaging.slots import RenderSlots, SlotOptions
from micropic.pipeline.admission import Admission
from micropic.pipeline.bypass import PrivateBypass
from micropic.pipeline.caching import Keeping, Lookup
from micropic.pipeline.coalescing import Coalescing
from micropic.pipeline.local import Local
from micropic.pipeline.only_if_cached import OnlyIfCached
from micropic.pipeline.remembered_errors import RememberedErrors
from micropic.ports import Previewer, Source
from micropic.services.health import health_routes
from micropic.services.proxy import ProxyApp, ProxyOptions
from micropic.services.server import Listener, allow_many_connections, listen, serve
from micropic.settings import Settings, cores
from micropic.web.pages import page_routes
from micropic.web.responses import Sharing
from micropic.web.routed import routed

log = structlog.get_logger()


async def run_embedded(settings: Settings) -> None:
    """Run the embedded service until it is told to stop.

    Raises:
        OSError: an address, the cache directory or a render process is not to be had.
        CacheDirectoryInUseError: another process owns the cache directory.

    """
    allow_many_connections()
    async with AsyncExitStack() as stack:
        proxy_socket = listen(settings.proxy.host, settings.proxy.port)
        health_socket = listen(settings.health.host, settings.health.port)
        renderer = await stack.enter_async_context(_renderer(settings))
        cache = _disk_cache(settings)
        stack.callback(cache.close)
        source = await _source(settings, stack)
        local = Admission(settings.proxy.max_in_flight, Local(source, renderer))
        previewer = PrivateBypass(shared=_shared(settings, cache, local), private=local)
        health = health_routes({"renderer": lambda: renderer.ready})
        app = ProxyApp(previewer, _proxy_options(settings), [*page_routes(), *health])
        listeners = [Listener(proxy_socket, app), Listener(health_socket, routed(health))]
        _announce(settings, *listeners)
        gc.collect()
        gc.freeze()  # what was made so far lasts as long as the process: no need to look again
        await serve(listeners)


async def run_cache(settings: Settings) -> None:
    """Run the shared cache until it is told to stop.

    Raises:
        OSError: an address or the cache directory is not to be had.
        CacheDirectoryInUseError: another process owns the cache directory.

    """
    from micropic.services.cache import CacheServer  # noqa: PLC0415 # gRPC: others do without

    async with AsyncExitStack() as stack:
        health_socket = listen(settings.health.host, settings.health.port)
        cache = _disk_cache(settings)
        stack.callback(cache.close)
        server = CacheServer(cache, settings.grpc.host, settings.grpc.port)
        await stack.enter_async_context(server)
        health = Listener(health_socket, routed(health_routes({})))
        log.info("started", version=__version__, port=server.port, health_port=health.port)
        address = f"{settings.grpc.host}:{server.port}"
        print(f"micropic {__version__} keeps previews for {address}", flush=True)  # noqa: T201
        gc.collect()
        gc.freeze()  # as above
        await serve([health])


def _shared(settings: Settings, cache: DiskCache, inner: Previewer) -> Previewer:
    """Stack what many clients share.

    Both look-ups stand before the joining, so that a hit costs no task. What is made is on disk
    before the joined work is over, and what is missing there is so at once: no request finds
    neither the one nor the other.
    """
    made = RememberedErrors(settings.cache.negative_age, Coalescing(Keeping(cache, inner)))
    shared: Previewer = Lookup(cache, OnlyIfCached(made))
    if settings.cache.memory:
        memory = MemoryCache(settings.cache.memory)
        shared = Lookup(memory, Keeping(memory, shared))
    return shared


def _renderer(settings: Settings) -> RenderSlots:
    render = settings.render
    return RenderSlots(
        # One more than cores: a process that waits for its next picture leaves no core idle.
        render.slots or cores() + 1,
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


def _proxy_options(settings: Settings) -> ProxyOptions:
    return ProxyOptions(
        grammar=Grammar(
            defaults=Defaults(
                quality=settings.previewer.quality,
                avif_quality=settings.previewer.avif_quality,
                max_side=settings.proxy.max_side,
                faces=extras.has_faces(),
            ),
            default_scheme=Scheme(settings.source.default_scheme),
        ),
        timeout=settings.proxy.timeout,
        credential_hosts=settings.source.credential_hosts,
        sharing=Sharing(settings.proxy.allow_origin, settings.proxy.resource_policy),
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
