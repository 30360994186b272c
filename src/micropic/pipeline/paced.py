"""Work no faster than is wished."""

from __future__ import annotations

import asyncio
import time

from micropic.domain.errors import too_late
from micropic.domain.model import Preview, PreviewRequest
from micropic.ports import Previewer


class Paced:
    """Lets `rate` requests a second through, each in its turn."""

    def __init__(self, rate: float, inner: Previewer) -> None:
        self._interval = 1 / rate
        self._inner = inner
        self._next = 0.0

    async def preview(self, request: PreviewRequest) -> Preview:
        """Ask the next previewer when it is this request's turn.

        Raises:
            DeadlineExceeded: that would be too late.

        """
        turn = max(time.monotonic(), self._next)
        if turn >= request.deadline:
            raise too_late()
        self._next = turn + self._interval
        await asyncio.sleep(turn - time.monotonic())
        return await self._inner.preview(request)
