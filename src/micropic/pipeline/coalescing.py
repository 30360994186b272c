"""One caller does the work that many ask for at once."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

from micropic.domain.errors import OUT_OF_TIME, OriginRefused
from micropic.domain.model import Headers, Preview, PreviewRequest
from micropic.ports import Previewer


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
    (no cache may keep it, or the origin refused headers that differ) is not shared: each caller
    that joined then does the work for itself.
    """

    def __init__(self, inner: Previewer) -> None:
        self._inner = inner
        self._under_way: dict[str, _Work] = {}

    async def preview(self, request: PreviewRequest) -> Preview:
        """Join the work under way for an equal request, or begin it."""
        if request.only_if_cached:  # what others ask for is more than that
            return await self._inner.preview(request)
        work = self._under_way.get(request.key)
        if work is None or work.task.done():
            return await self._wait(request.key, self._begin(request))
        try:
            preview = await self._wait(request.key, work)
        except OUT_OF_TIME:
            # The work had the time of the caller that began it, which came earlier.
            if request.deadline <= time.monotonic():
                raise
            return await self.preview(request)
        except OriginRefused:
            if request.headers == work.headers:
                raise
        else:
            if preview.lifetime > 0:
                return replace(preview, provenance=replace(preview.provenance, collapsed=True))
        return await self._inner.preview(request)

    def _begin(self, request: PreviewRequest) -> _Work:
        work = _Work(asyncio.create_task(self._inner.preview(request)), request.headers)
        self._under_way[request.key] = work
        work.task.add_done_callback(lambda task: self._settle(request.key, work, task))
        return work

    def _settle(self, key: str, work: _Work, task: asyncio.Task[Preview]) -> None:
        self._forget(key, work)
        if not task.cancelled():
            task.exception()  # seen: where no waiter is left, nobody is to be told of it

    async def _wait(self, key: str, work: _Work) -> Preview:
        work.waiters += 1
        try:
            return await asyncio.shield(work.task)
        finally:
            work.waiters -= 1
            if work.waiters == 0 and not work.task.done():
                self._forget(key, work)
                work.task.cancel()

    def _forget(self, key: str, work: _Work) -> None:
        if self._under_way.get(key) is work:
            del self._under_way[key]
