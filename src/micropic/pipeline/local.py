"""Fetch, then render."""

from __future__ import annotations

import time

from micropic.domain import freshness
from micropic.domain.model import Preview, PreviewRequest, Provenance, strong_etag
from micropic.ports import Renderer, Source


class Local:
    """Does the work itself."""

    def __init__(self, source: Source, renderer: Renderer) -> None:
        self._source = source
        self._renderer = renderer

    async def preview(self, request: PreviewRequest) -> Preview:
        """Fetch the source and render it."""
        started = time.monotonic()
        picture = await self._source.fetch(request.source, request.headers, request.deadline)
        fetched = time.monotonic()
        rendered = await self._renderer.render(picture.body, request.transform, request.deadline)
        return Preview(
            body=rendered.body,
            media_type=rendered.media_type,
            stored_at=time.time(),
            lifetime=freshness.lifetime(picture.facts),
            source=picture.facts,
            provenance=Provenance(
                queue=rendered.queue, fetch=fetched - started, render=rendered.render
            ),
            etag=strong_etag(rendered.body),
        )
