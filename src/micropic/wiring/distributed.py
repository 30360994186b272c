"""The distributed shape: proxies, workers around RabbitMQ, and the cache that they share."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import asdict

from micropic.adapters.amqp_link import Broker
from micropic.adapters.amqp_previewer import AmqpPreviewer
from micropic.adapters.amqp_purges import AmqpPurges
from micropic.adapters.grpc_cache import GrpcCache
from micropic.domain.waiting import Backlog
from micropic.pipeline.admission import Admission, BacklogAdmission, Gate
from micropic.pipeline.bypass import PrivateBypass
from micropic.pipeline.caching import Lookup, Recall
from micropic.pipeline.coalescing import Coalescing
from micropic.pipeline.discarding import Discarding
from micropic.pipeline.leasing import LeaseKeeping, Leasing
from micropic.pipeline.paced import Paced
from micropic.pipeline.remembered_errors import RememberedErrors
from micropic.pipeline.traced import Untraced, traced
from micropic.ports import Previewer
from micropic.services.cache import CacheServer
from micropic.services.health import Health
from micropic.services.intake import Bounds
from micropic.services.metrics import CACHE_FAULTS, JOBS_IN_FLIGHT, JOBS_LIMIT, LEASES, Metrics
from micropic.services.previewer import Worker
from micropic.services.tallies import Jobs
from micropic.services.traced_calls import TracedCalls
from micropic.settings import Settings
from micropic.wiring import common, making, watched
from micropic.wiring.caches import disk_cache
from micropic.wiring.making import Maker
from micropic.wiring.tracing import open_tracer

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
        memory = common.memory_cache(settings)
        tracer = await open_tracer("proxy", stack)
        cache = await stack.enter_async_context(shared_cache(settings, tracer.carrier))
        workers = AmqpPreviewer(broker(settings), tracer.carrier)
        await stack.enter_async_context(workers)
        others = await stack.enter_async_context(AmqpPurges(broker(settings), memory))
        gate = Gate(settings.proxy.max_in_flight)
        asked = Admission(gate, traced(tracer, "ask", workers))
        short, long = (Backlog(settings.proxy.max_wait) for _ in range(2))
        # Before the lease: a refusal is to cost little.
        made = BacklogAdmission(short, long, Leasing(cache, asked))
        remembered = RememberedErrors(settings.cache.negative_age, made)
        looked_up = Coalescing(Lookup(cache, common.stale_or(settings, remembered)))
        shared = common.in_memory(memory, looked_up)
        private = BacklogAdmission(short, long, asked)
        previewer = PrivateBypass(shared=shared, private=private)
        begun = traced(tracer, "preview", previewer, first=True)
        health = Health({"broker": lambda: workers.ready}, {"cache": lambda: cache.trouble})
        # Those in memory last: till then they could be filled again from the shared one.
        caches = cache, memory, others
        metrics = Metrics("proxy")
        watched.gate(metrics, gate)
        watched.backlogs(metrics, short, long)
        watched.queue(metrics, lambda: workers.queued)
        metrics.number(CACHE_FAULTS, lambda: cache.faults)
        watched.levels(metrics, lambda: {"memory": asdict(memory.usage)})
        await common.serve_previews(
            settings, sockets, begun, health=health, metrics=metrics, caches=caches
        )


async def run_previewer(settings: Settings) -> None:
    """Run a worker until it is told to stop.

    Raises:
        OSError: an address or a render process is not to be had.

    """
    async with AsyncExitStack() as stack:
        at = common.health_socket(settings)
        metrics, tracer = Metrics("previewer"), await open_tracer("previewer", stack)
        # What the proxies have let in is done if there is time: theirs is the rule for bursts.
        maker = await making.maker(settings, stack, metrics, tracer, math.inf)
        cache = await stack.enter_async_context(shared_cache(settings, tracer.carrier))
        made = maker.making(_sources(settings, cache, maker.fetching))
        previewer: Previewer = PrivateBypass(
            shared=LeaseKeeping(cache, Recall(cache, Discarding(cache, made))),
            private=maker.making(maker.fetching),
        )
        if settings.previewer.max_rate:
            previewer = Paced(settings.previewer.max_rate, previewer)
        jobs = Jobs()
        worker = Worker(broker(settings), previewer, _intake(settings, maker), jobs, tracer)
        await stack.enter_async_context(worker)
        ready = {"renderer": lambda: maker.renderer.ready, "broker": lambda: worker.ready}
        health = Health(ready, {"cache": lambda: cache.trouble})
        metrics.add(jobs.samples)
        metrics.number(JOBS_IN_FLIGHT, lambda: worker.in_flight)
        metrics.number(JOBS_LIMIT, lambda: worker.room)
        metrics.number(CACHE_FAULTS, lambda: cache.faults)
        await common.serve_health(at, health, metrics, f"works for {settings.amqp.host}")


def _intake(settings: Settings, maker: Maker) -> Bounds:
    """Give how many requests a worker takes."""
    workable = common.slots(settings)
    usual = settings.amqp.prefetch or workable + _FETCHES_AHEAD
    return Bounds(
        usual=usual,
        most=settings.amqp.prefetch or usual + settings.source.max_in_flight,
        workable=workable,
        # Long renders that wait for each other keep no short one in the queue either.
        idle=lambda: maker.renderer.line.coming + maker.renderer.line.long_waiting,
    )


async def run_cache(settings: Settings) -> None:
    """Run the shared cache until it is told to stop.

    Raises:
        OSError: an address or the cache directory is not to be had.
        CacheDirectoryInUseError: another process owns the cache directory.
        SettingsError: the cache is to be somewhere else than on disk.

    """
    async with AsyncExitStack() as stack:
        at = common.health_socket(settings)
        cache = disk_cache(settings, stack)
        tracer = await open_tracer("cache", stack)
        calls = [] if isinstance(tracer, Untraced) else [TracedCalls(tracer)]
        server = CacheServer(cache, settings.grpc.host, settings.grpc.port, calls)
        await stack.enter_async_context(server)
        told = f"keeps previews for {settings.grpc.host}:{server.port}"
        metrics = Metrics("cache")
        metrics.number(LEASES, lambda: server.leases)
        health = Health({}, usage=cache.levels)
        await common.serve_health(at, health, metrics, told, port=server.port)


def _sources(settings: Settings, cache: GrpcCache, fetching: Previewer) -> Previewer:
    """Stack what workers share of sources; without a share of the cache, nothing."""
    if not settings.cache.sources:
        return Coalescing(fetching)
    leased = Leasing(cache, LeaseKeeping(cache, fetching))
    return Lookup(cache, Coalescing(leased))


def shared_cache(settings: Settings, carrier: Callable[[], dict[str, str]] = dict) -> GrpcCache:
    """Give the shared cache, not yet connected."""
    grpc = settings.grpc
    return GrpcCache(grpc.host, grpc.port, grpc.timeout, carrier)


def broker(settings: Settings) -> Broker:
    """Give where RabbitMQ is."""
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
