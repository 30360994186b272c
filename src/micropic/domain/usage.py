"""How full a cache is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Usage:
    """How full a cache is; the last three: what has happened since the start."""

    entries: int
    bytes: int
    max_bytes: int
    unused: float | None
    """Seconds since the entry that would go first was used; None: not known."""
    evictions: int
    hits: int
    misses: int

    def __add__(self, other: Usage) -> Usage:
        """Give both together."""
        sums = {
            name: getattr(self, name) + getattr(other, name)
            for name in ("entries", "bytes", "max_bytes", "evictions", "hits", "misses")
        }
        unused = [each for each in (self.unused, other.unused) if each is not None]
        return Usage(unused=max(unused, default=None), **sums)
