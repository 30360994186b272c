"""Whether an answer is the preview that was asked for: compared with a fresh render."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Sequence

from micropic.domain.model import Transform
from micropic.domain.urls import Grammar, build_transform, parse_path
from micropic.imaging.slots import RenderSlots

_PATIENCE = 60.0
"""Seconds for one render, on a machine that is busy with the soak."""


class Truth:
    """Renders each source once for each transform, in a process apart from the services'."""

    def __init__(self, renderer: RenderSlots) -> None:
        self._renderer = renderer
        self._known: dict[tuple[bytes, str], bytes] = {}
        self._lock = asyncio.Lock()
        self.compared = 0

    async def has(self, path: str, body: bytes, sources: Sequence[bytes]) -> bool:
        """Tell whether `body` is the preview at `path` of one of the sources, to the byte."""
        self.compared += 1
        transform = parse_path(path.encode(), b"", Grammar()).transform
        return body in [await self._preview(source, transform) for source in sources]

    async def _preview(self, source: bytes, transform: Transform) -> bytes:
        key = hashlib.sha256(source).digest(), build_transform(transform)
        async with self._lock:
            if key not in self._known:
                deadline = time.monotonic() + _PATIENCE
                rendered = await self._renderer.render(source, transform, deadline)
                self._known[key] = rendered.body
        return self._known[key]
