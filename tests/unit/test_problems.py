from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from micropic.domain.errors import BY_CODE, MicropicError, OriginRefused, Overloaded, from_wire
from micropic.web import problems
from micropic.web.responses import Response
from tests.support.preview_requests import preview_request

# The table of the design, by the errors' codes.
_STATUS = {
    "internal_error": 500,
    "bad_request": 400,
    "source_forbidden": 403,
    "not_authorized": 403,
    "bad_signature": 403,
    "preview_forbidden": 403,
    "loop_detected": 508,
    "origin_failed": 502,
    "origin_timeout": 504,
    "source_too_large": 413,
    "too_many_pixels": 413,
    "preview_too_large": 413,
    "not_an_image": 415,
    "broken_image": 422,
    "render_crashed": 422,
    "too_much_memory": 413,
    "too_complex": 413,
    "too_much_work": 413,
    "render_timeout": 504,
    "quarantined": 422,
    "too_many_requests": 429,
    "overloaded": 503,
    "not_cached": 504,
    "timeout": 504,
}


def _body(response: Response) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(response.body)
    return body


def test_the_table_names_every_error_but_the_one_with_a_status_of_its_own() -> None:
    assert {*_STATUS, "origin_refused"} == set(BY_CODE)


@pytest.mark.parametrize(("code", "status"), _STATUS.items())
def test_every_error_has_its_status_here_and_from_another_process(code: str, status: int) -> None:
    error = BY_CODE[code]("What happened.")
    for each in (error, from_wire(error.to_wire())):
        response = problems.from_error(each, "id-1")
        assert response.status == status
        assert _body(response)["code"] == code


def test_a_problem_is_whole_by_rfc_9457() -> None:
    response = problems.from_error(BY_CODE["bad_request"]("Not “so”."), "id-1")
    assert _body(response) == {
        "type": "about:blank",
        "title": "Bad Request",
        "status": 400,
        "code": "bad_request",
        "detail": "Not “so”.",
        "request_id": "id-1",
    }
    assert response.headers == [
        (b"content-type", b"application/problem+json"),
        (b"cache-control", b"public, max-age=5"),
        (b"x-content-type-options", b"nosniff"),
    ]


def test_what_is_for_one_client_is_kept_by_nobody() -> None:
    answers = (
        problems.from_error(BY_CODE["origin_failed"]("No."), "id-1", private=True),
        problems.from_error(OriginRefused("No.", 401, {}), "id-1", preview_request()),
        problems.defect("id-1"),
    )
    for answer in answers:
        assert (b"cache-control", b"no-store") in answer.headers


@pytest.mark.parametrize(
    ("status", "headers", "title", "field"),
    [
        (404, {}, "Not Found", None),
        (
            401,
            {"WWW-Authenticate": 'Basic realm="ü"'},
            "Unauthorized",
            (b"www-authenticate", b'Basic realm="\xfc"'),
        ),
        (429, {"Retry-After": "9"}, "Too Many Requests", (b"retry-after", b"9")),
        (401, {"WWW-Authenticate": "ř"}, "Unauthorized", (b"www-authenticate", b"?")),
        (403, {"Set-Cookie": "a=b", "Vary": "user-agent"}, "Forbidden", None),
        (499, {}, "Error", None),
    ],
)
def test_the_origins_own_refusal_is_handed_on(
    status: int, headers: dict[str, str], title: str, field: tuple[bytes, bytes] | None
) -> None:
    error = OriginRefused("No.", status, headers)
    response = problems.from_error(error, "id-1", may_log_in=True)
    assert (response.status, _body(response)["status"]) == (status, status)
    assert _body(response)["title"] == title
    assert response.headers[3:] == ([field] if field else [])


def test_an_origin_that_gets_no_credentials_may_not_ask_for_them() -> None:
    error = OriginRefused("No.", 401, {"WWW-Authenticate": "Basic"})
    response = problems.from_error(error, "id-1", preview_request())
    assert response.status == 401
    assert not any(name == b"www-authenticate" for name, _ in response.headers)


PLAIN = (("accept-language", "de"), ("dnt", "1"), ("cdn-loop", "micropic"))


def is_shared(response: Response) -> bool:
    (said,) = [value for name, value in response.headers if name == b"cache-control"]
    assert said in {b"no-store", b"public, max-age=5"}
    return said != b"no-store"


@pytest.mark.parametrize("code", _STATUS)
def test_caches_in_front_keep_only_what_the_url_alone_brought_about(code: str) -> None:
    error = BY_CODE[code]("What happened.")
    by_fields = {"loop_detected", "not_authorized", "not_cached", "overloaded", "too_many_requests"}
    assert is_shared(problems.from_error(error, "id-1")) == (code not in by_fields)
    asked = replace(preview_request(), headers=PLAIN)
    assert not is_shared(problems.from_error(error, "id-1", asked))


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 418, 429, 431, 451])
@pytest.mark.parametrize(
    ("change", "vary", "shared"),
    [
        ({}, "", True),
        ({"headers": (("cdn-loop", "micropic"),)}, "", True),
        ({"headers": (("cdn-loop", "evil, micropic"),)}, "", False),
        ({"headers": PLAIN}, "", False),
        ({}, "accept-language", False),
        ({}, "*", False),
        ({"headers": (("referer", "https://h/"), *PLAIN)}, "", False),
        ({"headers": (("user-agent", "robot"), *PLAIN)}, "", False),
        ({"keyed_by": ("x-shop",)}, "", False),
        ({"private": True}, "", False),
        ({"reload": True}, "", False),
    ],
)
def test_a_refusal_is_shared_only_if_it_says_that_the_image_is_gone(
    status: int, change: dict[str, Any], vary: str, *, shared: bool
) -> None:
    error = OriginRefused("No.", status, {"Vary": vary} if vary else {})
    response = problems.from_error(error, "id-1", replace(preview_request(), **change))
    assert is_shared(response) == (shared and status in {404, 410})


def test_a_shared_problem_of_a_negotiated_preview_varies_by_accept() -> None:
    asked = replace(preview_request(), negotiated=frozenset({"image/webp"}))
    gone, failed = OriginRefused("No.", 404, {}), BY_CODE["origin_failed"]("No.")
    assert (b"vary", b"Accept") in problems.from_error(gone, "id-1", asked).headers
    assert (b"vary", b"Accept") not in problems.from_error(failed, "id-1", asked).headers


def test_who_is_turned_away_learns_when_to_come_again() -> None:
    response = problems.from_error(Overloaded("Too much.", retry_after=7), "id-1")
    assert (b"retry-after", b"7") in response.headers


def test_a_defect_is_a_500_that_names_the_request_and_nothing_else() -> None:
    response = problems.defect("id-1")
    assert response.status == 500
    assert _body(response)["code"] == MicropicError.code
    assert "id-1" in _body(response)["detail"]


def test_a_path_that_is_none_of_ours_is_404_and_shown_short_and_in_ascii() -> None:
    response = problems.not_found("/é\n" + "x" * 5000, "id-1")
    detail = _body(response)["detail"]
    assert (response.status, _body(response)["code"]) == (404, "not_found")
    assert r"'/\xe9\nxxx" in detail
    assert len(detail) < 300


def test_a_method_that_is_not_known_is_405_and_tells_those_that_are() -> None:
    response = problems.method_not_allowed("BREW" * 100, "GET, HEAD", "id-1")
    assert (response.status, _body(response)["code"]) == (405, "method_not_allowed")
    assert (b"allow", b"GET, HEAD") in response.headers
    assert len(_body(response)["detail"]) < 200
