"""Errors as RFC 9457 problems: the only place that knows a status code for an error.

A cache in front, which knows the URL alone, may keep a problem for a moment only if the URL alone
brought it about; else one client's header fields would break an image for all others:

| the error | `Cache-Control` |
|---|---|
| the URL is invalid, not signed or not allowed | `public, max-age=5` |
| the origin's 404 or 410 | `public, max-age=5`, but `no-store` if the client sent a plain field or a `CDN-Loop`, or the origin's `Vary` names one |
| any other error of the origin, of what it sent, or of its preview | `no-store` |
| 503: too much to do, perhaps for this client alone, whose share of the renders is used up | `no-store` |
| `only-if-cached`, `CDN-Loop`, a rate limit, a token | `no-store` |
| any error of a request with credentials, keyed fields, or `no-cache` from `proxy.reload_networks` | `no-store` |
"""  # noqa: E501 # a table, shown in docs/errors.md

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from micropic.domain import errors
from micropic.domain.headers import plain_digest
from micropic.domain.model import PreviewRequest
from micropic.web.responses import NO_STORE, Response

MEDIA_TYPE = "application/problem+json"
_BRIEFLY = (b"cache-control", b"public, max-age=5")
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
    errors.PreviewTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
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
_BY_FIELDS = (
    errors.LoopDetected,
    errors.NotAuthorized,
    errors.NotCached,
    errors.Overloaded,
    errors.TooManyRequests,
)
"""What comes of a request's header fields, or of who asks, whatever the URL is."""
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


def from_error(
    error: errors.MicropicError,
    request_id: str,
    request: PreviewRequest | None = None,
    *,
    private: bool = False,
    may_log_in: bool = False,
) -> Response:
    """Turn an error into a response; the `request` is None if its URL could not be read.

    Only a client that may send its credentials to the origin (`may_log_in`) is asked for some.
    """
    headers: dict[str, str] = {}
    retry_after = str(error.retry_after) if error.retry_after is not None else ""
    if isinstance(error, errors.OriginRefused):
        status, retry_after = error.status, error.headers.get("Retry-After", "")
        if may_log_in and (challenge := error.headers.get("WWW-Authenticate")):
            headers["WWW-Authenticate"] = challenge
    else:
        status = _STATUS[type(error)]
    if retry_after:
        headers["Retry-After"] = retry_after
    private = private or not _is_for_all(error, request)
    response = problem(status, error.code, error.detail, request_id, headers, private=private)
    if not private and request is not None and request.negotiated:
        response.headers.append((b"vary", b"Accept"))
    return response


def _is_for_all(error: errors.MicropicError, request: PreviewRequest | None) -> bool:
    """Return True if the URL alone brought the error about; see the table of this module."""
    if isinstance(error, _BY_FIELDS):
        return False
    if request is None:
        return True
    if request.private or request.keyed_by or request.reload:
        return False
    if not isinstance(error, errors.OriginRefused) or error.status not in errors.GONE:
        return False
    return not (error.varies_by or plain_digest(request.headers))


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
        NO_STORE if private else _BRIEFLY,
        (b"x-content-type-options", b"nosniff"),
        *((name.lower().encode(), value.encode("latin-1", "replace"))
          for name, value in (headers or {}).items()),
    ]  # fmt: skip
    return Response(int(status), fields, json.dumps(body).encode())
