"""Previews and sources side by side, each within a budget of its own."""

from __future__ import annotations

from dataclasses import astuple

from micropic.adapters.disk_cache import DiskCache, Usage
from micropic.domain import urls
from micropic.domain.model import Preview


class Levels:
    """Keeps sources apart from previews, so that neither washes out the other."""

    def __init__(self, previews: DiskCache, sources: DiskCache) -> None:
        self._previews = previews
        self._sources = sources

    @property
    def usage(self) -> Usage:
        """How full it is, both levels together."""
        levels = self._previews.usage, self._sources.usage
        return Usage(*(sum(figures) for figures in zip(*map(astuple, levels), strict=True)))

    async def get(self, key: str) -> Preview | None:
        """Give what is kept by this key."""
        return await self._level(key).get(key)

    async def put(self, key: str, preview: Preview) -> None:
        """Keep it on its level."""
        await self._level(key).put(key, preview)

    async def delete(self, key: str) -> None:
        """Forget it, if it is here."""
        await self._level(key).delete(key)

    def _level(self, key: str) -> DiskCache:
        return self._sources if urls.is_source_key(key) else self._previews
