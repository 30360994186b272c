"""One caller does the work that many ask for at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace

from micropic.domain import freshness
from micropic.domain.errors import BY_CLIENT, OUT_OF_TIME
from micropic.domain.model import Headers, Preview, PreviewRequest
from micropic.ports import Previewer

_Key = tuple[str, bool, bool]
"""A request's key, whether the origin must be asked, and whether nothing may be made."""


def _anybody(_: PreviewRequest) -> None:
    """Let everybody in."""


class _Work:
    """A task, the headers that it asks its origin with, and how many callers wait for it."""

    def __init__(self, task: asyncio.Task[Preview], headers: Headers) -> None:
        self.task = task
        self.headers = headers
        self.waiters = 0


class Coalescing:
    """Joins equal requests that are under way at the same time.

    The work runs in a task of its own: a caller that leaves does not stop the others, and
    when the last one has left the work is cancelled. What turns out to be for one client alone
    (no cache may keep it, or headers that differ may have brought the error about) is not shared:
    each caller that joined then does the work for itself.

    Who begins is let in by `admit`, if anything is to say no: a task only to be refused in costs
    more than the refusal.
    """

    def __init__(
        self, inner: Previewer, admit: Callable[[PreviewRequest], None] = _anybody
    ) -> None:
        self._inner = inner
        self._admit = admit
        self._under_way: dict[_Key, _Work] = {}

    async def preview(self, request: PreviewRequest) -> Preview:
        """Join the work under way for an equal request, or begin it."""
        work = self._under_way.get(_key(request))
        if work is None or work.task.done():
            self._admit(request)
            return await self._wait(_key(request), self._begin(request))
        try:
            preview = await self._wait(_key(request), work)
        except OUT_OF_TIME:
            # The work had the time of the caller that began it, which came earlier.
            if request.deadline <= time.monotonic():
                raise
            return await self.preview(request)
        except BY_CLIENT:
            if request.headers == work.headers:
                raise
        else:
            if preview.lifetime > 0 and freshness.suits(preview, request.headers):
                return replace(preview, provenance=replace(preview.provenance, collapsed=True))
        return await self._inner.preview(request)

    def _begin(self, request: PreviewRequest) -> _Work:
        work = _Work(asyncio.create_task(self._inner.preview(request)), request.headers)
        self._under_way[_key(request)] = work
        work.task.add_done_callback(lambda task: self._settle(_key(request), work, task))
        return work

    def _settle(self, key: _Key, work: _Work, task: asyncio.Task[Preview]) -> None:
        self._forget(key, work)
        if not task.cancelled():
            task.exception()  # seen: where no waiter is left, nobody is to be told of it

    async def _wait(self, key: _Key, work: _Work) -> Preview:
        work.waiters += 1
        try:
            return await asyncio.shield(work.task)
        finally:
            work.waiters -= 1
            if work.waiters == 0 and not work.task.done():
                self._forget(key, work)
                work.task.cancel()

    def _forget(self, key: _Key, work: _Work) -> None:
        if self._under_way.get(key) is work:
            del self._under_way[key]


def _key(request: PreviewRequest) -> _Key:
    return request.key, request.reload, request.only_if_cached
