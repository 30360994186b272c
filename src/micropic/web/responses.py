"""Previews as HTTP answers."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote

from micropic.domain.freshness import remaining
from micropic.domain.model import CacheResult, Format, Preview, PreviewRequest

Fields = list[tuple[bytes, bytes]]

_EXTENSIONS = {known.media_type: known.value for known in Format} | {"image/jpeg": "jpg"}
_UNSAFE_IN_NAME = re.compile(r"[^A-Za-z0-9._-]+")
_CACHE_STATUS = {
    CacheResult.HIT: b"micropic; hit",
    CacheResult.MISS: b"micropic; fwd=miss",
    CacheResult.BYPASS: b"micropic; fwd=bypass",
}


class Response(NamedTuple):
    """A whole answer; its length and the request id are added when it is sent."""

    status: int
    headers: Fields
    body: bytes


def from_preview(preview: Preview, request: PreviewRequest, now: float) -> Response:
    """Turn a preview into an answer; `now` in seconds of the Unix epoch."""
    provenance = preview.provenance
    cache_status = _CACHE_STATUS[provenance.cache]
    hit = provenance.cache is CacheResult.HIT
    if provenance.collapsed and not hit:  # RFC 9211, 2.6: it speaks of what was forwarded
        cache_status += b"; collapsed"
    fields = [
        (b"content-type", preview.media_type.encode()),
        (b"content-disposition", _disposition(request.source.target, preview.media_type)),
        (b"cache-control", _cache_control(preview, request, now)),
        (b"cache-status", cache_status),
        (b"test-previewlocation", b"cache" if hit else b"previewer"),
        (b"x-content-type-options", b"nosniff"),
    ]
    if preview.media_type in request.negotiated:
        fields.append((b"vary", b"Accept"))
    return Response(200, fields, preview.body)


def _cache_control(preview: Preview, request: PreviewRequest, now: float) -> bytes:
    if request.private:
        return b"private, no-store"
    seconds = int(remaining(preview, now))
    return b"public, max-age=%d" % seconds if seconds > 0 else b"no-store"


@lru_cache(maxsize=512)
def _disposition(target: str, media_type: str) -> bytes:
    """Name the file after the source (RFC 6266), in letters that are safe anywhere."""
    last = unquote(target.partition("?")[0].rpartition("/")[2])
    stem = _UNSAFE_IN_NAME.sub("-", last.rpartition(".")[0] or last).strip("-.")[:100]
    name = f"{stem or 'preview'}.{_EXTENSIONS[media_type]}"
    return f'inline; filename="{name}"'.encode()
