"""Ask for many things in one call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")

_CALLS_AT_ONCE = 4
_MOST = 64
"""Keys in one call."""
_LONGEST = 1024**2
"""Characters of all its keys but the last."""


class Batches(Generic[T]):
    """Joins what is asked for in one turn of the loop, or while earlier calls are under way.

    A call costs several times what one more key in it does. `fetch` gives an answer for each
    key, in their order; those that it leaves out at the end are asked for again. None, or no
    answer at all, is a failure: then nobody who waits gets anything.
    """

    def __init__(self, fetch: Callable[[Sequence[str]], Awaitable[Sequence[T] | None]]) -> None:
        self._fetch = fetch
        self._waiting: dict[asyncio.Future[T | None], str] = {}
        self._calls: set[asyncio.Task[None]] = set()

    async def get(self, key: str) -> T | None:
        """Give the answer for `key`; None: the call failed."""
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._dispatch)
        future: asyncio.Future[T | None] = loop.create_future()
        self._waiting[future] = key
        try:
            return await future
        finally:
            self._waiting.pop(future, None)

    def _dispatch(self) -> None:
        while self._waiting and len(self._calls) < _CALLS_AT_ONCE:
            call = asyncio.create_task(self._call(self._next_batch()))
            self._calls.add(call)
            call.add_done_callback(self._end)

    def _next_batch(self) -> dict[asyncio.Future[T | None], str]:
        batch: dict[asyncio.Future[T | None], str] = {}
        length = 0
        while self._waiting and len(batch) < _MOST and length < _LONGEST:
            future = next(iter(self._waiting))
            batch[future] = key = self._waiting.pop(future)
            length += len(key)
        return batch

    def _end(self, call: asyncio.Task[None]) -> None:
        self._calls.discard(call)
        self._dispatch()

    async def _call(self, batch: dict[asyncio.Future[T | None], str]) -> None:
        answers: Sequence[T] | None = None
        try:
            answers = await self._fetch(list(batch.values()))
        finally:
            left = {future: key for future, key in batch.items() if not future.done()}
            self._waiting = left | self._waiting
            if answers:
                self._settle(list(zip(batch, answers, strict=False)))
            else:
                self._settle([(future, None) for future in self._waiting])

    def _settle(self, answers: Sequence[tuple[asyncio.Future[T | None], T | None]]) -> None:
        for future, answer in answers:
            self._waiting.pop(future, None)
            if not future.done():
                future.set_result(answer)
