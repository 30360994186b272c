from __future__ import annotations

from dataclasses import replace

from micropic.domain.model import CacheResult, Preview, PreviewRequest
from micropic.domain.urls import DEFAULT, build_path, parse_path

TRANSFORM, SOURCE, *_ = parse_path(b"/fill/30/20/h/a", b"", DEFAULT)


def test_a_request_goes_past_the_caches_by_a_miss_or_by_what_is_stale() -> None:
    request = PreviewRequest(TRANSFORM, SOURCE, build_path(TRANSFORM, SOURCE))
    assert request.forwarded is CacheResult.MISS
    stale = Preview(b"", "image/jpeg", 0.0, 0.0)
    assert replace(request, stale=stale).forwarded is CacheResult.STALE
