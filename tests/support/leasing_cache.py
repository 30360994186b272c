"""A cache with leases in the test's own memory."""

from __future__ import annotations

import time

from micropic.domain import freshness
from micropic.domain.errors import MicropicError
from micropic.domain.model import Lease, Preview
from micropic.domain.purge import Purge
from micropic.services.leases import Leases


class MemoryLeasingCache:
    """Does what the shared cache does; while it is `down` it does nothing."""

    def __init__(self) -> None:
        self.kept: dict[str, Preview] = {}
        self.down = False
        self._leases = Leases()
        self._given: dict[str, str] = {}
        """Keys of leases, by token."""

    async def get(self, key: str) -> Preview | None:
        return None if self.down else self.kept.get(key)

    async def put(self, key: str, preview: Preview, lease: str = "") -> None:
        if self.down:
            return
        self.kept[key] = preview
        if _is_fresh(preview):
            self._leases.share(key, preview)
        else:
            self._leases.give_up(key, lease)

    async def delete(self, key: str) -> None:
        self.kept.pop(key, None)

    async def purge(self, what: Purge) -> int:
        concerned = [key for key in self.kept if what.concerns(key)]
        for key in concerned:
            del self.kept[key]
        return len(concerned)

    async def lease(self, key: str, time_left: float) -> Lease | Preview | None:
        if self.down:
            return None
        outcome = await self._leases.take(key, time_left)
        kept = self.kept.get(key)
        if isinstance(outcome, Lease) and kept and _is_fresh(kept):
            self._leases.share(key, kept)
            return kept
        if isinstance(outcome, MicropicError):
            raise outcome
        if isinstance(outcome, Lease):
            self._given[outcome.token] = key
        return outcome

    async def fail(self, key: str, lease: str, error: MicropicError | None) -> None:
        if error:
            self._leases.fail(key, lease, error)
        else:
            self._leases.give_up(key, lease)

    def release(self, lease: str) -> None:
        self._leases.give_up(self._given[lease], lease)


def _is_fresh(preview: Preview) -> bool:
    return freshness.remaining(preview, time.time()) > 0
