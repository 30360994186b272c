from __future__ import annotations

import time

import pytest

from micropic.domain.errors import (
    BrokenImage,
    MicropicError,
    OriginFailed,
    Quarantined,
    RenderCrashed,
    RenderTimeout,
)
from micropic.domain.freshness import Policy
from micropic.domain.model import Preview, PreviewRequest
from micropic.pipeline.stale import StaleIfError
from tests.support.preview_requests import preview_request


class Failing:
    """Fails, and counts how often it was asked."""

    def __init__(self, error: MicropicError) -> None:
        self.error = error
        self.calls = 0

    async def preview(self, _: PreviewRequest) -> Preview:
        self.calls += 1
        raise self.error


def stale(path: str = "/fill/30/20/h/x") -> PreviewRequest:
    kept = Preview(b"old", "image/jpeg", time.time() - 2, 1.0)
    request = preview_request(path)
    return PreviewRequest(request.transform, request.source, request.key, stale=kept)


@pytest.mark.parametrize("error", [RenderCrashed("No."), RenderTimeout("No."), Quarantined("No.")])
async def test_a_failed_render_leaves_the_stale_preview(error: MicropicError) -> None:
    inner = Failing(error)
    previewer = StaleIfError(Policy(), 10, inner)
    for _ in range(2):
        preview = await previewer.preview(stale())
        assert (preview.body, preview.provenance.detail) == (b"old", "stale-if-error")
    assert inner.calls == 1


@pytest.mark.parametrize(("error", "calls"), [(RenderCrashed("No."), 2), (OriginFailed("No."), 1)])
async def test_a_failed_render_keeps_no_other_preview_of_the_source_stale(
    error: MicropicError, calls: int
) -> None:
    inner = Failing(error)
    previewer = StaleIfError(Policy(), 10, inner)
    await previewer.preview(stale("/fill/4000/4000/h/x"))
    await previewer.preview(stale())
    assert inner.calls == calls


async def test_a_broken_image_takes_the_place_of_the_stale_preview() -> None:
    with pytest.raises(BrokenImage):
        await StaleIfError(Policy(), 10, Failing(BrokenImage("No."))).preview(stale())
