"""Bound the work in flight, and what waits: refuse at once what cannot be done in time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    asynccontextmanager,
    contextmanager,
    nullcontext,
)

from micropic.domain import cost
from micropic.domain.errors import DeadlineExceeded, Overloaded, too_late
from micropic.domain.model import Preview, PreviewRequest
from micropic.domain.render_line import RenderLine
from micropic.domain.waiting import Backlog, Line
from micropic.ports import Previewer

_ONE_ORIGIN = 0.75
"""The part of all fetches that one origin may have."""
_OTHER_CLIENTS = 8
"""The part of all fetches, one in so many, that one client leaves to the others."""


class Gate:
    """Lets at most `limit` pass at a time."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.inside = 0
        """How many are, at this moment."""
        self.refused = 0
        """How many were, since the start."""

    @contextmanager
    def passed(self) -> Iterator[None]:
        """Be inside.

        Raises:
            Overloaded: `limit` are inside already.

        """
        if self.inside >= self.limit:
            self.refused += 1
            msg = f"{self.limit} previews are being made already; try again in a moment."
            raise Overloaded(msg)
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1


class Admission:
    """Lets requests through a gate, which others may share; one too many is refused at once."""

    def __init__(self, gate: Gate, inner: Previewer) -> None:
        self._gate = gate
        self._inner = inner

    async def preview(self, request: PreviewRequest) -> Preview:
        """Ask the next previewer, if there is room.

        Raises:
            Overloaded: there is none.

        """
        with self._gate.passed():
            return await self._inner.preview(request)


class BacklogAdmission:
    """Refuses what others, who make the previews, would begin too late.

    Long renders wait for each other, and have a backlog of their own.
    """

    def __init__(self, short: Backlog, long: Backlog, inner: Previewer) -> None:
        self._short = short
        self._long = long
        self._inner = inner

    async def preview(self, request: PreviewRequest) -> Preview:
        """Ask the next previewer.

        Raises:
            Overloaded: too many wait already.

        """
        began = time.monotonic()
        is_long = cost.is_long(cost.least(request.transform))
        backlog = self._long if is_long else self._short
        ahead = backlog.enter(began, request.deadline)
        try:
            preview = await self._inner.preview(request)
        except DeadlineExceeded:
            now = time.monotonic()
            backlog.answered(now, ahead, now - began)
            raise
        finally:
            backlog.left(time.monotonic())
        made, now = preview.provenance, time.monotonic()
        if not made.collapsed:  # else it is another one's work that it tells of
            # Clocks may disagree, but nothing has waited for longer than it took.
            waited = min(made.queue, now - began)
            backlog.answered(now, ahead, waited, min(made.render, now - began) or None)
        return preview


def admit(renders: RenderLine, request: PreviewRequest) -> None:
    """Let in one whose picture could be rendered in time, if it were here.

    Raises:
        Overloaded: too many wait for a render process already.

    """
    if not _may_be_unchanged(request):
        renders.check(
            time.monotonic(), request.deadline, request.client, cost.unknown(request.transform)
        )


def _may_be_unchanged(request: PreviewRequest) -> bool:
    """Tell whether its origin may find what is kept right still: then nothing is rendered."""
    kept = request.stale
    return kept is not None and bool(kept.source.etag or kept.source.last_modified)


class RenderAdmission:
    """Stands before the sources: gives none for a preview that could not be rendered in time."""

    def __init__(self, renders: RenderLine, sources: Previewer) -> None:
        self._renders = renders
        self._sources = sources

    async def preview(self, request: PreviewRequest) -> Preview:
        """Get the source.

        Raises:
            Overloaded: too many wait for a render process already.

        """
        admit(self._renders, request)
        now, is_here = time.monotonic(), False
        seconds = cost.unknown(request.transform)
        coming = self._renders.come(now, request.client, seconds)
        try:
            source = await self._sources.preview(request)
            is_here = True
        finally:
            self._renders.came(coming, time.monotonic(), here=is_here)
        return source


