"""Make each preview once in the whole cluster: the side that asks, and the side that makes."""

from __future__ import annotations

import time
from dataclasses import replace

from micropic.domain import freshness, urls
from micropic.domain.errors import OUT_OF_TIME, MicropicError, OriginRefused, Overloaded, too_late
from micropic.domain.model import CacheResult, Preview, PreviewRequest
from micropic.pipeline.caching import may_keep
from micropic.ports import LeasingCache, Previewer


class Leasing:
    """Gets a lease from the shared cache before it asks the next previewer, or another's preview.

    Stands behind the look-up in that cache. Without an answer of the cache's the request goes on
    as it is.
    """

    def __init__(self, cache: LeasingCache, inner: Previewer) -> None:
        self._cache = cache
        self._inner = inner

    async def preview(self, request: PreviewRequest) -> Preview:
        """Ask the next previewer, unless another caller's work gives the answer."""
        if request.private or request.reload:
            return await self._inner.preview(request)
        try:
            leased = await self._cache.lease(request.key, request.deadline - time.monotonic())
        except OUT_OF_TIME:
            # The holder had its own time, which may have begun earlier.
            if request.deadline <= time.monotonic():
                raise
            return await self.preview(request)
        except OriginRefused:
            # It may be the other client's headers that the origin refused.
            leased = None
        if leased is None:
            if request.deadline <= time.monotonic():
                raise too_late()
            return await self._inner.preview(request)
        if isinstance(leased, Preview) and not freshness.suits(leased, request.headers):
            return await self._inner.preview(request)
        if isinstance(leased, Preview):
            provenance = replace(leased.provenance, cache=CacheResult.MISS, collapsed=True)
            return replace(leased, provenance=provenance)
        return await self._under_lease(replace(request, lease=leased.token))

    async def _under_lease(self, request: PreviewRequest) -> Preview:
        try:
            return await self._inner.preview(request)
        except MicropicError as error:
            # Perhaps no worker has seen the request; if one has, the lease is over already. What
            # this process has no room for, or no way to, another one may well have.
            if not isinstance(error, Overloaded):
                await self._cache.fail(request.key, request.lease, error)
            raise
        finally:
            # Whoever made it may not have reached the cache: nobody is to wait for what is over.
            self._cache.release(request.lease)


class LeaseKeeping:
    """Keeps in the shared cache what the next previewer makes, and ends the request's lease."""

    def __init__(self, cache: LeasingCache, inner: Previewer) -> None:
        self._cache = cache
        self._inner = inner

    async def preview(self, request: PreviewRequest) -> Preview:
        """Ask the next previewer, and tell the cache what came of it."""
        if request.private:
            return await self._inner.preview(request)
        try:
            preview = await self._inner.preview(request)
        except BaseException as error:
            await _fail(self._cache, request, error)
            raise
        if may_keep(preview):
            if preview.variant:
                await self._cache.put(urls.variant_key(request.key, preview.variant), preview)
            await self._cache.put(request.key, preview, request.lease)
        else:
            await _fail(self._cache, request, None)
        return preview


async def _fail(cache: LeasingCache, request: PreviewRequest, error: BaseException | None) -> None:
    """End the request's lease; what is no answer for others too lets the next one try."""
    if request.lease:
        told = error if isinstance(error, MicropicError) else None
        await cache.fail(request.key, request.lease, told)
