"""What is counted as it happens: requests, previews, fetches, jobs."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from micropic.domain.errors import MicropicError
from micropic.domain.model import (
    UNCHANGED,
    Headers,
    Preview,
    PreviewRequest,
    Provenance,
    SourceFacts,
    SourcePicture,
    SourceUrl,
)
from micropic.ports import Previewer, Source
from micropic.services import metrics
from micropic.services.metrics import Sample, Times

_ROUTES = {
    b"fill": "fill",
    b"fit": "fit",
    b"": "page",
    b"static": "page",
    b"healthz": "health",
    b"readyz": "health",
    b"purge": "purge",
}
"""By the first segment of the path."""


class _Tally:
    """Requests that were answered alike."""

    __slots__ = ("bytes", "times")

    def __init__(self) -> None:
        self.bytes = 0
        self.times = Times()


class Requests:
    """HTTP requests, as the log has them."""

    def __init__(self) -> None:
        self._tallies: defaultdict[tuple[str, int, str], _Tally] = defaultdict(_Tally)

    def answered(  # noqa: PLR0913, PLR0917 # in the order of the log
        self,
        method: str,
        path: bytes,
        status: int,
        seconds: float,
        size: int,
        provenance: Provenance | None,
    ) -> None:
        """Count one: `size` is of the body in bytes, `provenance` that of a preview."""
        route = _ROUTES.get(path[1:].partition(b"/")[0], "other") if method != "DELETE" else "purge"
        tally = self._tallies[route, status, _cache(provenance)]
        tally.times.add(seconds)
        tally.bytes += size

    def samples(self) -> Iterator[Sample]:
        """Give what was counted."""
        times: defaultdict[tuple[str, str], Times] = defaultdict(Times)
        sizes: Counter[str] = Counter()
        for (route, status, cache), tally in self._tallies.items():
            yield metrics.REQUESTS, (route, str(status), cache), tally.times.total
            times[route, cache] += tally.times
            sizes[route] += tally.bytes
        for labels, several in times.items():
            yield metrics.REQUEST_SECONDS, labels, several
        for route, size in sizes.items():
            yield metrics.RESPONSE_BYTES, (route,), size


class Previews:
    """Previews that are made here, whoever waits for them."""

    def __init__(self) -> None:
        self._outcomes: Counter[str] = Counter()
        self._steps = {step: Times() for step in ("queue", "fetch", "render")}

    def counted(self, inner: Previewer) -> Previewer:
        """Count what `inner` makes."""
        return _CountedPreviewer(self, inner)

    def made(self, provenance: Provenance) -> None:
        """Count one that was made, or found unchanged, with the time that each step took."""
        unchanged = provenance.detail == UNCHANGED
        self._outcomes[UNCHANGED if unchanged else "preview"] += 1
        self._steps["fetch"].add(provenance.fetch)
        if not unchanged:
            self._steps["queue"].add(provenance.queue)
            self._steps["render"].add(provenance.render)

    def failed(self, error: MicropicError) -> None:
        """Count one that was not made."""
        self._outcomes[error.code] += 1

    def samples(self) -> Iterator[Sample]:
        """Give what was counted."""
        for outcome, number in self._outcomes.items():
            yield metrics.PREVIEWS, (outcome,), number
        for step, times in self._steps.items():
            yield metrics.STEP_SECONDS, (step,), times


class _CountedPreviewer:
    def __init__(self, tally: Previews, inner: Previewer) -> None:
        self._tally = tally
        self._inner = inner

    async def preview(self, request: PreviewRequest) -> Preview:
        """Ask the next previewer, and count what comes of it."""
        try:
            preview = await self._inner.preview(request)
        except MicropicError as error:
            self._tally.failed(error)
            raise
        self._tally.made(preview.provenance)
        return preview


class CountedSource:
    """Counts what `inner` fetches."""

    def __init__(self, inner: Source) -> None:
        self._inner = inner
        self._outcomes: Counter[str] = Counter()
        self._bytes = 0

    async def fetch(
        self,
        url: SourceUrl,
        headers: Headers,
        deadline: float,
        known: SourceFacts | None = None,
        client: str = "",
    ) -> SourcePicture:
        """Ask the source."""
        try:
            picture = await self._inner.fetch(url, headers, deadline, known, client)
        except MicropicError as error:
            self._outcomes[error.code] += 1
            raise
        self._outcomes[UNCHANGED if picture.body is None else "picture"] += 1
        self._bytes += len(picture.body or b"")
        return picture

    def samples(self) -> Iterator[Sample]:
        """Give what was counted."""
        yield metrics.SOURCE_BYTES, (), self._bytes
        for outcome, number in self._outcomes.items():
            yield metrics.FETCHES, (outcome,), number


class Jobs:
    """Requests that a worker takes from the queue."""

    def __init__(self) -> None:
        self._outcomes: Counter[str] = Counter()
        self._waited = Times()

    def done(self, outcome: str, waited: float) -> None:
        """Count one by what came of it; it `waited` so many seconds in the queue."""
        self._outcomes[outcome] += 1
        self._waited.add(waited)

    def samples(self) -> Iterator[Sample]:
        """Give what was counted."""
        yield metrics.JOB_WAIT_SECONDS, (), self._waited
        for outcome, number in self._outcomes.items():
            yield metrics.JOBS, (outcome,), number


def _cache(provenance: Provenance | None) -> str:
    """Name what the cache had to do with an answer, as Cache-Status does but in one word."""
    if provenance is None:
        return "none"
    if provenance.in_memory:
        return "hit_memory"
    if provenance.collapsed:
        return "collapsed"
    if provenance.detail and provenance.detail != UNCHANGED:
        return provenance.detail.replace("-", "_")
    return provenance.cache.value
