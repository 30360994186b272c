"""Wait for a condition, never for a time."""

from __future__ import annotations

import asyncio
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


async def eventually(condition: Callable[[], bool]) -> None:
    """Ask `condition` until it is true, while the event loop does other things."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 # what is waited for sets no event
            await asyncio.sleep(_PAUSE)


async def turns(condition: Callable[[], object]) -> None:
    """Let the event loop turn until `condition` is true, which is up to its tasks alone."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 # each turn of the loop is a chance
            await asyncio.sleep(0)
