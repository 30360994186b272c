"""The paths that are no previews, by Starlette; what is not there is a problem like any other."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response as StarletteResponse
from starlette.routing import BaseRoute

from micropic.web import problems
from micropic.web.responses import Response


def routed(routes: Sequence[BaseRoute]) -> Starlette:
    """Give an application that answers `routes`, and problems for everything else."""
    app = Starlette(routes=routes, exception_handlers={404: _not_found, 405: _method_not_allowed})
    app.router.redirect_slashes = False
    return app


def request_id(request: Request) -> str:
    """Give the id that the request was logged with; on the health port there is none."""
    known: str = request.scope.get("request_id", "")
    return known


async def _not_found(request: Request, _: Exception) -> StarletteResponse:
    path = request.scope["raw_path"].decode("utf-8", "replace")
    return as_starlette(problems.not_found(path, request_id(request)))


async def _method_not_allowed(request: Request, error: Exception) -> StarletteResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 # Starlette's own, by its status
    allowed = (error.headers or {}).get("Allow", "")
    return as_starlette(problems.method_not_allowed(request.method, allowed, request_id(request)))


def as_starlette(response: Response) -> StarletteResponse:
    """Give an answer of ours as one of Starlette's."""
    fields = {name.decode(): value.decode("latin-1") for name, value in response.headers}
    return StarletteResponse(response.body, response.status, fields)
