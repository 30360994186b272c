"""Look in a cache first, and keep there what had to be made: two concerns, often stacked apart."""

from __future__ import annotations

import time

from micropic.domain import freshness
from micropic.domain.model import Preview, PreviewRequest
from micropic.ports import Cache, Previewer


class Lookup:
    """Answers from `cache` what is fresh there, and asks the next previewer for the rest."""

    def __init__(self, cache: Cache, inner: Previewer) -> None:
        self._cache = cache
        self._inner = inner

    async def preview(self, request: PreviewRequest) -> Preview:
        """Answer from the cache, or ask the next previewer."""
        cached = await self._cache.get(request.key)
        if cached is not None and freshness.remaining(cached, time.time()) > 0:
            return cached
        return await self._inner.preview(request)


class Keeping:
    """Keeps in `cache` what the next previewer answers, if it may be kept."""

    def __init__(self, cache: Cache, inner: Previewer) -> None:
        self._cache = cache
        self._inner = inner

    async def preview(self, request: PreviewRequest) -> Preview:
        """Ask the next previewer, and keep its answer."""
        preview = await self._inner.preview(request)
        if freshness.remaining(preview, time.time()) > 0:
            await self._cache.put(request.key, preview)
        return preview
