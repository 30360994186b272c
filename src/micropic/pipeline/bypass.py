"""Keep what is meant for one client apart from what is shared."""

from __future__ import annotations

from dataclasses import replace

from micropic.domain.model import CacheResult, Preview, PreviewRequest
from micropic.ports import Previewer


class PrivateBypass:
    """Sends private requests past everything that shares: they are neither joined nor stored."""

    def __init__(self, shared: Previewer, private: Previewer) -> None:
        self._shared = shared
        self._private = private

    async def preview(self, request: PreviewRequest) -> Preview:
        """Ask the previewer that suits the request."""
        if not request.private:
            return await self._shared.preview(request)
        preview = await self._private.preview(request)
        return replace(preview, provenance=replace(preview.provenance, cache=CacheResult.BYPASS))
