"""The order and the bounds of a cache by S3-FIFO (Yang et al., SOSP 2023), weighed by bytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterator
from itertools import chain
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

_SMALL = 0.1
"""Share of the bytes for what came in of late (section 4.1 of the paper)."""
_MOST_USES = 3
"""Uses that are counted: two bits."""


class S3FifoIndex(Generic[K]):
    """Keys with their sizes in bytes; those that are asked for once go before the others.

    A new key enters a small queue. What is asked for again while it is there moves on to the main
    queue, and so does what comes back soon after it had to go; the rest leaves without having
    pushed out anything that is in use. Never holds more than `max_bytes` bytes, nor more than
    `max_entries` keys if that is set. Not safe for threads.
    """

    def __init__(self, max_bytes: int, max_entries: int | None = None) -> None:
        self._max_bytes = max_bytes
        self._max_entries = max_entries
        self._small: OrderedDict[K, int] = OrderedDict()
        self._main: OrderedDict[K, int] = OrderedDict()
        self._ghosts: OrderedDict[K, None] = OrderedDict()
        self._uses: dict[K, int] = {}
        """Of those that were used since they came or were last looked at."""
        self._small_bytes = self._main_bytes = 0

    @property
    def max_bytes(self) -> int:
        """What the sum of the sizes may be, in bytes."""
        return self._max_bytes

    @property
    def bytes(self) -> int:
        """The sum of the sizes, in bytes."""
        return self._small_bytes + self._main_bytes

    def __len__(self) -> int:
        return len(self._small) + len(self._main)

    def __iter__(self) -> Iterator[K]:
        """Give the keys, those that came first in front."""
        return chain(self._small, self._main)

    def __contains__(self, key: K) -> bool:
        return key in self._small or key in self._main

    def fits(self, size: int) -> bool:
        """Tell whether an entry of `size` bytes can be held at all."""
        return size <= self._max_bytes and self._max_entries != 0

    def touch(self, key: K) -> bool:
        """Count a use of `key`; tell whether it is here."""
        if key not in self:
            return False
        self._uses[key] = min(_MOST_USES, self._uses.get(key, 0) + 1)
        return True

    def add(self, key: K, size: int) -> list[K]:
        """Add `key`, or give it a new size; return what had to go.

        An entry that does not fit at all comes back itself, and the others stay.
        """
        was_in_main, uses = key in self._main, self._uses.get(key, 0)
        self.remove(key)
        if not self.fits(size):
            return [key]
        evicted = self._make_room(size)
        if was_in_main or key in self._ghosts:
            self._ghosts.pop(key, None)
            self._enter_main(key, size)
        else:
            self._small[key] = size
            self._small_bytes += size
        if uses:
            self._uses[key] = uses
        return evicted

    def remove(self, key: K) -> bool:
        """Forget `key`; tell whether it was here."""
        self._uses.pop(key, None)
        if key in self._small:
            self._small_bytes -= self._small.pop(key)
        elif key in self._main:
            self._main_bytes -= self._main.pop(key)
        else:
            return False
        return True

    def shrink(self, size: int) -> list[K]:
        """Let go of `size` bytes at least, or of all there are; return what had to go."""
        evicted: list[K] = []
        least = max(0, self.bytes - size)
        while self.bytes > least:
            evicted += self._shrink_one()
        return evicted

    def _make_room(self, size: int) -> list[K]:
        evicted: list[K] = []
        while self.bytes + size > self._max_bytes or (
            self._max_entries is not None and len(self) >= self._max_entries
        ):
            evicted += self._shrink_one()
        return evicted

    def _shrink_one(self) -> list[K]:
        of_small = self._small and (self._small_bytes > _SMALL * self._max_bytes or not self._main)
        return self._shrink_small() if of_small else self._shrink_main()

    def _shrink_small(self) -> list[K]:
        """Let the oldest of the small queue go, or move on."""
        key, size = self._small.popitem(last=False)
        self._small_bytes -= size
        if self._uses.pop(key, 0):
            self._enter_main(key, size)
            return []
        self._ghosts[key] = None
        while len(self._ghosts) > len(self):
            self._ghosts.popitem(last=False)
        return [key]

    def _shrink_main(self) -> list[K]:
        """Let the oldest of the main queue go, or stay for one use less."""
        key, size = self._main.popitem(last=False)
        uses = self._uses.pop(key, 0)
        if uses:
            self._main[key] = size
            if uses > 1:
                self._uses[key] = uses - 1
            return []
        self._main_bytes -= size
        return [key]

    def _enter_main(self, key: K, size: int) -> None:
        self._main[key] = size
        self._main_bytes += size
