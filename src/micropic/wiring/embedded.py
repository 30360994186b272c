"""The embedded shape: one process that answers, fetches, has pictures rendered, and keeps them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import asdict
from functools import partial

from micropic.domain.model import PreviewRequest
from micropic.pipeline.admission import Admission, Gate, admit
from micropic.pipeline.bypass import PrivateBypass
from micropic.pipeline.caching import Keeping, Lookup
from micropic.pipeline.coalescing import Coalescing
from micropic.pipeline.discarding import Discarding
from micropic.pipeline.remembered_errors import RememberedErrors
from micropic.pipeline.traced import traced
from micropic.ports import Previewer
from micropic.services.health import Health
from micropic.services.metrics import CACHE_FAULTS, Metrics
from micropic.settings import Settings
from micropic.wiring import common, making, watched
from micropic.wiring.caches import OpenCache, open_cache
from micropic.wiring.tracing import open_tracer


async def run_embedded(settings: Settings) -> None:
    """Run the embedded service until it is told to stop.

    Raises:
        OSError: an address, the cache directory or a render process is not to be had.
        CacheDirectoryInUseError: another process owns the cache directory.
        SettingsError: the cache needs an extra that is missing.

    """
    async with AsyncExitStack() as stack:
        sockets = common.proxy_sockets(settings)
        metrics, tracer = Metrics("serve"), await open_tracer("serve", stack)
        maker = await making.maker(settings, stack, metrics, tracer, settings.proxy.max_wait)
        opened, memory = await open_cache(settings, stack), common.memory_cache(settings)
        sources = _sources(settings, opened, maker.fetching)
        gate = Gate(settings.proxy.max_in_flight)
        made = Admission(gate, Discarding(opened.cache, maker.making(sources)))
        shared = _shared(settings, opened, made, partial(admit, maker.renderer.line))
        previewer: Previewer = PrivateBypass(
            shared=shared if opened.in_memory else common.in_memory(memory, opened.cache, shared),
            private=Admission(gate, maker.making(maker.fetching, private=True)),
        )
        previewer = traced(tracer, "preview", previewer, first=True)
        helpful = {"cache": opened.trouble} if opened.trouble else {}
        if opened.faults:
            metrics.number(CACHE_FAULTS, opened.faults)
        watched.gate(metrics, gate)
        watched.levels(metrics, lambda: {"memory": asdict(memory.usage)})
        health = Health({"renderer": lambda: maker.renderer.ready}, helpful, opened.usage)
        caches = opened.cache, memory, maker.strikes
        await common.serve_previews(
            settings, sockets, previewer, health=health, metrics=metrics, caches=caches
        )


def _shared(
    settings: Settings,
    opened: OpenCache,
    inner: Previewer,
    admit: Callable[[PreviewRequest], None],
) -> Previewer:
    """Stack what many clients share.

    A cache in this process is looked in before the joining, so that a hit costs no task. What is
    made is kept before the joined work is over, and what is missing is so at once: no request
    finds neither the one nor the other. A cache over a network takes a while to say so, in which
    an equal request may come and go: it is looked in within the joining.
    """
    keeping = Keeping(opened.cache, inner)
    if opened.trouble:
        made = RememberedErrors(settings.cache.negative_age, keeping)
        return Coalescing(Lookup(opened.cache, common.stale_or(settings, made)))
    made = RememberedErrors(settings.cache.negative_age, Coalescing(keeping, admit))
    return Lookup(opened.cache, common.stale_or(settings, made))


def _sources(settings: Settings, opened: OpenCache, fetching: Previewer) -> Previewer:
    """Stack what previews share of sources; without a share of the cache, nothing is kept."""
    if not settings.cache.sources:
        return Coalescing(fetching)
    kept = Keeping(opened.cache, fetching)
    if opened.trouble:
        return Coalescing(Lookup(opened.cache, kept))
    return Lookup(opened.cache, Coalescing(kept))
