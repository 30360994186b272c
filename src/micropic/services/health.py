"""Whether the process is alive, and whether it can do its work."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

Checks = Mapping[str, Callable[[], bool]]
"""What the process needs to do its work, by name."""


def health_routes(checks: Checks) -> list[Route]:
    """Give `/healthz` (200 while the process runs) and `/readyz` (503 while a check fails)."""

    async def healthz(_: Request) -> Response:
        return _answer(200, {"status": "ok"})

    async def readyz(_: Request) -> Response:
        failing = [name for name, check in checks.items() if not check()]
        if failing:
            return _answer(503, {"status": "not ready", "waiting_for": failing})
        return _answer(200, {"status": "ready"})

    return [Route("/healthz", healthz), Route("/readyz", readyz)]


def _answer(status: int, body: dict[str, object]) -> Response:
    return JSONResponse(body, status, headers={"Cache-Control": "no-store"})
