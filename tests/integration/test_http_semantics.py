"""What an HTTP expert would try, over real HTTP; by the sections of the RFCs."""

from __future__ import annotations

import pytest

from tests.support.origin import Origin, Reply
from tests.support.pictures import photo
from tests.support.service import Service, StartService

DATE = "Tue, 24 Nov 2026 10:00:00 GMT"


@pytest.fixture
def path(origin: Origin) -> str:
    reply = Reply(photo(), headers={"Last-Modified": DATE, "Cache-Control": "max-age=100"})
    return f"/fill/60/40/{origin.on('/a.jpg', reply)}"


def test_a_preview_has_validators_and_equal_bytes_have_equal_tags(
    service: Service, path: str
) -> None:
    """RFC 9110, 8.8: on a hit as on a miss, and for another address of the same picture."""
    miss, hit = service.get(path), service.get(path)
    assert miss.headers["ETag"].startswith('"')
    assert hit.headers["ETag"] == miss.headers["ETag"]
    assert service.get(path + "?x").headers["ETag"] == miss.headers["ETag"]
    other = service.get(path.replace("/60/40/", "/60/40/q=20/"))
    assert other.headers["ETag"] != miss.headers["ETag"]
    assert hit.headers["Last-Modified"] == DATE


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_the_client_has_is_a_304_without_a_body(
    service: Service, path: str, method: str
) -> None:
    """RFC 9110, 15.4.5: with what a cache needs to refresh its copy."""
    whole = service.get(path)
    for condition in ({"If-None-Match": whole.headers["ETag"]}, {"If-Modified-Since": DATE}):
        answer = service.get(path, condition, method)
        assert (answer.status, answer.body) == (304, b"")
        assert answer.headers["ETag"] == whole.headers["ETag"]
        names = {name.lower() for name in answer.headers}
        assert {"cache-control", "age", "last-modified"} <= names
        assert not {"content-type", "content-length"} & names


def test_another_tag_is_answered_whole(service: Service, path: str) -> None:
    whole = service.get(path)
    assert service.get(path, {"If-None-Match": '"x"'}).body == whole.body


def test_head_is_get_without_the_body(service: Service, path: str) -> None:
    """RFC 9110, 9.3.2; it fills the cache as a GET does."""
    head = service.get(path, method="HEAD")
    body = service.get(path)
    assert (head.status, head.body, body.cache_status) == (200, b"", "micropic; hit")
    again = service.get(path, method="HEAD")
    for name in {name.lower() for name in body.headers} - {
        "x-request-id", "date", "age", "cache-status",
    }:  # fmt: skip
        assert again.headers[name] == body.headers[name]
    assert int(head.headers["Content-Length"]) == len(body.body)


def test_a_head_has_no_parts(service: Service, path: str) -> None:
    """RFC 9110, 14.2: a Range is for GET alone."""
    length = len(service.get(path).body)
    for value in ("bytes=10-19", "bytes=999999-"):
        head = service.get(path, {"Range": value}, "HEAD")
        assert (head.status, int(head.headers["Content-Length"])) == (200, length)


def test_a_part_can_be_asked_for(service: Service, path: str) -> None:
    """RFC 9110, 14 and 15.3.7."""
    whole = service.get(path)
    part = service.get(path, {"Range": "bytes=10-19"})
    assert (part.status, part.body) == (206, whole.body[10:20])
    assert part.headers["Content-Range"] == f"bytes 10-19/{len(whole.body)}"
    assert part.headers["Content-Length"] == "10"
    behind = service.get(path, {"Range": "bytes=999999-"})
    assert behind.status == 416
    assert behind.headers["Content-Range"] == f"bytes */{len(whole.body)}"
    changed = service.get(path, {"Range": "bytes=10-19", "If-Range": '"x"'})
    assert (changed.status, changed.body) == (200, whole.body)


def test_age_and_max_age_tell_what_is_left(service: Service, origin: Origin) -> None:
    """RFC 9111, 4.2: what the origin's own cache has used up is taken off."""
    headers = {"Cache-Control": "max-age=100", "Age": "40"}
    path = f"/fill/60/40/{origin.on('/aged.jpg', Reply(photo(), headers=headers))}"
    miss, hit = service.get(path), service.get(path)
    assert miss.headers["Cache-Control"] == hit.headers["Cache-Control"] == "public, max-age=60"
    assert "Age" not in miss.headers
    assert 0 <= int(hit.headers["Age"]) < 60
    ttl = int(hit.headers["Cache-Status"].removeprefix("micropic; hit; ttl="))
    assert abs(60 - ttl - int(hit.headers["Age"])) <= 1


def test_how_long_each_step_took_is_told_where_there_was_one(service: Service, path: str) -> None:
    timing = service.get(path).headers["Server-Timing"]
    assert [step.partition(";dur=")[0] for step in timing.split(", ")] == [
        "queue", "fetch", "render",
    ]  # fmt: skip
    assert "Server-Timing" not in service.get(path).headers


def test_only_if_cached_makes_nothing(service: Service, origin: Origin, path: str) -> None:
    """RFC 9111, 5.2.1.7."""
    asked = {"Cache-Control": "max-stale, only-if-cached"}
    missing = service.get(path, asked)
    assert (missing.status, missing.problem["code"]) == (504, "not_cached")
    assert origin.targets == []
    service.get(path)
    assert service.get(path, asked).cache_status == "micropic; hit"


def test_errors_are_kept_for_a_moment_and_private_ones_not_at_all(
    start_service: StartService, origin: Origin
) -> None:
    service = start_service(SOURCE_CREDENTIAL_HOSTS="*")
    missing = f"/fill/60/40/{origin.on('/missing', Reply(status=404))}"
    assert service.get(missing).headers["Cache-Control"] == "public, max-age=5"
    assert service.get(missing, {"Cookie": "a=b"}).headers["Cache-Control"] == "no-store"
    assert service.get("/fill/0/0/h").headers["Cache-Control"] == "public, max-age=5"


def test_other_origins_may_use_previews_as_the_operator_says(
    start_service: StartService, service: Service, path: str
) -> None:
    plain = service.get(path)
    assert plain.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert "Access-Control-Allow-Origin" not in plain.headers
    shared = start_service(PROXY_ALLOW_ORIGIN="*", PROXY_RESOURCE_POLICY="same-site").get(path)
    assert shared.headers["Access-Control-Allow-Origin"] == "*"
    assert shared.headers["Cross-Origin-Resource-Policy"] == "same-site"
