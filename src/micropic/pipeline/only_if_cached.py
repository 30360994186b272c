"""Answer with what is kept, or not at all."""

from __future__ import annotations

from micropic.domain.errors import NotCached
from micropic.domain.model import Preview, PreviewRequest
from micropic.ports import Previewer


class OnlyIfCached:
    """Stands behind the look-ups: lets through who would have a preview made."""

    def __init__(self, inner: Previewer) -> None:
        self._inner = inner

    async def preview(self, request: PreviewRequest) -> Preview:
        """Ask the next previewer.

        Raises:
            NotCached: the client wants what is kept alone (RFC 9111, section 5.2.1.7).

        """
        if request.only_if_cached:
            msg = "This preview is not in the cache, and nothing else was asked for."
            raise NotCached(msg)
        return await self._inner.preview(request)
