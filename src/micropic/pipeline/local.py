"""Get the source, then render it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

from micropic.domain import freshness, headers, urls
from micropic.domain.errors import USELESS, Overloaded
from micropic.domain.freshness import Policy
from micropic.domain.model import (
    PIECE,
    UNCHANGED,
    BodyLostError,
    CacheResult,
    Preview,
    PreviewRequest,
    Provenance,
    strong_etag,
)
from micropic.domain.waiting import Room
from micropic.pipeline.quarantine import Quarantine
from micropic.ports import Previewer, Source

_AS_IT_IS = "application/octet-stream"
"""The media type of a source that is kept as the preview of itself."""


class Local:
    """Renders what `sources` gives: the source itself, as a preview with a key of its own.

    So sources are looked up, joined, leased and kept by the classes that do so for previews. A
    preview is as fresh as the source that it was made of.

    An origin may answer one client with a page instead of the image. So a source that another
    client's request brought, and that turns out to be no image, is fetched once more.

    A large body that a cache has left where it is takes of the `room` for sources while it is read.
    """

    def __init__(self, sources: Previewer, renderer: Quarantine, room: Room | None = None) -> None:
        self._sources = sources
        self._renderer = renderer
        self._room = room or Room()

    async def preview(self, request: PreviewRequest) -> Preview:
        """Get the source and render it, unless a stale preview was made of the same one."""
        asked = replace(request, key=source_key(request), lease="", recall=False)
        started = time.monotonic()
        source = await self._sources.preview(asked)
        if request.stale and _is_of(request.stale, source):
            try:
                kept = await self._whole(request.stale)
            except BodyLostError:
                return await self.preview(replace(request, stale=None))
            return _renewed(kept, source, time.monotonic() - started)
        if not source.length:  # unchanged, to another one who has what was made of it
            source = await self._sources.preview(replace(asked, stale=None))
        try:
            source = await self._whole(source)
        except BodyLostError:  # the cache has dropped it
            source = await self._whole_again(replace(asked, stale=None))
        try:
            return await self._rendered(source, request, started)
        except USELESS:
            if not _is_anothers(source):
                raise
            own = replace(asked, key=own_source_key(request), stale=None)
            mine = await self._whole_again(own)
            if mine.source.sha256 == source.source.sha256:
                raise
        return await self._rendered(mine, request, started)

    async def _rendered(self, source: Preview, request: PreviewRequest, started: float) -> Preview:
        fetched = time.monotonic()
        rendered = await self._renderer.render(source, request)
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
            etag=await _etag(rendered.body),
        )

    async def _whole(self, preview: Preview) -> Preview:
        """Return a preview with its body in memory.

        Raises:
            BodyLostError: the body is damaged or gone.
            Overloaded: there is no room for it.

        """
        if preview.stored is None:
            return preview
        with self._room.share() as take:
            take(preview.length)
            return await preview.whole()

    async def _whole_again(self, request: PreviewRequest) -> Preview:
        try:
            return await self._whole(await self._sources.preview(request))
        except BodyLostError:
            msg = "The cache lost the source; try again in a moment."
            raise Overloaded(msg) from None


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
        picture = await self._source.fetch(
            request.source, request.headers, request.deadline, known, request.client
        )
        body = picture.body
        if body is None:
            # Only the facts are here where a preview is kept, but not what it was made of.
            try:
                kept = await stale.whole() if stale and stale.media_type == _AS_IT_IS else None
            except BodyLostError:
                return await self.preview(replace(request, stale=None))
            body = kept.body if kept else b""
        return Preview(
            body=body,
            media_type=_AS_IT_IS,
            stored_at=time.time(),
            lifetime=freshness.lifetime(picture.facts, self._policy),
            source=picture.facts,
            variant=freshness.variant(picture.facts.vary, request.headers),
        )


def source_key(request: PreviewRequest) -> str:
    """Return the key of the source that a preview is made of."""
    return urls.source_key(request.source, urls.fields_of(request.key))


def own_source_key(request: PreviewRequest) -> str:
    """Return the key of the source as its origin gives it to clients that send the same fields."""
    fields = headers.client_digest(request.headers, urls.fields_of(request.key))
    return urls.source_key(request.source, fields)


def _is_anothers(source: Preview) -> bool:
    made = source.provenance
    return made.collapsed or made.cache is CacheResult.HIT


async def _etag(body: bytes) -> str:
    if len(body) <= PIECE:
        return strong_etag(body)
    return await asyncio.to_thread(strong_etag, body)  # it takes too long for the event loop


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
