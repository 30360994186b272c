"""Wait for a condition, never for a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_PAUSE = 0.01


def wait_until(condition: Callable[[], T | None], timeout: float = 20.0) -> T:
    """Ask `condition` until it gives something true; give that."""
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        if time.monotonic() > deadline:
            msg = f"not true within {timeout} s: {condition}"
            raise AssertionError(msg)
        time.sleep(_PAUSE)
    return value
