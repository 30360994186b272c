"""Bound the work in flight."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from micropic.domain.errors import Overloaded
from micropic.domain.model import Preview, PreviewRequest
from micropic.ports import Previewer


class Gate:
    """Lets at most `limit` pass at a time."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.inside = 0
        """How many are, at this moment."""

    @contextmanager
    def passed(self) -> Iterator[None]:
        """Be inside.

        Raises:
            Overloaded: `limit` are inside already.

        """
        if self.inside >= self.limit:
            msg = f"{self.limit} previews are being made already; try again in a moment."
            raise Overloaded(msg)
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1


class Admission:
    """Lets requests through a gate, which others may share; one too many is refused at once."""

    def __init__(self, gate: Gate, inner: Previewer) -> None:
        self._gate = gate
        self._inner = inner

    async def preview(self, request: PreviewRequest) -> Preview:
        """Ask the next previewer, if there is room.

        Raises:
            Overloaded: there is none.

        """
        with self._gate.passed():
            return await self._inner.preview(request)
