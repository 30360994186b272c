"""Do not let the same picture end one render process after the other."""

from __future__ import annotations

import time

import structlog

from micropic.domain import urls
from micropic.domain.errors import (
    Quarantined,
    RenderCrashed,
    RenderTimeout,
    TooComplex,
    TooMuchMemory,
)
from micropic.domain.model import Preview, PreviewRequest
from micropic.domain.purge import Purge
from micropic.domain.recent import Recent
from micropic.ports import Previewer

log = structlog.get_logger()

_STRIKE = 10
_EXPLAINED = 1
"""What a process that ended for lack of memory or time counts for: so it says itself, and a picture
that has taken it over may say so each time."""
_OUT = 3 * _STRIKE
_SECONDS = 3600.0
_MOST = 10_000
"""How many sources are remembered."""


class Strikes:
    """How often a source has ended a render process of late; at the third time it is out.

    Ends that explain themselves count for a tenth. A strike is forgotten after an hour without
    another, and each preview that succeeds takes one away: a picture that many ask for is not out
    because of what befell the machine.
    """

    def __init__(self) -> None:
        self._counts: Recent[int] = Recent(_SECONDS, _MOST)

    def out(self, source: str, now: float) -> bool:
        """Tell whether a source is refused at `now`."""
        return (self._counts.get(source, now) or 0) >= _OUT

    def add(self, source: str, now: float, weight: int = _STRIKE) -> bool:
        """Count one strike more; tell whether the source is out by it."""
        before = self._counts.get(source, now) or 0
        self._counts.add(source, before + weight, now)
        return before < _OUT <= before + weight

    def take_away(self, source: str, now: float) -> None:
        """Count one strike less."""
        count = self._counts.get(source, now)
        if count is not None:
            self._counts.forget(source)
            if count > _STRIKE:
                self._counts.add(source, count - _STRIKE, now)

    async def purge(self, what: Purge) -> int:
        """Let sources in again that are to be asked for anew; they are no entries of a cache."""
        self._counts.forget_those(what.concerns)
        return 0


class Quarantine:
    """Refuses a source for an hour that has crashed or hung a render process three times.

    A render hangs if it had `patience` seconds, and they were not enough: what had less may have
    come late to a busy machine. The strikes may be shared with others.
    """

    def __init__(self, strikes: Strikes, patience: float, inner: Previewer) -> None:
        self._strikes = strikes
        self._patience = patience
        self._inner = inner

    async def preview(self, request: PreviewRequest) -> Preview:
        """Ask the next previewer, unless the source is refused.

        Raises:
            Quarantined: it is.

        """
        source = urls.source_key(request.source)
        if self._strikes.out(source, time.monotonic()):
            msg = "The renderer has crashed or hung over this picture too often; try in an hour."
            raise Quarantined(msg)
        try:
            preview = await self._inner.preview(request)
        except RenderCrashed:
            self._strike(source)
            raise
        except RenderTimeout as error:
            if error.seconds >= self._patience:
                self._strike(source)
            raise
        except (TooComplex, TooMuchMemory) as error:
            if error.ended_process:
                self._strike(source, _EXPLAINED)
            raise
        self._strikes.take_away(source, time.monotonic())
        return preview

    def _strike(self, source: str, weight: int = _STRIKE) -> None:
        if self._strikes.add(source, time.monotonic(), weight):
            log.warning("quarantined", source=urls.source_of(source), seconds=_SECONDS)
