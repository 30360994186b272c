"""Look in a cache first, and keep there what had to be made: two concerns, often stacked apart."""

from __future__ import annotations

import time
from dataclasses import replace

from micropic.domain import freshness, urls
from micropic.domain.model import CacheResult, Preview, PreviewRequest
from micropic.ports import Cache, Previewer


class Lookup:
    """Answers from `cache` what is fresh there, and asks the next previewer for the rest.

    What is kept but stale goes along with the request.
    """

    def __init__(self, cache: Cache, inner: Previewer) -> None:
        self._cache = cache
        self._inner = inner

    async def preview(self, request: PreviewRequest) -> Preview:
        """Answer from the cache, or ask the next previewer."""
        kept = await find(self._cache, request)
        if kept is None:
            return await self._inner.preview(request)
        if freshness.remaining(kept, time.time()) > 0 and not request.reload:
            return kept
        return await self._inner.preview(replace(request, stale=kept))


class Keeping:
    """Keeps in `cache` what the next previewer answers, if it may be kept."""

    def __init__(self, cache: Cache, inner: Previewer) -> None:
        self._cache = cache
        self._inner = inner

    async def preview(self, request: PreviewRequest) -> Preview:
        """Ask the next previewer, and keep its answer."""
        preview = await self._inner.preview(request)
        if may_keep(preview):
            await self._cache.put(request.key, preview)
            if preview.variant:
                await self._cache.put(urls.variant_key(request.key, preview.variant), preview)
        return preview


class Recall:
    """Gets what another process found stale in the `cache` that they share."""

    def __init__(self, cache: Cache, inner: Previewer) -> None:
        self._cache = cache
        self._inner = inner

    async def preview(self, request: PreviewRequest) -> Preview:
        """Ask the next previewer, with the stale preview if there is one."""
        if request.recall:
            request = replace(request, stale=await find(self._cache, request))
        return await self._inner.preview(request)


async def find(cache: Cache, request: PreviewRequest) -> Preview | None:
    """Give what is kept for this request, fresh or not.

    The last one that was made lies under the plain key. Where it is for other clients, it tells
    by which header fields the one for this client is to be looked for (RFC 9111, section 4.1).
    """
    kept = await cache.get(request.key)
    if kept is None or freshness.suits(kept, request.headers):
        return kept
    variant = freshness.variant(kept.source.vary, request.headers)
    kept = await cache.get(urls.variant_key(request.key, variant))
    return kept if kept and freshness.suits(kept, request.headers) else None


def may_keep(preview: Preview) -> bool:
    """Tell whether a cache may and should keep this answer: not what is old, nor what is empty."""
    if not preview.body or not freshness.is_storable(preview.source):
        return False
    was_made = preview.provenance.cache is not CacheResult.HIT and not preview.provenance.detail
    return was_made or freshness.remaining(preview, time.time()) > 0
