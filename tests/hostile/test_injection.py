"""What a client or an origin says is quoted, refused or left out, and never read as more.

Everything here tries to begin a header field `X-Injected`, or to end a line of the log.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from micropic.domain.errors import MicropicError
from micropic.domain.headers import client_fields
from micropic.domain.model import SourceUrl
from micropic.domain.urls import DEFAULT, parse_path
from micropic.services import logs
from micropic.web import problems
from micropic.web.responses import _disposition
from tests.support.client import Answer, send
from tests.support.origin import Origin, Received, Reply
from tests.support.pictures import photo
from tests.support.service import Service
from tests.support.shape import running

CONTROLS = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
NASTY = "\r\nX-Injected: 1\r\n\r\n\0\x1b[2J\u202e\u2066\u2028\x85"


@pytest.fixture(scope="module", params=["embedded", "distributed"])
def service(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    yield from running(request, tmp_path_factory.mktemp("injection"), CACHE_NEGATIVE_AGE="0")


def get(service: Service, target: str, *fields: bytes) -> Answer:
    lines = [b"GET " + target.encode("ascii") + b" HTTP/1.1", b"Host: micropic", *fields]
    return send(service.port, b"\r\n".join([*lines, b"", b""]))


def assert_clean(service: Service, answer: Answer, origin: Origin) -> None:
    assert answer.status < 500 or answer.problem["code"] != "internal_error"
    assert answer.headers["X-Injected"] is None
    assert not CONTROLS.search("".join(map("".join, answer.headers.items())))
    if answer.status >= 400 and answer.headers["Content-Type"] == "application/problem+json":
        assert answer.body.isascii()
        assert not CONTROLS.search(answer.problem["detail"])
    for request in origin.requests:
        assert request.values("X-Injected") == []
        sent = [request.target, *map("".join, request.headers)]
        # The bytes of what is not ASCII are characters here: as UTF-8 again.
        assert not any(CONTROLS.search(each.encode("latin-1").decode()) for each in sent)
    written = (service.directory / "log").read_bytes()
    assert written.isascii()
    whole = written[: written.rfind(b"\n") + 1]  # the last one may be on its way
    assert all(isinstance(json.loads(line), dict) for line in whole.splitlines())


@pytest.mark.parametrize(
    "encoded", [quote(NASTY), quote(quote(NASTY)), "%0aX-Injected:%201", "%00"]
)
@pytest.mark.parametrize(
    "target",
    [
        "/fill/30/20/{origin}/a{}.jpg",
        "/fill/30/20/{origin}/{}",
        "/fill/30/20/{origin}/a?b={}",
        "/fill/30/20/{origin}/a%22;filename=x{}.jpg",
        "/fill/30/20/http%3A%2F%2F{origin}%2Fa{}",
        "/fill/30/20/http%3A%2F%2F{origin}%2Fa?{}",
        "/fill/30/20/{origin}{}/a",
        "/fill/30/20/{}{origin}/a",
        "/fill/30/20/{}://{origin}/a",
        "/fill/30/20/http%3A%2F%2Fa{}%2Fa",
        "/fill/30/20/sample:{}",
        "/fill/30{}/20/{origin}/a",
        "/fill/30/20/q={}/{origin}/a",
        "/fill/30/20/{}=1/{origin}/a",
        "/{}",
        "/?{}",
        "/fill{}/30/20/{origin}/a",
    ],
)
def test_nothing_in_an_address_is_read_as_more(
    service: Service, origin: Origin, target: str, encoded: str
) -> None:
    origin.fallback = Reply(photo())
    answer = get(service, target.format(encoded, origin=origin.authority))
    assert_clean(service, answer, origin)


@pytest.mark.parametrize(
    "name", ["X-A", "User-Agent", "X-Request-Id", "Accept", "Referer", "CDN-Loop"]
)
@pytest.mark.parametrize(
    "value",
    [b"a\rX-Injected: 1", b"a\0b", b"a\x1b[2J", b"a\x7f", "a\u202eb".encode(), "\u2066".encode(),
     "a\u2028b".encode(), "a\x85b".encode(), b"a\xff", b"a\r\n X-Injected: 1", b"a\x0bb"],
)  # fmt: skip
def test_nothing_in_a_header_field_is_read_as_more(
    service: Service, origin: Origin, name: str, value: bytes
) -> None:
    origin.fallback = Reply(photo())
    answer = get(service, f"/fill/30/20/{origin.authority}/a", name.encode() + b": " + value)
    assert answer.status in {200, 400}
    assert_clean(service, answer, origin)


@pytest.mark.parametrize("value", ["a\u202eb", "a\x85b", "a\x0bb", "a\x1b[2J", 'a"; x=y', "\xff"])
@pytest.mark.parametrize(
    ("status", "name"),
    [(200, "ETag"), (200, "Last-Modified"), (200, "Vary"), (200, "Cache-Control"),
     (200, "Content-Type"), (200, "Content-Disposition"), (302, "Location"),
     (401, "WWW-Authenticate"), (429, "Retry-After")],
)  # fmt: skip
def test_nothing_that_an_origin_says_is_read_as_more(
    service: Service, origin: Origin, status: int, name: str, value: str
) -> None:
    said = value.encode().decode("latin-1")
    if name == "Location":
        said = f"/b{said}"
        answer = Reply(status=302, headers={"Location": said})
    else:
        answer = Reply(photo(), status, {name: said})

    def at(request: Received) -> Reply:
        return answer if request.target == "/a" else Reply(photo())

    origin.fallback = at
    for _ in range(2):  # made, then kept
        assert_clean(service, get(service, f"/fill/30/20/{origin.authority}/a"), origin)


_bytes = st.binary(max_size=60) | st.text(
    st.sampled_from([*NASTY, "a", "/", ":", "%", "0", "d", "?"]), max_size=60
).map(str.encode)


@given(st.lists(st.tuples(st.sampled_from([b"X-A", b"user-agent"]) | _bytes, _bytes), max_size=5))
def test_no_field_that_goes_to_an_origin_holds_what_ends_it(
    fields: list[tuple[bytes, bytes]],
) -> None:
    if any(b"micropic" in value for _, value in fields):
        return
    for name, value in client_fields(fields).headers:
        assert re.fullmatch(r"[!#$%&'*+.^_`|~0-9a-z-]+", name)
        assert not CONTROLS.search(value)


def read(path: bytes, query: bytes) -> SourceUrl | MicropicError:
    try:
        return parse_path(b"/fill/30/20/" + path, query, DEFAULT).source
    except MicropicError as error:
        return error


@given(_bytes, _bytes)
def test_neither_target_nor_detail_nor_file_name_holds_what_ends_it(
    path: bytes, query: bytes
) -> None:
    found = read(path, query)
    if isinstance(found, MicropicError):
        assert re.fullmatch(r"[ -~]+", found.detail)
        assert problems.from_error(found, "id").body.isascii()
        return
    assert re.fullmatch(r"[!-~]+", str(found))
    name = _disposition(found.target, "image/jpeg").decode()
    assert re.fullmatch(r'inline; filename="[A-Za-z0-9._-]+"', name)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_line_of_the_log_is_one_line_in_ascii(text: str) -> None:
    line = logs._Renderer(mask_queries=True)(None, "info", {"event": "e", "text": text})
    assert line.isascii()
    assert len(line.splitlines()) == 1
    assert json.loads(line)["text"] == text
