"""Bound the work in flight, and what waits: refuse at once what cannot be done in time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager

from micropic.domain import cost
from micropic.domain.errors import DeadlineExceeded, Overloaded, too_late
from micropic.domain.model import Preview, PreviewRequest
from micropic.domain.render_line import RenderLine
from micropic.domain.waiting import Backlog, Line
from micropic.ports import Previewer


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


class FetchAdmission:
    """Stands before the fetching, of which it lets as much be done at once as `fetches` serve.

    So what waits for slow origins is apart from what waits for a render process. A source is not
    fetched if those that are being fetched already are more than could be rendered in time.
    """

    def __init__(self, fetches: Line, renders: RenderLine, fetching: Previewer) -> None:
        self._fetches = fetches
        self._renders = renders
        self._fetching = fetching
        self._places = asyncio.Semaphore(fetches.servers)

    async def preview(self, request: PreviewRequest) -> Preview:
        """Fetch the source.

        Raises:
            Overloaded: too much is being fetched already.
            DeadlineExceeded: it was not this one's turn in time.

        """
        now = time.monotonic()
        if not _may_be_unchanged(request):
            seconds = cost.unknown(request.transform)
            self._renders.check_coming(now, request.deadline, request.client, seconds)
        self._fetches.check(now, request.deadline)
        if self._places.locked():
            await self._wait(now, request.deadline)
        else:
            await self._places.acquire()
        started = time.monotonic()
        self._fetches.busy += 1
        try:
            return await self._fetching.preview(request)
        finally:
            self._fetches.busy -= 1
            ended = time.monotonic()
            self._fetches.served(ended, ended - started)
            self._places.release()

    async def _wait(self, now: float, deadline: float) -> None:
        self._fetches.join(now)
        try:
            async with asyncio.timeout(deadline - now):
                await self._places.acquire()
        except TimeoutError:
            raise too_late() from None
        finally:
            self._fetches.leave(time.monotonic())
