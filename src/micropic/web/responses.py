"""Previews as HTTP answers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote

from micropic.domain.freshness import is_storable, parse_cache_control, remaining, varies_by
from micropic.domain.headers import CREDENTIALS
from micropic.domain.model import (
    CacheResult,
    Format,
    Preview,
    PreviewRequest,
    SourceFacts,
    StoredBody,
)
from micropic.web import conditions
from micropic.web.conditions import Conditions, NotSatisfiableError

Fields = list[tuple[bytes, bytes]]
NO_STORE = (b"cache-control", b"no-store")

_EXTENSIONS = {known.media_type: known.value for known in Format} | {"image/jpeg": "jpg"}
_FIELD_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+")
_LONGEST_NAME = 512
"""Characters of a source's file name that are looked at."""
_LONGEST_VARY = 1024
"""Characters: a reverse proxy reads 4 KiB of a header, and answers a longer one with a 502."""
_UNSAFE_IN_NAME = re.compile(r"[^A-Za-z0-9._-]+")
_CACHE_STATUS = {
    CacheResult.HIT: b"micropic; hit",
    CacheResult.MISS: b"micropic; fwd=miss",
    CacheResult.STALE: b"micropic; fwd=stale",
    CacheResult.BYPASS: b"micropic; fwd=bypass",
}


class StoredPart(NamedTuple):
    """A range of a body that is still in the cache, by the offsets of its first and last bytes."""

    body: StoredBody
    first: int
    last: int


class Response(NamedTuple):
    """A whole answer; its length and the request id are added when it is sent."""

    status: int
    headers: Fields
    body: bytes
    stored: StoredPart | None = None
    """Where its body is, if that is still in the cache; `body` is empty then."""

    @property
    def length(self) -> int:
        """Length of the body in bytes, wherever it is."""
        return self.stored.last + 1 - self.stored.first if self.stored else len(self.body)


@dataclass(frozen=True, slots=True)
class Sharing:
    """What pages of other origins may do with previews; an empty value sends no field."""

    allow_origin: str = ""
    """Access-Control-Allow-Origin (Fetch standard)."""
    resource_policy: str = "cross-origin"
    """Cross-Origin-Resource-Policy (Fetch standard)."""

    def fields(self) -> Fields:
        """Give the fields that say so."""
        named = {
            b"access-control-allow-origin": self.allow_origin,
            b"cross-origin-resource-policy": self.resource_policy,
        }
        return [(name, value.encode()) for name, value in named.items() if value]


def from_preview(
    preview: Preview, request: PreviewRequest, now: float, asked: Conditions | None = None
) -> Response:
    """Turn a preview into an answer; `now` in seconds of the Unix epoch."""
    fields = _fields(preview, request, now)
    if not asked:
        return _whole(preview, fields)
    return _conditional(preview, fields, asked)


def _conditional(preview: Preview, fields: Fields, asked: Conditions) -> Response:
    modified, length = preview.source.last_modified, preview.length
    if conditions.not_modified(asked, preview.etag, modified):
        return Response(304, _bodiless(fields), b"")
    try:
        part = conditions.byte_range(asked, preview.etag, modified, length)
    except NotSatisfiableError:
        where = (b"content-range", b"bytes */%d" % length)
        return Response(416, [*_uncacheable(_bodiless(fields)), where], b"")
    if part is None:
        return _whole(preview, fields)
    fields = [*fields, (b"content-range", b"bytes %d-%d/%d" % (*part, length))]
    if preview.stored:
        return Response(206, fields, b"", StoredPart(preview.stored, *part))
    return Response(206, fields, preview.body[part.first : part.last + 1])


def _whole(preview: Preview, fields: Fields) -> Response:
    stored = StoredPart(preview.stored, 0, preview.length - 1) if preview.stored else None
    return Response(200, fields, preview.body, stored)


def _bodiless(fields: Fields) -> Fields:
    """Leave out what describes a body (RFC 9110, 15.4.5)."""
    return [pair for pair in fields if not pair[0].startswith(b"content-")]


def _uncacheable(fields: Fields) -> Fields:
    """Keep a response out of caches in front: only this client's Range brought it about."""
    return [*(pair for pair in fields if pair[0] != b"cache-control"), NO_STORE]


