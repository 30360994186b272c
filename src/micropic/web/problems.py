"""Errors as RFC 9457 problems: the only place that knows a status code for an error."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from micropic.domain import errors
from micropic.web.responses import Response

MEDIA_TYPE = "application/problem+json"
_BRIEFLY = b"public, max-age=5"
"""What went wrong may be right in a moment, but a page that asks at once need not ask again."""

_STATUS: dict[type[errors.MicropicError], HTTPStatus] = {
    errors.MicropicError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.BadRequest: HTTPStatus.BAD_REQUEST,
    errors.NotAuthorized: HTTPStatus.FORBIDDEN,
    errors.BadSignature: HTTPStatus.FORBIDDEN,
    errors.PreviewForbidden: HTTPStatus.FORBIDDEN,
    errors.SourceForbidden: HTTPStatus.FORBIDDEN,
    errors.LoopDetected: HTTPStatus.LOOP_DETECTED,
    errors.OriginFailed: HTTPStatus.BAD_GATEWAY,
    errors.OriginTimeout: HTTPStatus.GATEWAY_TIMEOUT,
    errors.SourceTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.TooManyPixels: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.NotAnImage: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    errors.BrokenImage: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.RenderCrashed: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.TooMuchMemory: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.TooMuchWork: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.TooComplex: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.RenderTimeout: HTTPStatus.GATEWAY_TIMEOUT,
    errors.Quarantined: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.TooManyRequests: HTTPStatus.TOO_MANY_REQUESTS,
    errors.Overloaded: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.NotCached: HTTPStatus.GATEWAY_TIMEOUT,
    errors.DeadlineExceeded: HTTPStatus.GATEWAY_TIMEOUT,
}
"""OriginRefused is not here: it carries the origin's own status."""
_OTHERS = {
    HTTPStatus.NOT_FOUND: {"not_found": "There is no such page."},
    HTTPStatus.METHOD_NOT_ALLOWED: {"method_not_allowed": "The path does not know the method."},
}
"""What is no error of the tree: its code and what it means, by its status."""


def meanings() -> dict[int, dict[str, str]]:
    """Tell which codes a status goes with, and what each means, in the order of statuses."""
    found: dict[int, dict[str, str]] = {int(status): {**codes} for status, codes in _OTHERS.items()}
    for error, status in _STATUS.items():
        meaning = "A defect of ours." if error is errors.MicropicError else _first_line(error)
        found.setdefault(int(status), {})[error.code] = meaning
    return dict(sorted(found.items()))


def schema() -> dict[str, Any]:
    """Give the members of a problem, as JSON Schema (2020-12)."""
    text = {"type": "string"}
    codes = [code for codes in meanings().values() for code in codes]
    members = {
        "type": {"const": "about:blank"},
        "title": text,
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "code": {"enum": [*codes, errors.OriginRefused.code]},
        "detail": text,
        "request_id": text,
    }
    return {"type": "object", "properties": members, "required": [*members]}


def _first_line(error: type[errors.MicropicError]) -> str:
    return (error.__doc__ or "").partition("\n")[0]


def from_error(error: errors.MicropicError, request_id: str, *, private: bool = False) -> Response:
    """Turn an error into an answer; one to a `private` request is for that client alone."""
    headers: dict[str, str] = {}
    if isinstance(error, errors.OriginRefused):
        status, headers = error.status, error.headers
    else:
        status = _STATUS[type(error)]
        if error.retry_after is not None:
            headers = {"Retry-After": str(error.retry_after)}
    # Whoever has credentials may get another answer than a 401, and who asks for less, too.
    private = (
        private or status == HTTPStatus.UNAUTHORIZED or isinstance(error, errors.TooManyRequests)
    )
    return problem(status, error.code, error.detail, request_id, headers, private=private)


def defect(request_id: str) -> Response:
    """Give the answer for a defect of ours; what it was stands in the log."""
    detail = f"Something went wrong inside micropic. Tell the operator the request id {request_id}."
    return problem(500, errors.MicropicError.code, detail, request_id, private=True)


def malformed(detail: str, request_id: str) -> Response:
    """Give the answer for what is no HTTP request."""
    return problem(400, errors.BadRequest.code, detail, request_id, private=True)


def not_found(path: str, request_id: str) -> Response:
    """Give the answer for a path that is none of ours."""
    detail = f"There is nothing at {path[:80]!a}. Ask for /fill/300/200/www.example.com/owl.jpg."
    return problem(404, "not_found", detail, request_id)


def method_not_allowed(method: str, allowed: str, request_id: str) -> Response:
    """Give the answer for a method that the path does not know."""
    detail = f"The method {method[:40]!a} is not known here; use one of {allowed}."
    return problem(405, "method_not_allowed", detail, request_id, {"Allow": allowed})


def problem(  # noqa: PLR0913 # what a problem is made of
    status: int,
    code: str,
    detail: str,
    request_id: str,
    headers: dict[str, str] | None = None,
    *,
    private: bool = False,
) -> Response:
    """Build a problem; with the type `about:blank` the title is the status's own phrase."""
    try:
        title = HTTPStatus(status).phrase
    except ValueError:
        title = "Error"  # a 4xx of the origin's that no RFC knows
    body = {
        "type": "about:blank",
        "title": title,
        "status": int(status),
        "code": code,
        "detail": detail,
        "request_id": request_id,
    }
    fields = [
        (b"content-type", MEDIA_TYPE.encode()),
        (b"cache-control", b"no-store" if private else _BRIEFLY),
        (b"x-content-type-options", b"nosniff"),
        *((name.lower().encode(), value.encode("latin-1", "replace"))
          for name, value in (headers or {}).items()),
    ]  # fmt: skip
    return Response(int(status), fields, json.dumps(body).encode())
