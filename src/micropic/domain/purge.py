"""What is to be forgotten."""

from __future__ import annotations

from dataclasses import dataclass

from micropic.domain import urls


@dataclass(frozen=True, slots=True)
class Purge:
    """Sources, in normal form, whose previews are to be forgotten together with themselves."""

    sources: frozenset[str] = frozenset()
    prefixes: tuple[str, ...] = ()
    """What the addresses of sources begin with."""
    everything: bool = False

    def concerns(self, key: str) -> bool:
        """Tell whether what is kept by this key is to be forgotten."""
        source = urls.source_of(key)
        return self.everything or source in self.sources or source.startswith(self.prefixes)
