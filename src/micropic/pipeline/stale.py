"""Answer with what is kept though it is stale, where HTTP allows it (RFC 5861)."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import structlog

from micropic.domain import freshness, urls
from micropic.domain.errors import (
    DeadlineExceeded,
    MicropicError,
    OriginFailed,
    OriginTimeout,
    Overloaded,
    Quarantined,
    RenderCrashed,
    RenderTimeout,
)
from micropic.domain.freshness import Policy
from micropic.domain.model import CacheResult, Preview, PreviewRequest, Provenance
from micropic.domain.recent import Recent
from micropic.ports import Previewer

log = structlog.get_logger()

_OF_THE_PREVIEW = (Quarantined, RenderCrashed, RenderTimeout)
"""What is about one preview of the source; others may well be rendered."""
_ERRORS = (DeadlineExceeded, OriginFailed, OriginTimeout, Overloaded, *_OF_THE_PREVIEW)
"""What says nothing of the stored preview: 500, 502, 503, 504 and their kin (RFC 5861, section 4),
and what the renderer, not the origin, fails by."""
_FAILING = 10_000
"""How many failing sources and previews are remembered."""


class StaleWhileRevalidate:
    """Answers at once with what has become stale a moment ago, and has it renewed behind.

    That is given `timeout` seconds; what comes of it, the caches behind keep.
    """

    def __init__(self, policy: Policy, timeout: float, inner: Previewer) -> None:
        self._policy = policy
        self._timeout = timeout
        self._inner = inner
        self._under_way: dict[str, asyncio.Task[None]] = {}

    async def preview(self, request: PreviewRequest) -> Preview:
        """Answer with the stale preview that came along, or ask the next previewer."""
        stale = request.stale
        if stale is None or request.reload:
            return await self._inner.preview(request)
        window = freshness.windows(stale.source, self._policy).while_revalidating
        if not _is_within(stale, window):
            return await self._inner.preview(request)
        self._renew(request)
        return _used(stale, CacheResult.HIT, "stale-while-revalidate")

    def _renew(self, request: PreviewRequest) -> None:
        if request.key in self._under_way:
            return
        request = replace(request, deadline=time.monotonic() + self._timeout, only_if_cached=False)
        task = asyncio.create_task(self._ask(request))
        self._under_way[request.key] = task
        task.add_done_callback(lambda _: self._under_way.pop(request.key))

    async def _ask(self, request: PreviewRequest) -> None:
        try:
            await self._inner.preview(request)
        except MicropicError as error:
            log.warning("not_renewed", code=error.code, **_named(request))
        except Exception:  # nobody waits for it who could be told
            log.exception("defect", **_named(request))


class StaleIfError:
    """Answers with what is stale where the origin, the renderer, or the way to them, fails.

    For `pause` seconds after that the source is not tried again by who has something stale; after
    a failed render only this preview of it.
    """

    def __init__(self, policy: Policy, pause: float, inner: Previewer) -> None:
        self._policy = policy
        self._inner = inner
        self._failing: Recent[str] = Recent(pause, _FAILING)

    async def preview(self, request: PreviewRequest) -> Preview:
        """Ask the next previewer; if that fails, answer with the stale preview that came along."""
        stale = request.stale
        if stale is None:
            return await self._inner.preview(request)
        window = freshness.windows(stale.source, self._policy).if_error
        if not _is_within(stale, window):
            return await self._inner.preview(request)
        source = urls.source_key(request.source, urls.fields_of(request.key))
        now = time.monotonic()
        failing = self._failing.get(source, now) or self._failing.get(request.key, now)
        if not failing or request.reload:
            try:
                return await self._inner.preview(request)
            except _ERRORS as error:
                log.warning("stale_if_error", code=error.code, **_named(request))
                failed = request.key if isinstance(error, _OF_THE_PREVIEW) else source
                self._failing.add(failed, error.code, time.monotonic())
        return _used(stale, CacheResult.STALE, "stale-if-error")


def _named(request: PreviewRequest) -> dict[str, str]:
    """Say in the log which request it is."""
    return {"key": request.key, "request_id": request.request_id}


def _is_within(stale: Preview, window: float) -> bool:
    """Tell whether it is stale for less than `window` seconds."""
    return freshness.remaining(stale, time.time()) + window > 0


def _used(stale: Preview, cache: CacheResult, detail: str) -> Preview:
    return replace(stale, provenance=Provenance(cache=cache, detail=detail))
