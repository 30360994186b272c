from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from micropic.domain.model import (
    Anchor,
    CacheResult,
    Mode,
    Preview,
    PreviewRequest,
    Provenance,
    Scheme,
    Size,
    SourceUrl,
    Transform,
    strong_etag,
)
from micropic.web.responses import from_preview

TRANSFORM = Transform(Mode.FILL, Size(3, 2), Anchor.SMART, 80)


def _answer(  # noqa: PLR0913 # each one varied by a test
    *,
    target: str = "/owl.jpg",
    lifetime: float = 60.0,
    provenance: Provenance | None = None,
    private: bool = False,
    now: float = 1000.0,
    media_type: str = "image/jpeg",
    negotiated: frozenset[str] = frozenset(),
    keyed_by: tuple[str, ...] = (),
) -> dict[str, str]:
    source = SourceUrl(Scheme.HTTP, "h", None, target)
    request = PreviewRequest(
        TRANSFORM, source, "key", negotiated, private=private, keyed_by=keyed_by
    )
    preview = Preview(b"body", media_type, 1000.0, lifetime, provenance=provenance or Provenance())
    response = from_preview(preview, request, now)
    assert (response.status, response.body) == (200, b"body")
    return {name.decode(): value.decode("ascii") for name, value in response.headers}


def test_a_preview_has_its_media_type_and_is_not_sniffed() -> None:
    headers = _answer()
    assert headers["content-type"] == "image/jpeg"
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("media_type", "name"),
    [
        ("image/jpeg", "owl.jpg"),
        ("image/png", "owl.png"),
        ("image/webp", "owl.webp"),
        ("image/avif", "owl.avif"),
        ("image/gif", "owl.gif"),
    ],
)
def test_the_file_name_ends_as_the_media_type_asks(media_type: str, name: str) -> None:
    headers = _answer(target="/owl.tiff", media_type=media_type)
    assert headers["content-disposition"] == f'inline; filename="{name}"'


def test_what_another_accept_would_change_varies_by_it() -> None:
    negotiated = frozenset({"image/png", "image/webp"})
    assert _answer(media_type="image/webp", negotiated=negotiated)["vary"] == "Accept"
    assert "vary" not in _answer(negotiated=negotiated)


@pytest.mark.parametrize(
    ("cache", "collapsed", "status", "location"),
    [
        (CacheResult.HIT, False, "micropic; hit; ttl=60", "cache"),
        (CacheResult.MISS, False, "micropic; fwd=miss", "previewer"),
        (CacheResult.MISS, True, "micropic; fwd=miss; collapsed", "previewer"),
        (CacheResult.BYPASS, False, "micropic; fwd=bypass", "previewer"),
    ],
)
def test_the_cache_tells_what_it_did(
    cache: CacheResult, status: str, location: str, *, collapsed: bool
) -> None:
    headers = _answer(provenance=Provenance(cache, collapsed))
    assert (headers["cache-status"], headers["test-previewlocation"]) == (status, location)


@pytest.mark.parametrize(
    ("lifetime", "private", "now", "expected"),
    [
        (60.0, False, 1000.0, "public, max-age=60"),
        (60.0, False, 1010.5, "public, max-age=60"),
        (60.0, False, 1059.5, "public, max-age=60"),
        (60.0, False, 1100.0, "public, max-age=60"),
        (60.0, False, 900.0, "public, max-age=60"),
        (0.0, False, 1000.0, "no-cache"),
        (60.0, True, 1000.0, "private, no-store"),
    ],
)
def test_a_client_may_keep_it_as_long_as_it_is_fresh(
    lifetime: float, now: float, expected: str, *, private: bool
) -> None:
    headers = _answer(lifetime=lifetime, private=private, now=now)
    assert headers["cache-control"] == expected


@pytest.mark.parametrize(
    ("lifetime", "private", "expected"),
    [
        (60.0, False, "private, max-age=60"),
        (0.0, False, "private, no-cache"),
        (60.0, True, "private, no-store"),
    ],
)
def test_what_is_keyed_by_header_fields_is_for_no_cache_in_front(
    lifetime: float, expected: str, *, private: bool
) -> None:
    headers = _answer(lifetime=lifetime, private=private, keyed_by=("x-a", "x-b"))
    assert (headers["cache-control"], headers["vary"]) == (expected, "x-a, x-b")
    assert "vary" not in _answer()  # though all else is remembered of the one before
    negotiated = _answer(negotiated=frozenset({"image/jpeg"}), keyed_by=("x-a",))
    assert negotiated["vary"] == "Accept, x-a"


def test_a_range_that_is_not_there_is_for_no_cache() -> None:
    source = SourceUrl(Scheme.HTTP, "h", None, "/x")
    preview = Preview(b"body", "image/jpeg", 1000.0, 60.0)
    request = PreviewRequest(TRANSFORM, source, "key")
    response = from_preview(preview, request, 1000.0, {b"range": b"bytes=4-"})
    said = [value for name, value in response.headers if name == b"cache-control"]
    assert (response.status, said) == (416, [b"no-store"])


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("/photos/owl.jpg", "owl.jpg"),
        ("/photos/owl.tar.png?v=1/2.gif", "owl.tar.jpg"),
        ("/owl", "owl.jpg"),
        ("owl.jpg", "owl.jpg"),
        ("/", "preview.jpg"),
        ("/?a", "preview.jpg"),
        ("/.jpg", "jpg.jpg"),
        ("/---.png", "preview.jpg"),
        ("/a%20%22b%22%0D%0A.png", "a-b.jpg"),
        ("/%E6%A2%9F.png", "preview.jpg"),
        ("/..%2F..%2Fetc%2Fpasswd.d", "etc-passwd.jpg"),
        ("/" + "x" * 500 + ".png", "x" * 100 + ".jpg"),
    ],
)
def test_the_file_is_named_after_the_source(target: str, name: str) -> None:
    assert _answer(target=target)["content-disposition"] == f'inline; filename="{name}"'


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=50))
def test_no_target_gets_out_of_the_quotes(target: str) -> None:
    disposition = _answer(target="/" + target)["content-disposition"]
    assert re.fullmatch(r'inline; filename="[A-Za-z0-9_][A-Za-z0-9._-]*\.jpg"', disposition)


def test_equal_bytes_have_equal_tags_and_others_have_others() -> None:
    assert strong_etag(b"owl") == strong_etag(b"owl") != strong_etag(b"cat")
    assert re.fullmatch(r'"[0-9a-f]{32}"', strong_etag(b""))
