"""A cache in this process's memory."""

from __future__ import annotations

from dataclasses import astuple, replace

from micropic.domain.lru import LruIndex
from micropic.domain.model import FROM_MEMORY, Preview
from micropic.domain.purge import Purge
from micropic.domain.usage import Usage

_OVERHEAD = 1536
"""Bytes that the objects of an entry cost beside what they hold."""


class MemoryCache:
    """Keeps previews as they are; `max_bytes` bounds their bodies and what belongs to them."""

    def __init__(self, max_bytes: int, max_entries: int | None = None) -> None:
        self._index: LruIndex[str] = LruIndex(max_bytes, max_entries)
        self._previews: dict[str, Preview] = {}
        self._evictions = self._hits = self._misses = 0

    @property
    def usage(self) -> Usage:
        """How full it is."""
        index = self._index
        happened = self._evictions, self._hits, self._misses
        return Usage(len(index), index.bytes, index.max_bytes, None, *happened)

    def has(self, key: str) -> bool:
        """Tell whether it is here, without using it."""
        return key in self._previews

    async def get(self, key: str) -> Preview | None:
        """Give the preview as it was put, its provenance now `FROM_MEMORY`; or None."""
        if self._index.touch(key):
            self._hits += 1
            return self._previews[key]
        self._misses += 1
        return None

    async def put(self, key: str, preview: Preview) -> None:
        """Keep a preview, in the place of an older one."""
        # Said once here, not at each hit.
        self._previews[key] = replace(preview, provenance=FROM_MEMORY)
        for evicted in self._index.add(key, _size(key, preview)):
            self._evictions += evicted != key
            del self._previews[evicted]

    async def delete(self, key: str) -> None:
        """Forget a preview, if it is here."""
        if self._index.remove(key):
            del self._previews[key]

    async def purge(self, what: Purge) -> int:
        """Forget all that `what` concerns, and tell how many entries that were."""
        concerned = [key for key in self._previews if what.concerns(key)]
        for key in concerned:
            await self.delete(key)
        return len(concerned)


def _size(key: str, preview: Preview) -> int:
    """Give the bytes that an entry takes up, near enough."""
    facts = sum(len(fact) for fact in astuple(preview.source) if isinstance(fact, str))
    return len(preview.body) + len(key) + facts + _OVERHEAD