def _fields(preview: Preview, request: PreviewRequest, now: float) -> Fields:
    left, media_type = remaining(preview, now), preview.media_type
    vary, keyed_by = _vary(preview, negotiated=media_type in request.negotiated), request.keyed_by
    fields = [
        *_lasting(
            media_type,
            request.source.target,
            preview.etag,
            preview.source.last_modified,
            "" if keyed_by else vary,
        ),
        (b"cache-control", _cache_control(preview, request)),
        (b"cache-status", _cache_status(preview, left)),
    ]
    if keyed_by:  # not among what is remembered: a client may name any number of fields
        names = ", ".join([vary, *keyed_by] if vary else keyed_by)
        fields.append((b"vary", names.encode() if len(names) <= _LONGEST_VARY else b"*"))
    if length := preview.source.length:
        fields.append((b"x-origin-content-length", b"%d" % length))
    age, provenance = int(max(0, now - preview.stored_at)), preview.provenance
    if age or provenance.cache is CacheResult.HIT:
        fields.append((b"age", b"%d" % age))
    if provenance.cache is CacheResult.HIT or provenance.detail:
        fields.append((b"test-previewlocation", b"cache"))
    else:
        fields.append((b"test-previewlocation", b"previewer"))
        fields.append((b"server-timing", _server_timing(preview)))
    return fields


@lru_cache(maxsize=2048)
def _lasting(
    media_type: str, target: str, etag: str, last_modified: str | None, vary: str
) -> Fields:
    """Give the fields that are the same whenever a preview is asked for."""
    fields = [
        (b"content-type", media_type.encode()),
        (b"content-disposition", _disposition(target, media_type)),
        (b"x-content-type-options", b"nosniff"),
        (b"accept-ranges", b"bytes"),
    ]
    if etag:
        fields.append((b"etag", etag.encode()))
    if last_modified and conditions.http_date(last_modified):
        fields.append((b"last-modified", last_modified.encode("latin-1")))
    if vary:
        fields.append((b"vary", vary.encode("latin-1")))
    return fields


def _vary(preview: Preview, *, negotiated: bool) -> str:
    """Name what the answer was chosen by, here and at the origin (RFC 9110, 12.5.5)."""
    names = varies_by(preview.source.vary) if preview.variant else []
    seen = [name for name in names if name not in CREDENTIALS and _FIELD_NAME.fullmatch(name)]
    return ", ".join(["Accept", *seen] if negotiated else seen)


def _cache_control(preview: Preview, request: PreviewRequest) -> bytes:
    if request.private:
        return b"private, no-store"
    source, keyed = preview.source, bool(request.keyed_by)
    return _for_all(source.cache_control, source.vary, preview.lifetime, keyed)


@lru_cache(maxsize=2048)
def _for_all(said: str | None, vary: str | None, lifetime: float, keyed: bool) -> bytes:  # noqa: FBT001 # what it is remembered by
    """Tell what a cache may do; what is left is told by this and Age together (RFC 9111, 4.2)."""
    if not is_storable(SourceFacts(cache_control=said, vary=vary)):
        return b"no-store"
    if not lifetime:
        return b"private, no-cache" if keyed else b"no-cache"
    scope = b"private" if keyed else b"public"  # a cache in front knows nothing of our key
    strict = b", must-revalidate" if "must-revalidate" in parse_cache_control(said) else b""
    return b"%s, max-age=%d%s" % (scope, lifetime, strict)


def _cache_status(preview: Preview, left: float) -> bytes:
    """Say what the cache did (RFC 9211)."""
    provenance = preview.provenance
    status = _CACHE_STATUS[provenance.cache]
    if provenance.cache is CacheResult.HIT:
        status += b"; ttl=%d" % left
    elif provenance.collapsed:  # 2.6: it speaks of what was forwarded
        status += b"; collapsed"
    return status + f"; detail={provenance.detail}".encode() if provenance.detail else status


def _server_timing(preview: Preview) -> bytes:
    """Tell how long each step took, in milliseconds (W3C Server Timing)."""
    provenance = preview.provenance
    return b"queue;dur=%.1f, fetch;dur=%.1f, render;dur=%.1f" % (
        1000 * provenance.queue, 1000 * provenance.fetch, 1000 * provenance.render,
    )  # fmt: skip


def _disposition(target: str, media_type: str) -> bytes:
    """Name the file after the source (RFC 6266), in letters that are safe anywhere."""
    last = unquote(target.partition("?")[0].rpartition("/")[2][:_LONGEST_NAME])
    stem = _UNSAFE_IN_NAME.sub("-", last.rpartition(".")[0] or last).strip("-.")[:100]
    name = f"{stem or 'preview'}.{_EXTENSIONS[media_type]}"
    return f'inline; filename="{name}"'.encode()
