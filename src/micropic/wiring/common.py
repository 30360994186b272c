"""The parts that both shapes have."""

from __future__ import annotations

import gc
import math
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from socket import socket

import structlog

from micropic import __version__
from micropic.adapters.address_guard import AddressGuard
from micropic.adapters.by_scheme import SourceByScheme
from micropic.adapters.http_source import HttpSource, HttpSourceOptions
from micropic.adapters.memory_cache import MemoryCache
from micropic.adapters.sample_source import SampleSource
from micropic.domain.errors import BadRequest
from micropic.domain.freshness import Policy
from micropic.domain.model import Scheme, Size
from micropic.domain.options import Defaults
from micropic.domain.signing import sign
from micropic.domain.source_rules import SourceRules
from micropic.domain.urls import AllowedPreview, Grammar, parse_path, parse_source
from micropic.domain.waiting import Room
from micropic.imaging import extras
from micropic.imaging.kinds import ACCEPT, Limits
from micropic.imaging.slots import RenderSlots, SlotOptions
from micropic.pipeline.caching import Keeping, Lookup
from micropic.pipeline.only_if_cached import OnlyIfCached
from micropic.pipeline.quarantine import Quarantine, Strikes
from micropic.pipeline.stale import StaleIfError, StaleWhileRevalidate
from micropic.ports import Cache, Previewer, Purgeable, Source
from micropic.services.health import Health, health_routes, watch_routes
from micropic.services.metrics import Metrics
from micropic.services.proxy import ProxyApp, ProxyOptions
from micropic.services.server import Listener, allow_many_connections, listen, serve
from micropic.services.tallies import CountedSource, Requests
from micropic.settings import Settings, SettingsError, cores
from micropic.web.entrance import Entrance
from micropic.web.openapi import Described, openapi_route
from micropic.web.pages import page_routes, page_types
from micropic.web.purging import Purging
from micropic.web.rate_limit import RateLimit
from micropic.web.responses import Sharing
from micropic.web.routed import routed
from micropic.wiring import watched

log = structlog.get_logger()


def memory_cache(settings: Settings) -> MemoryCache:
    """Give the cache in memory; one of no bytes keeps nothing."""
    return MemoryCache(settings.cache.memory)


def in_memory(memory: Cache, inner: Previewer) -> Previewer:
    """Keep in memory what `inner` gives."""
    return Lookup(memory, Keeping(memory, inner))


def renderer(
    settings: Settings, room: Room | None = None, longest_wait: float = math.inf
) -> RenderSlots:
    """Give the render processes, not yet started, for pictures that wait so many seconds."""
    render = settings.render
    return RenderSlots(
        slots(settings),
        SlotOptions(
            timeout=render.timeout,
            max_memory=render.max_memory,
            sandbox=render.sandbox,
            longest_wait=longest_wait,
            smart_faces=render.smart_faces,
            limits=Limits(
                pixels=render.max_pixels,
                avif_pixels=render.max_avif_pixels,
                frames=render.max_frames,
                drawing_time=render.max_drawing_time,
                cost=render.max_cost,
            ),
        ),
        room,
    )


def quarantine(settings: Settings, strikes: Strikes, inner: Previewer) -> Quarantine:
    """Refuse what ends one render process after the other."""
    # Part of a request's time goes to its source: a render that hangs has rarely had it all.
    patience = min(settings.render.timeout, settings.proxy.timeout) / 2
    return Quarantine(strikes, patience, inner)


def slots(settings: Settings) -> int:
    """Give how many render processes there are to be."""
    # One more than cores: a process that waits for its next picture leaves no core idle.
    return settings.render.slots or cores() + 1


def policy(settings: Settings) -> Policy:
    """Give what is made of what origins say of freshness."""
    cache = settings.cache
    return Policy(
        min_age=cache.min_age,
        max_age=cache.max_age,
        stale_while_revalidate=cache.stale_while_revalidate,
        stale_if_error=cache.stale_if_error,
    )


def stale_or(settings: Settings, inner: Previewer) -> Previewer:
    """Answer with what is stale where that is allowed, else ask `inner` unless told not to."""
    rules = policy(settings)
    if_error = StaleIfError(rules, settings.cache.negative_age, inner)
    return StaleWhileRevalidate(rules, settings.proxy.timeout, OnlyIfCached(if_error))


async def source(settings: Settings, stack: AsyncExitStack, metrics: Metrics, room: Room) -> Source:
    """Give what fetches, until `stack` is closed."""
    chosen = settings.source
    options = HttpSourceOptions(
        accept=ACCEPT,
        user_agent=f"micropic/{__version__}",
        timeout=chosen.timeout,
        connect_timeout=chosen.connect_timeout,
        read_timeout=chosen.read_timeout,
        max_bytes=chosen.max_bytes,
        max_redirects=chosen.max_redirects,
        max_per_origin=chosen.max_per_origin,
        rules=SourceRules(chosen.allow_hosts, chosen.deny_hosts, frozenset(chosen.allow_ports)),
        nameservers=chosen.nameservers,
    )
    guard = AddressGuard(chosen.allow_networks)
    http = await stack.enter_async_context(HttpSource(guard, options, room))
    watched.origins(metrics, http.origins)
    by_scheme: dict[Scheme, Source] = {
        Scheme.HTTP: http,
        Scheme.HTTPS: http,
        Scheme.SAMPLE: SampleSource(),
    }
    counted = CountedSource(SourceByScheme(by_scheme))
    metrics.add(counted.samples)
    return counted


def health_socket(settings: Settings) -> socket:
    """Bind the health port."""
    return listen(settings.health.host, settings.health.port)


