"""What crosses the wire is on the other side what it was on this one."""

from __future__ import annotations

import math
import time

import pytest

from micropic.adapters.wire import messages
from micropic.domain import errors
from micropic.domain.errors import BadRequest, MicropicError
from micropic.domain.freshness import lifetime
from micropic.domain.model import FROM_CACHE, Preview, PreviewRequest, Provenance, SourceFacts
from micropic.domain.urls import DEFAULT, build_path, parse_path
from micropic.v1 import preview_pb2, request_pb2

KEY = "/fill/30/20/f=jpeg+png,g=smart,q=80/http://h/"
FACTS = SourceFacts('"é"', None, "max-age=60", "", "Tue", "7", None, "ab" * 32)


def over_the_wire(message: preview_pb2.Preview) -> preview_pb2.Preview:
    return preview_pb2.Preview.FromString(message.SerializeToString())


@pytest.mark.parametrize("facts", [FACTS, SourceFacts()])
def test_a_preview_comes_back_with_how_long_each_step_took(facts: SourceFacts) -> None:
    timing = Provenance(queue=0.25, fetch=0.5, render=2.0)
    preview = Preview(b"\xff\x00", "image/webp", 1234.5, lifetime(facts), facts, timing)
    back = messages.preview_from_message(over_the_wire(messages.preview_to_message(preview)))
    assert back == preview
    assert back.provenance == timing


def test_a_preview_from_a_cache_says_so() -> None:
    message = messages.preview_to_message(Preview(b"", "image/png", 1.0, 2.0, FACTS))
    assert messages.preview_from_message(message, FROM_CACHE).provenance is FROM_CACHE


@pytest.mark.parametrize("kind", errors.BY_CODE.values(), ids=lambda kind: kind.code)
def test_every_error_comes_back_equal(kind: type[MicropicError]) -> None:
    members = {"detail": "é", "status": 401, "headers": {"Retry-After": "7"}, "retry_after": 7}
    error = kind.from_members(members)
    wire = messages.problem_to_message(error).SerializeToString()
    back = messages.problem_from_message(preview_pb2.Problem.FromString(wire))
    assert type(back) is kind
    assert back.to_wire() == error.to_wire()


def test_an_error_that_is_not_known_here_keeps_its_detail() -> None:
    back = messages.problem_from_message(preview_pb2.Problem(code="of_tomorrow", detail="So."))
    assert (type(back), back.detail) == (MicropicError, "So.")


@pytest.mark.parametrize(
    "path",
    [
        b"/fill/300/200/h/x?y=1&z=%2F",
        b"/fit/9000/9000/f=webp+png,trim=3,bg=fff,rot=90,flip=h,blur=2/https://h:81//a//b",
        b"/fill/3/2/g=0.1:0.2,anim=gif/sample:cat.jpg",
    ],
)
def test_a_request_comes_back_with_the_time_that_is_left(path: bytes) -> None:
    grammar = type(DEFAULT)(type(DEFAULT.defaults)(max_side=16384))
    transform, source, *_ = parse_path(path, b"", grammar)
    request = PreviewRequest(
        transform,
        source,
        key=build_path(transform, source),
        headers=(("a", "é"), ("a", "c")),
        lease="token",
        deadline=time.monotonic() + 5,
        client="opaque",
    )
    wire = messages.request_to_message(request).SerializeToString()
    back = messages.request_from_message(request_pb2.PreviewRequest.FromString(wire))
    assert (back.transform, back.source, back.key) == (transform, source, request.key)
    assert (back.headers, back.private, back.lease) == (request.headers, False, "token")
    assert back.client == "opaque"
    assert request.deadline - 1 < back.deadline <= request.deadline + 1


def test_the_time_that_a_request_waits_on_its_way_is_off_what_is_left() -> None:
    key = "/fill/3/2/f=jpeg,g=smart,q=80/http://h/x"
    message = request_pb2.PreviewRequest(key=key, time_left=10, sent_at=time.time() - 7)
    left = messages.request_from_message(message).deadline - time.monotonic()
    assert 2 < left <= 3


def test_a_clock_that_is_behind_gives_nobody_more_time() -> None:
    key = "/fill/3/2/f=jpeg,g=smart,q=80/http://h/x"
    message = request_pb2.PreviewRequest(key=key, time_left=10, sent_at=time.time() + 60)
    assert messages.request_from_message(message).deadline <= time.monotonic() + 10


def test_an_outcome_comes_back_as_the_preview_or_the_error_that_it_was() -> None:
    preview = Preview(b"x", "image/png", 1.0, lifetime(FACTS), FACTS)
    assert messages.outcome_from_bytes(messages.outcome_to_bytes(preview)) == preview
    with pytest.raises(BadRequest, match="So"):
        messages.outcome_from_bytes(messages.outcome_to_bytes(BadRequest("So.")))


