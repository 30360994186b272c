"""Previews and sources side by side, each within a budget of its own."""

from __future__ import annotations

from dataclasses import asdict
from typing import Protocol

from micropic.domain import urls
from micropic.domain.model import Preview
from micropic.domain.purge import Purge
from micropic.domain.usage import Usage
from micropic.ports import Cache


class Level(Cache, Protocol):
    """A cache of this process's own."""

    @property
    def usage(self) -> Usage:
        """How full it is."""
        ...

    def has(self, key: str) -> bool:
        """Tell whether it is here, without using it."""
        ...


class Levels:
    """Keeps sources apart from previews, so that neither washes out the other."""

    def __init__(self, previews: Level, sources: Level) -> None:
        self._previews = previews
        self._sources = sources

    @property
    def usage(self) -> Usage:
        """How full it is, both levels together."""
        return self._previews.usage + self._sources.usage

    def levels(self) -> dict[str, dict[str, float | None]]:
        """Tell how full each level is."""
        usages = {"previews": self._previews.usage, "sources": self._sources.usage}
        return {name: asdict(usage) for name, usage in usages.items()}

    def has(self, key: str) -> bool:
        """Tell whether it is here, without using it."""
        return self._level(key).has(key)

    async def get(self, key: str) -> Preview | None:
        """Give what is kept by this key."""
        return await self._level(key).get(key)

    async def put(self, key: str, preview: Preview) -> None:
        """Keep it on its level."""
        await self._level(key).put(key, preview)

    async def delete(self, key: str) -> None:
        """Forget it, if it is here."""
        await self._level(key).delete(key)

    async def purge(self, what: Purge) -> int:
        """Forget all that `what` concerns on both levels."""
        # Sources last would let a preview be made of one that is to go.
        return await self._sources.purge(what) + await self._previews.purge(what)

    def _level(self, key: str) -> Level:
        return self._sources if urls.is_source_key(key) else self._previews