def proxy_sockets(settings: Settings) -> tuple[socket, socket]:
    """Bind the service's port and the health port."""
    return listen(settings.proxy.host, settings.proxy.port), health_socket(settings)


async def serve_previews(  # noqa: PLR0913 # all that stands behind two ports
    settings: Settings,
    sockets: tuple[socket, socket],
    previewer: Previewer,
    *,
    health: Health,
    metrics: Metrics,
    caches: Sequence[Purgeable],
) -> None:
    """Answer on both ports until the service is told to stop; a purge is for all `caches`."""
    options = _proxy_options(settings)
    purging = Purging(settings.proxy.purge_token, options.grammar, caches)
    page = page_routes(faces=extras.has_faces()) if settings.proxy.playground else []
    described = openapi_route(_described(settings, options.grammar))
    routes = [*page, *purging.routes(), *health_routes(health), described]
    requests = Requests()
    metrics.add(requests.samples)
    watched.health(metrics, health)
    proxy = Listener(sockets[0], ProxyApp(previewer, purging, options, routes, requests))
    watch = Listener(sockets[1], routed(watch_routes(health, metrics)))
    _announce(settings, proxy, watch)
    await serve_for_long(proxy, watch)


async def serve_health(
    at: socket, health: Health, metrics: Metrics, name: str, **told: object
) -> None:
    """Answer on the health port alone until the service is told to stop."""
    watched.health(metrics, health)
    listener = Listener(at, routed(watch_routes(health, metrics)))
    log.info("started", version=__version__, health_port=listener.port, **told)
    print(f"micropic {__version__} {name}", flush=True)  # noqa: T201 # for who started it
    await serve_for_long(listener)


async def serve_for_long(*listeners: Listener) -> None:
    """Serve, having made room for it."""
    allow_many_connections()
    gc.collect()
    gc.freeze()  # what was made so far lasts as long as the process: no need to look again
    await serve(listeners)


def _proxy_options(settings: Settings) -> ProxyOptions:
    fallback, forwarded = settings.proxy.fallback, settings.source.forward_headers
    return ProxyOptions(
        grammar=_grammar(settings),
        entrance=Entrance(
            prefix=settings.proxy.prefix,
            keys=settings.proxy.keys,
            trusted=settings.proxy.trusted,
            client_header=settings.proxy.client_header,
        ),
        limit=_limit(settings),
        forward_headers=None if "all" in forwarded else frozenset(forwarded),
        timeout=settings.proxy.timeout,
        credential_hosts=settings.source.credential_hosts,
        fallback=parse_source(fallback.encode()) if fallback else None,
        fallback_status=200 if settings.proxy.fallback_status == "200" else None,
        reload_networks=settings.proxy.reload_networks,
        sharing=Sharing(settings.proxy.allow_origin, settings.proxy.resource_policy),
    )


def _described(settings: Settings, grammar: Grammar) -> Described:
    proxy = settings.proxy
    return Described(
        version=__version__,
        grammar=grammar,
        prefix=proxy.prefix,
        signed=bool(proxy.keys),
        purging=bool(proxy.purge_token),
        pages=page_types() if proxy.playground else {},
    )


def _grammar(settings: Settings) -> Grammar:
    """Give what may be asked for."""
    grammar = Grammar(
        defaults=Defaults(
            quality=settings.previewer.quality,
            avif_quality=settings.previewer.avif_quality,
            max_side=settings.proxy.max_side,
            max_pixels=settings.proxy.max_pixels,
            faces=extras.has_faces(),
            explain=settings.proxy.playground,
        ),
        default_scheme=Scheme(settings.source.default_scheme),
    )
    return replace(
        grammar,
        sizes=frozenset(Size(*map(int, size.split("x"))) for size in settings.proxy.sizes),
        transforms=frozenset(_allowed(text, grammar) for text in settings.proxy.transforms),
    )


def _allowed(beginning: str, grammar: Grammar) -> AllowedPreview:
    """Read one of proxy.transforms, by what else the settings say.

    Raises:
        SettingsError: they do not let anybody have it.

    """
    try:
        address = parse_path(f"/{beginning}/sample:x".encode(), b"", grammar)
    except BadRequest as error:
        msg = f"The setting proxy.transforms allows {beginning}, other settings do not: "
        raise SettingsError(msg + error.detail) from None
    return AllowedPreview(address.transform, address.negotiated)


def _limit(settings: Settings) -> RateLimit | None:
    proxy = settings.proxy
    return RateLimit(proxy.rate, proxy.burst) if proxy.rate else None


def _announce(settings: Settings, proxy: Listener, health: Listener) -> None:
    """Say where the service is, to people on standard output and to programs in the log."""
    log.info("started", version=__version__, port=proxy.port, health_port=health.port)
    if not settings.source.allow_hosts and not settings.proxy.keys:
        log.warning(
            "open_to_anyone",
            detail="Anyone who reaches the port can have pictures fetched from any public host. "
            "Name the hosts that you need in SOURCE_ALLOW_HOSTS, have addresses signed by "
            "PROXY_KEYS, or keep the port to yourself.",
        )
    host = "localhost" if settings.proxy.host in {"0.0.0.0", "::"} else settings.proxy.host  # noqa: S104
    address = f"http://{f'[{host}]' if ':' in host else host}:{proxy.port}{settings.proxy.prefix}"
    sample, keys = "/fill/300/200/sample:cat.jpg", settings.proxy.keys
    print(  # noqa: T201 # for the person who started it
        f"micropic {__version__} listens on {address}\n"
        f"Try {address}{sign(sample, keys[0]) if keys else sample}"
        + (f" or open {address}/ in a browser." if settings.proxy.playground else ""),
        flush=True,
    )
