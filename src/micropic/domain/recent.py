"""What has happened of late, for some time and within bounds."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

V = TypeVar("V")


class Recent(Generic[V]):
    """Remembers the `most` newest values, each for `seconds` by the caller's clock."""

    def __init__(self, seconds: float, most: int) -> None:
        self._seconds = seconds
        self._most = most
        self._values: OrderedDict[str, tuple[V, float]] = OrderedDict()

    def __len__(self) -> int:
        """Give how many values take up room."""
        return len(self._values)

    def get(self, key: str, now: float) -> V | None:
        """Give what is remembered of `key` at `now`."""
        value, until = self._values.get(key, (None, 0.0))
        return value if now < until else None

    def add(self, key: str, value: V, now: float) -> None:
        """Remember `value`, in the place of an older one."""
        self._values.pop(key, None)
        self._values[key] = (value, now + self._seconds)
        while self._values and (len(self._values) > self._most or self._first_is_over(now)):
            self._values.popitem(last=False)

    def _first_is_over(self, now: float) -> bool:
        """Tell whether the oldest is of no use any more: it need not stay until there are many."""
        _, until = next(iter(self._values.values()))
        return until <= now

    def values_of(self, which: Callable[[str], bool]) -> list[V]:
        """Return the values of the keys for which `which` is true, expired ones among them."""
        return [value for key, (value, _) in self._values.items() if which(key)]

    def forget(self, key: str) -> None:
        """Forget what is remembered of `key`, if anything is."""
        self._values.pop(key, None)

    def forget_those(self, which: Callable[[str], bool]) -> None:
        """Forget what is remembered of the keys for which `which` is true."""
        for key in [key for key in self._values if which(key)]:
            del self._values[key]
