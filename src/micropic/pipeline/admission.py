"""Bound the work in flight."""

from __future__ import annotations

from micropic.domain.errors import Overloaded
from micropic.domain.model import Preview, PreviewRequest
from micropic.ports import Previewer


class Admission:
    """Lets at most `limit` requests through at a time; one more is refused at once."""

    def __init__(self, limit: int, inner: Previewer) -> None:
        self._limit = limit
        self._inner = inner
        self._in_flight = 0

    async def preview(self, request: PreviewRequest) -> Preview:
        """Ask the next previewer, if there is room.

        Raises:
            Overloaded: `limit` requests are in flight already.

        """
        if self._in_flight >= self._limit:
            msg = f"{self._limit} previews are being made already; try again in a moment."
            raise Overloaded(msg)
        self._in_flight += 1
        try:
            return await self._inner.preview(request)
        finally:
            self._in_flight -= 1