class _Places:
    """As many places as a line has servers; the others wait in the line."""

    def __init__(self, line: Line, whole: Line | None = None) -> None:
        """Make places for a line, or for a share of the `whole` one, which counts who waits."""
        self.line = line
        self._whole = whole
        self.users = 0
        """Those who wait are among them."""
        self._free = asyncio.Semaphore(line.servers)

    @asynccontextmanager
    async def taken(self, deadline: float) -> AsyncIterator[None]:
        """Be in a place.

        Raises:
            Overloaded: too many wait already.
            DeadlineExceeded: it was not this one's turn in time.

        """
        now = time.monotonic()
        try:
            self.line.check(now, deadline)
        except Overloaded:
            if self._whole:
                self._whole.door.refused += 1
            raise
        if self._free.locked():
            await self._wait(now, deadline)
        else:
            await self._free.acquire()
        started = time.monotonic()
        self.line.busy += 1
        try:
            yield
        finally:
            self.line.busy -= 1
            ended = time.monotonic()
            self.line.served(ended, ended - started)
            self._free.release()

    async def _wait(self, now: float, deadline: float) -> None:
        self.line.join(now)
        if self._whole:
            self._whole.apart += 1
        try:
            async with asyncio.timeout(deadline - now):
                await self._free.acquire()
        except TimeoutError:
            raise too_late() from None
        finally:
            if self._whole:
                self._whole.apart -= 1
            self.line.leave(time.monotonic())


class FetchAdmission:
    """Stands before the fetching, of which it lets as much be done at once as `fetches` serve.

    So what waits for slow origins is apart from what waits for a render process. One origin has
    three quarters of the places at most, so that others find one when it hangs; one client, by any
    number of origins, has seven eighths. A source is not
    fetched if those that are being fetched already are more than could be rendered in time: private
    requests are rendered by processes of their own.
    """

    def __init__(
        self,
        fetches: Line,
        renders: RenderLine,
        fetching: Previewer,
        private_renders: RenderLine | None = None,
    ) -> None:
        self._renders = {False: renders, True: private_renders or renders}
        self._fetching = fetching
        self._places = _Places(fetches)
        self._origins: dict[str, _Places] = {}
        self._clients: dict[str, _Places] = {}

    async def preview(self, request: PreviewRequest) -> Preview:
        """Fetch the source.

        Raises:
            Overloaded: too much is being fetched already, of this origin or of all.
            DeadlineExceeded: it was not this one's turn in time.

        """
        if not _may_be_unchanged(request):
            now, seconds = time.monotonic(), cost.unknown(request.transform)
            renders = self._renders[request.private]
            renders.check_coming(now, request.deadline, request.client, seconds)
        async with (
            # In this order, so that who waits for a slow origin takes no place of its client's.
            self._of_origin(request),
            self._of_client(request),
            self._places.taken(request.deadline),
        ):
            return await self._fetching.preview(request)

    def _of_client(self, request: PreviewRequest) -> AbstractAsyncContextManager[None]:
        servers = self._places.line.servers
        if not request.client or servers < _OTHER_CLIENTS:
            return nullcontext()
        part = 1 - 1 / _OTHER_CLIENTS
        return self._share(self._clients, request.client, part, request.deadline)

    def _of_origin(self, request: PreviewRequest) -> AbstractAsyncContextManager[None]:
        return self._share(self._origins, request.source.origin, _ONE_ORIGIN, request.deadline)

    @asynccontextmanager
    async def _share(
        self, shares: dict[str, _Places], name: str, part: float, deadline: float
    ) -> AsyncIterator[None]:
        """Be among those who may take a place in a share; it is known while it has any."""
        fetches = self._places.line
        share = shares.get(name)
        if share is None:
            share = shares[name] = _Places(fetches.share(part), fetches)
        share.users += 1
        try:
            async with share.taken(deadline):
                yield
        finally:
            share.users -= 1
            if not share.users:
                del shares[name]
