from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest

from micropic.domain.errors import DeadlineExceeded
from micropic.domain.model import Preview, PreviewRequest
from micropic.domain.urls import DEFAULT, build_path, parse_path
from micropic.pipeline.paced import Paced

TRANSFORM, SOURCE, *_ = parse_path(b"/fill/30/20/h/a", b"", DEFAULT)
REQUEST = PreviewRequest(TRANSFORM, SOURCE, build_path(TRANSFORM, SOURCE))


class Noting:
    """Notes when it was asked."""

    def __init__(self) -> None:
        self.times: list[float] = []

    async def preview(self, _: PreviewRequest) -> Preview:
        self.times.append(time.monotonic())
        return Preview(b"x", "image/jpeg", 0.0, 1.0)


async def test_requests_go_through_one_interval_apart() -> None:
    inner = Noting()
    paced = Paced(200.0, inner)
    started = time.monotonic()
    await asyncio.gather(*(paced.preview(REQUEST) for _ in range(5)))
    assert inner.times[-1] - started >= 4 / 200
    assert len(inner.times) == 5


async def test_whose_turn_comes_too_late_is_told_at_once_and_takes_nobodys_turn() -> None:
    inner = Noting()
    paced = Paced(0.5, inner)
    await paced.preview(REQUEST)
    for _ in range(3):
        with pytest.raises(DeadlineExceeded):
            await paced.preview(replace(REQUEST, deadline=time.monotonic() + 1))
    assert len(inner.times) == 1
