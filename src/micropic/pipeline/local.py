"""Get the source, then render it."""

from __future__ import annotations

import time
from dataclasses import replace

from micropic.domain import freshness, urls
from micropic.domain.freshness import Policy
from micropic.domain.model import (
    UNCHANGED,
    CacheResult,
    Preview,
    PreviewRequest,
    Provenance,
    strong_etag,
)
from micropic.ports import Previewer, Renderer, Source

_AS_IT_IS = "application/octet-stream"
"""The media type of a source that is kept as the preview of itself."""


class Local:
    """Renders what `sources` gives: the source itself, as a preview with a key of its own.

    So sources are looked up, joined, leased and kept by the classes that do so for previews. A
    preview is as fresh as the source that it was made of.
    """

    def __init__(self, sources: Previewer, renderer: Renderer) -> None:
        self._sources = sources
        self._renderer = renderer

    async def preview(self, request: PreviewRequest) -> Preview:
        """Get the source and render it, unless a stale preview was made of the same one."""
        asked = replace(request, key=urls.source_key(request.source), lease="", recall=False)
        started = time.monotonic()
        source = await self._sources.preview(asked)
        if request.stale and _is_of(request.stale, source):
            return _renewed(request.stale, source, time.monotonic() - started)
        if not source.body:  # unchanged, to another one who has what was made of it
            source = await self._sources.preview(replace(asked, stale=None))
        fetched = time.monotonic()
        rendered = await self._renderer.render(
            source.body, request.transform, request.deadline, request.client
        )
        return replace(
            source,
            body=rendered.body,
            media_type=rendered.media_type,
            provenance=Provenance(
                cache=request.forwarded,
                queue=rendered.queue,
                fetch=fetched - started,
                render=rendered.render,
            ),
            etag=strong_etag(rendered.body),
        )


class Fetching:
    """Gives sources as the origin has them, for as long as `policy` and the origin allow."""

    def __init__(self, source: Source, policy: Policy) -> None:
        self._source = source
        self._policy = policy

    async def preview(self, request: PreviewRequest) -> Preview:
        """Fetch the source; if what is kept has not changed, give that anew."""
        stale = request.stale
        if stale and not freshness.suits(stale, request.headers):
            stale = None
        known = stale.source if stale else None
        picture = await self._source.fetch(request.source, request.headers, request.deadline, known)
        body = picture.body
        if body is None:
            # Only the facts are here where a preview is kept, but not what it was made of.
            body = stale.body if stale and stale.media_type == _AS_IT_IS else b""
        return Preview(
            body=body,
            media_type=_AS_IT_IS,
            stored_at=time.time(),
            lifetime=freshness.lifetime(picture.facts, self._policy),
            source=picture.facts,
            variant=freshness.variant(picture.facts.vary, request.headers),
        )


def _is_of(kept: Preview, source: Preview) -> bool:
    """Tell whether a preview was made of this very source."""
    return bool(kept.source.sha256) and kept.source.sha256 == source.source.sha256


def _renewed(kept: Preview, source: Preview, fetch: float) -> Preview:
    """Give the stale preview the freshness of the source that it was made of."""
    provenance = Provenance(cache=CacheResult.STALE, fetch=fetch, detail=UNCHANGED)
    return replace(
        kept,
        stored_at=source.stored_at,
        lifetime=source.lifetime,
        source=source.source,
        variant=source.variant,
        provenance=provenance,
    )
