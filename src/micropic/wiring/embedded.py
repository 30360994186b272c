"""The embedded shape: one process that answers, fetches, has pictures rendered, and keeps them."""

from __future__ import annotations

from contextlib import AsyncExitStack

from micropic.adapters.memory_cache import MemoryCache
from micropic.pipeline.admission import Admission
from micropic.pipeline.bypass import PrivateBypass
from micropic.pipeline.caching import Keeping, Lookup
from micropic.pipeline.coalescing import Coalescing
from micropic.pipeline.local import Local
from micropic.pipeline.only_if_cached import OnlyIfCached
from micropic.pipeline.remembered_errors import RememberedErrors
from micropic.ports import Previewer
from micropic.services.health import Health
from micropic.settings import Settings
from micropic.wiring import common
from micropic.wiring.caches import OpenCache, open_cache


async def run_embedded(settings: Settings) -> None:
    """Run the embedded service until it is told to stop.

    Raises:
        OSError: an address, the cache directory or a render process is not to be had.
        CacheDirectoryInUseError: another process owns the cache directory.
        SettingsError: the cache needs an extra that is missing.

    """
    async with AsyncExitStack() as stack:
        sockets = common.proxy_sockets(settings)
        renderer = await stack.enter_async_context(common.renderer(settings))
        cache = await open_cache(settings, stack)
        source = await common.source(settings, stack)
        local = Admission(settings.proxy.max_in_flight, Local(source, renderer))
        previewer = PrivateBypass(shared=_shared(settings, cache, local), private=local)
        helpful = {"cache": cache.trouble} if cache.trouble else {}
        health = Health({"renderer": lambda: renderer.ready}, helpful)
        await common.serve_previews(settings, sockets, previewer, health)


def _shared(settings: Settings, opened: OpenCache, inner: Previewer) -> Previewer:
    """Stack what many clients share.

    Both look-ups stand before the joining, so that a hit costs no task. What is made is kept
    before the joined work is over, and what is missing is so at once: no request finds neither
    the one nor the other. Only a cache over a network takes a while to say so, in which an equal
    request may come and go: it is asked within the joining.
    """
    cache, keeping = opened.cache, Keeping(opened.cache, inner)
    if opened.trouble:
        made = RememberedErrors(settings.cache.negative_age, keeping)
        return common.in_memory(settings, Coalescing(Lookup(cache, OnlyIfCached(made))))
    made = RememberedErrors(settings.cache.negative_age, Coalescing(keeping))
    found = Lookup(cache, OnlyIfCached(made))
    return found if isinstance(cache, MemoryCache) else common.in_memory(settings, found)
