"""A cache in this process's memory."""

from __future__ import annotations

from micropic.domain.lru import LruIndex
from micropic.domain.model import Preview

_OVERHEAD = 1536
"""Bytes an entry costs beside its body: the key, the objects, the header fields. Measured."""


class MemoryCache:
    """Keeps previews as they are; `max_bytes` bounds their bodies and what belongs to them."""

    def __init__(self, max_bytes: int) -> None:
        self._index: LruIndex[str] = LruIndex(max_bytes)
        self._previews: dict[str, Preview] = {}

    async def get(self, key: str) -> Preview | None:
        """Give the preview as it was put, or None."""
        return self._previews[key] if self._index.touch(key) else None

    async def put(self, key: str, preview: Preview) -> None:
        """Keep a preview, in the place of an older one."""
        self._previews[key] = preview
        for evicted in self._index.add(key, len(preview.body) + _OVERHEAD):
            del self._previews[evicted]

    async def delete(self, key: str) -> None:
        """Forget a preview, if it is here."""
        if self._index.remove(key):
            del self._previews[key]
