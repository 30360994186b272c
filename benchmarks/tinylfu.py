"""W-TinyLFU (Einziger, Friedman and Manes, ACM TOS 2017), to be compared with what micropic has.

A window of 1 % of the bytes by LRU, a main part of probation and protected (80 % of it) by LRU;
what leaves the window enters the main part if it was asked for more often of late than what would
have to go for it. Frequencies are exact counts, halved now and then, where the paper has a sketch:
that does it no harm.
"""

from __future__ import annotations

from collections import Counter, OrderedDict

_WINDOW = 0.01
_PROTECTED = 0.8
_SAMPLE = 10
"""Counts are halved after so many requests for each entry that is held."""


class TinyLfuIndex:
    """Keys whose sizes (bytes) stay within `max_bytes` together."""

    def __init__(self, max_bytes: int) -> None:
        self._window = _Lru(int(max_bytes * _WINDOW))
        main = max_bytes - self._window.room
        self._protected = _Lru(int(main * _PROTECTED))
        self._probation = _Lru(main)
        """Its room is that of the main part as a whole."""
        self._counts: Counter[int] = Counter()
        self._requests = 0

    def touch(self, key: int) -> bool:
        """Count a use of `key`; tell whether it is here."""
        self._count(key)
        for part in (self._window, self._protected):
            if key in part.sizes:
                part.sizes.move_to_end(key)
                return True
        if key not in self._probation.sizes:
            return False
        self._protected.add(key, self._probation.remove(key))
        while self._protected.bytes > self._protected.room:
            self._probation.add(*self._protected.pop())
        return True

    def add(self, key: int, size: int) -> None:
        """Add `key`; what has to go goes."""
        self._window.add(key, size)
        while self._window.bytes > self._window.room:
            self._admit(*self._window.pop())

    def _admit(self, key: int, size: int) -> None:
        room = self._probation.room - self._protected.bytes - size
        for victim in list(self._probation.sizes):
            if self._probation.bytes <= room or self._counts[key] <= self._counts[victim]:
                break
            self._probation.remove(victim)
        if self._probation.bytes <= room:
            self._probation.add(key, size)

    def _count(self, key: int) -> None:
        self._counts[key] += 1
        self._requests += 1
        held = sum(len(p.sizes) for p in (self._window, self._protected, self._probation))
        if self._requests > _SAMPLE * max(held, 100):
            self._requests = 0
            self._counts = Counter({each: n // 2 for each, n in self._counts.items() if n > 1})


class _Lru:
    def __init__(self, room: int) -> None:
        self.room = room
        self.bytes = 0
        self.sizes: OrderedDict[int, int] = OrderedDict()

    def add(self, key: int, size: int) -> None:
        self.sizes[key] = size
        self.bytes += size

    def remove(self, key: int) -> int:
        size = self.sizes.pop(key)
        self.bytes -= size
        return size

    def pop(self) -> tuple[int, int]:
        key, size = self.sizes.popitem(last=False)
        self.bytes -= size
        return key, size
