"""The order and the bounds of a least-recently-used cache; what is cached lives elsewhere."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class LruIndex(Generic[K]):
    """Keys with their sizes in bytes, least recently used first.

    Never holds more than `max_bytes` bytes, nor more than `max_entries` keys if that is set.
    Not safe for threads: one thread or event loop owns it.
    """

    def __init__(self, max_bytes: int, max_entries: int | None = None) -> None:
        self._max_bytes = max_bytes
        self._max_entries = max_entries
        self._sizes: OrderedDict[K, int] = OrderedDict()
        self._bytes = 0

    @property
    def max_bytes(self) -> int:
        """What the sum of the sizes may be, in bytes."""
        return self._max_bytes

    @property
    def bytes(self) -> int:
        """The sum of the sizes, in bytes."""
        return self._bytes

    def __len__(self) -> int:
        return len(self._sizes)

    def __iter__(self) -> Iterator[K]:
        """Give the keys, least recently used first."""
        return iter(self._sizes)

    def __contains__(self, key: K) -> bool:
        return key in self._sizes

    def fits(self, size: int) -> bool:
        """Tell whether an entry of `size` bytes can be held at all."""
        return size <= self._max_bytes and self._max_entries != 0

    def touch(self, key: K) -> bool:
        """Make `key` the most recently used; tell whether it is here."""
        if key not in self._sizes:
            return False
        self._sizes.move_to_end(key)
        return True

    def add(self, key: K, size: int) -> list[K]:
        """Add `key`, or give it a new size, as the most recently used; return what had to go.

        An entry that does not fit at all comes back itself, and the others stay.
        """
        self.remove(key)
        if not self.fits(size):
            return [key]
        self._sizes[key] = size
        self._bytes += size
        evicted = []
        while self._is_over():
            evicted.append(self._pop_oldest())
        return evicted

    def shrink(self, size: int) -> list[K]:
        """Let go of `size` bytes at least, or of all there are; return what had to go."""
        evicted = []
        least = max(0, self._bytes - size)
        while self._bytes > least:
            evicted.append(self._pop_oldest())
        return evicted

    def remove(self, key: K) -> bool:
        """Forget `key`; tell whether it was here."""
        size = self._sizes.pop(key, None)
        self._bytes -= size or 0
        return size is not None

    def _pop_oldest(self) -> K:
        oldest, size = self._sizes.popitem(last=False)
        self._bytes -= size
        return oldest

    def _is_over(self) -> bool:
        return self._bytes > self._max_bytes or (
            self._max_entries is not None and len(self._sizes) > self._max_entries
        )
