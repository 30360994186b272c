"""Look in a cache first."""

from __future__ import annotations

import time
from dataclasses import replace

from micropic.domain import freshness
from micropic.domain.model import CacheResult, Preview, PreviewRequest, Provenance
from micropic.ports import Cache, Previewer

_HIT = Provenance(cache=CacheResult.HIT)


class Caching:
    """Answers from `cache` what is fresh there; what has to be made is kept there."""

    def __init__(self, cache: Cache, inner: Previewer) -> None:
        self._cache = cache
        self._inner = inner

    async def preview(self, request: PreviewRequest) -> Preview:
        """Answer from the cache, or ask the next previewer and keep its answer."""
        cached = await self._cache.get(request.key)
        if cached is not None and freshness.remaining(cached, time.time()) > 0:
            return cached if cached.provenance is _HIT else replace(cached, provenance=_HIT)
        preview = await self._inner.preview(request)
        if freshness.remaining(preview, time.time()) > 0:
            # Whatever comes out of a cache is a hit: said once here, not at each one.
            await self._cache.put(request.key, replace(preview, provenance=_HIT))
        return preview
