"""Do not keep what is of no use."""

from __future__ import annotations

from micropic.domain.errors import USELESS
from micropic.domain.model import Preview, PreviewRequest
from micropic.pipeline.local import own_source_key, source_key
from micropic.ports import Cache, Previewer


class Discarding:
    """Takes a source out of `cache` again that no preview can be made of.

    It was kept before it was looked at. Once it is put right at its origin it is to be right here.
    """

    def __init__(self, cache: Cache, inner: Previewer) -> None:
        self._cache = cache
        self._inner = inner

    async def preview(self, request: PreviewRequest) -> Preview:
        """Ask the next previewer."""
        try:
            return await self._inner.preview(request)
        except USELESS:
            for key in (source_key(request), own_source_key(request)):
                await self._cache.delete(key)
            raise
