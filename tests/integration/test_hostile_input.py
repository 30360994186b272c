"""What strangers send to make the service do what it should not."""

from __future__ import annotations

import struct
import zlib

import pytest

from tests.support.client import ask
from tests.support.origin import Origin, Reply, redirect
from tests.support.pictures import photo
from tests.support.service import Service, StartService


def bitmap(width: int, height: int) -> bytes:
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + header


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (bitmap(20_000, 20_000), (413, "too_many_pixels")),
        (bitmap(-5, 5), (413, "too_many_pixels")),
        (bitmap(100, 100), (422, "broken_image")),
        (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(99), (415, "not_an_image")),
    ],
)
def test_a_header_that_lies_costs_no_process(
    start_service: StartService, origin: Origin, body: bytes, error: tuple[int, str]
) -> None:
    service = start_service()
    before = service.renderers()
    assert service.get(f"/fill/30/20/{origin.on('/a', Reply(body))}").error == error
    assert service.renderers() == before


@pytest.mark.parametrize("name", ["X-A", "X-Original-URL", "X_Forwarded_For", "Metadata_Flavor"])
def test_a_request_whose_header_has_no_end_is_refused(service: Service, name: str) -> None:
    answer = service.get("/fill/30/20/sample:cat.jpg", {name: "a" * 100_000})
    assert answer.error == (400, "bad_request")
    assert service.get("/fill/30/20/sample:cat.jpg", {name: "a" * 10_000}).status == 200


@pytest.mark.parametrize(
    "name", ["X-Original-URL", "X-Rewrite-URL", "X_Forwarded_For", "Metadata_Flavor", "X-Host"]
)
def test_no_field_speaks_for_the_proxy_or_changes_the_address(
    service: Service, origin: Origin, name: str
) -> None:
    source = origin.on("/a", Reply(photo()))
    assert service.get(f"/fill/30/20/{source}", {name: "x"}).status == 200
    assert origin.requests[0].values(name) == []


@pytest.mark.parametrize("field", [{"Cache-Control": "private, no-store"}, {"Vary": "User-Agent"}])
def test_what_a_redirect_says_of_caches_is_heeded(
    service: Service, origin: Origin, field: dict[str, str]
) -> None:
    origin.on("/b", Reply(photo()))
    moved = redirect("/b")
    source = origin.on("/a", Reply(status=moved.status, headers={**moved.headers, **field}))
    for _ in range(2):
        answer = service.get(f"/fill/30/20/{source}")
        assert answer.cache_status == "micropic; fwd=miss"
        assert answer.headers["Cache-Control"] == "no-store"


def test_bytes_after_the_end_of_a_compressed_body_count(service: Service, origin: Origin) -> None:
    body = zlib.compress(photo()) + bytes(2 * 1024**2)
    reply = Reply(body, headers={"Content-Encoding": "deflate"}, chunked=True)
    assert service.get(f"/fill/30/20/{origin.on('/a', reply)}").error == (413, "source_too_large")


def test_what_is_not_there_is_a_problem_on_both_ports(start_service: StartService) -> None:
    service = start_service()
    for port in (service.port, service.health_port):
        for path in ("/nope", "/healthz/"):
            assert ask(port, path).error == (404, "not_found")
