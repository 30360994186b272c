"""The embedded shape: one process that answers, fetches, has pictures rendered, and keeps them."""

from __future__ import annotations

from contextlib import AsyncExitStack

from micropic.pipeline.admission import Admission, Gate
from micropic.pipeline.bypass import PrivateBypass
from micropic.pipeline.caching import Keeping, Lookup
from micropic.pipeline.coalescing import Coalescing
from micropic.pipeline.discarding import Discarding
from micropic.pipeline.local import Fetching, Local
from micropic.pipeline.remembered_errors import RememberedErrors
from micropic.ports import Cache, Previewer
from micropic.services.health import Health
from micropic.settings import Settings
from micropic.wiring import common


async def run_embedded(settings: Settings) -> None:
    """Run the embedded service until it is told to stop.

    Raises:
        OSError: an address, the cache directory or a render process is not to be had.
        CacheDirectoryInUseError: another process owns the cache directory.

    """
    async with AsyncExitStack() as stack:
        sockets = common.proxy_sockets(settings)
        renderer = await stack.enter_async_context(common.renderer(settings))
        cache, memory = common.disk_cache(settings, stack), common.memory_cache(settings)
        caches = cache, memory
        fetching = Fetching(await common.source(settings, stack), common.policy(settings))
        sources = Lookup(cache, Coalescing(Keeping(cache, fetching)))
        shared = Discarding(cache, Local(sources, renderer))
        gate = Gate(settings.proxy.max_in_flight)
        previewer = PrivateBypass(
            shared=_shared(settings, caches, Admission(gate, shared)),
            private=Admission(gate, Local(fetching, renderer)),
        )
        health = Health({"renderer": lambda: renderer.ready}, usage=cache.levels)
        await common.serve_previews(settings, sockets, previewer, health, caches)


def _shared(settings: Settings, caches: tuple[Cache, Cache], inner: Previewer) -> Previewer:
    """Stack what many clients share.

    Both look-ups stand before the joining, so that a hit costs no task. What is made is on disk
    before the joined work is over, and what is missing there is so at once: no request finds
    neither the one nor the other.
    """
    cache, memory = caches
    made = RememberedErrors(settings.cache.negative_age, Coalescing(Keeping(cache, inner)))
    return common.in_memory(memory, Lookup(cache, common.stale_or(settings, made)))
