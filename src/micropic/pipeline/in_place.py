"""Leave large bodies in the cache, also those that were just made."""

from __future__ import annotations

from dataclasses import replace

from micropic.domain.model import Preview, PreviewRequest
from micropic.pipeline.caching import find
from micropic.ports import Cache, Previewer


class LargeInPlace:
    """Stands before what stores previews in `cache`: gives large ones with their body there.

    So a slow client takes a piece of it in memory, not all of it.
    """

    def __init__(self, cache: Cache, larger_than: int, inner: Previewer) -> None:
        self._cache = cache
        self._larger_than = larger_than
        self._inner = inner

    async def preview(self, request: PreviewRequest) -> Preview:
        """Ask the next previewer."""
        preview = await self._inner.preview(request)
        if len(preview.body) <= self._larger_than:
            return preview
        kept = await find(self._cache, request)
        if kept is None or kept.stored is None or kept.etag != preview.etag:
            return preview
        return replace(preview, body=b"", stored=kept.stored)