def test_credentials_make_a_request_private_whatever_the_message_says() -> None:
    header = request_pb2.Header(name="cookie", value="a=b")
    key = "/fill/3/2/f=jpeg,g=smart,q=80/http://h/x"
    message = request_pb2.PreviewRequest(key=key, headers=[header], time_left=1)
    assert messages.request_from_message(message).private


@pytest.mark.parametrize(
    "key", ["", "x", "/fill/3/2/http://h/", "/fill/a/2/q=80/h", "/crop/1/1/q=1/h"]
)
def test_what_is_no_request_is_refused(key: str) -> None:
    with pytest.raises(BadRequest):
        messages.request_from_message(request_pb2.PreviewRequest(key=key, time_left=1))


def test_a_problem_brings_no_header_but_those_of_a_refusal() -> None:
    """What a worker or the shared cache says is not all believed, either."""
    fields = {
        "Set-Cookie": "a=b", "Content-Type": "text/html", "WWW-Authenticate": "Basic\r\nX: y",
        "Retry-After": "5", "www-authenticate": "Basic", "Vary": "dnt",
    }  # fmt: skip
    refusal = preview_pb2.Problem(
        code="origin_refused", detail="No\r\n\x1b[2J\x85" + 2000 * "x", status=404, headers=fields
    )
    back = messages.problem_from_message(refusal)
    assert isinstance(back, errors.OriginRefused)
    assert back.headers == {"Retry-After": "5", "www-authenticate": "Basic", "Vary": "dnt"}
    assert back.detail.startswith("No [2J xxx")
    assert len(back.detail) == 1000
    busy = messages.problem_from_message(
        preview_pb2.Problem(code="overloaded", retry_after=2**32 - 1, status=200, headers=fields)
    )
    assert busy.to_wire() == {"code": "overloaded", "detail": "", "retry_after": 3600}


def test_a_preview_is_of_a_kind_that_is_made_or_of_none() -> None:
    """Neither a script nor a header field comes by way of what a worker or the cache says."""
    timing = preview_pb2.Timing(detail="unchanged\r\nSet-Cookie: a=b")
    said = preview_pb2.Preview(body=b"<script>", media_type="text/html", timing=timing)
    made = messages.preview_from_message(said)
    assert (made.media_type, made.provenance.detail) == ("application/octet-stream", "")


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_time_that_is_no_number_is_over(number: float) -> None:
    asked = request_pb2.PreviewRequest(key=KEY, time_left=number)
    assert messages.request_from_message(asked).deadline <= time.monotonic()
    late = request_pb2.PreviewRequest(key=KEY, time_left=5, sent_at=number)
    assert messages.on_its_way(late) == 0
    timing = preview_pb2.Timing(queue=number, fetch=number, render=number)
    kept = preview_pb2.Preview(stored_at=number, lifetime=number, etag='"a\r\nb"', timing=timing)
    made = messages.preview_from_message(kept)
    assert (made.stored_at, made.lifetime, made.etag) == (0, 0, "")
    assert made.provenance == Provenance()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        request_pb2.PreviewReply(preview=preview_pb2.Preview(body=b"x")).SerializeToString(),
        request_pb2.PreviewReply(
            problem=preview_pb2.Problem(code="origin_refused")
        ).SerializeToString(),
        request_pb2.PreviewReply(
            problem=preview_pb2.Problem(code="origin_refused", status=200)
        ).SerializeToString(),
    ],
)
def test_a_reply_that_is_none_is_an_error_of_ours(data: bytes) -> None:
    with pytest.raises(MicropicError) as caught:
        messages.outcome_from_bytes(data)
    assert type(caught.value) is MicropicError


def test_a_forged_request_brings_no_field_names_and_waits_beyond_the_bounds() -> None:
    fields = [
        ("x-a", "b"), ("cdn-loop", "micropic"), ("user-agent", "\t\u00e9"),
        ("host", "evil"), ("transfer-encoding", "chunked"), ("content-length", "5"),
        ("content_length", "5"), ("x-forwarded-for", "127.0.0.1"), ("X-B", "b"), ("x c", "d"),
        ("x-d", "e\r\nhost: evil"), ("", "f"), ("metadata-flavor", "Google"),
    ]  # fmt: skip
    forged = request_pb2.PreviewRequest(
        key=KEY, time_left=5, sent_at=-1e308, request_id="a" * 10**6, client="b" * 10**6,
        headers=[request_pb2.Header(name=name, value=value) for name, value in fields],
    )  # fmt: skip
    request = messages.request_from_message(forged)
    assert request.headers == tuple(fields[:3])
    assert (len(request.request_id), len(request.client)) == (128, 128)
    assert messages.on_its_way(forged) == 3600
