"""Whether the process is alive, and whether it can do its work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from micropic.services.metrics import Metrics


@dataclass(frozen=True, slots=True)
class Health:
    """What the process needs to do its work, and what it can do without, by name."""

    needed: Mapping[str, Callable[[], bool]]
    """Each tells whether it is there."""
    helpful: Mapping[str, Callable[[], str]] = field(default_factory=dict)
    """Each tells what is wrong with it; empty: nothing."""
    usage: Callable[[], Mapping[str, Mapping[str, float | None]]] = dict
    """Tells how full the cache on disk is, level by level."""


def health_routes(health: Health) -> list[Route]:
    """Give `/healthz` (200 while the process runs) and `/readyz` (503 while a need is not met)."""

    async def healthz(_: Request) -> Response:
        return _answer(200, {"status": "ok"})

    async def readyz(_: Request) -> Response:
        failing = [name for name, check in health.needed.items() if not check()]
        if failing:
            return _answer(503, {"status": "not ready", "waiting_for": failing})
        troubles = {name: trouble() for name, trouble in health.helpful.items()}
        reasons = {name: trouble for name, trouble in troubles.items() if trouble}
        if reasons:
            return _answer(200, {"status": "degraded", "reasons": reasons})
        return _answer(200, {"status": "ready"})

    return [Route("/healthz", healthz), Route("/readyz", readyz)]


def watch_routes(health: Health, metrics: Metrics) -> list[Route]:
    """Give what the health port answers: `/cache` and `/metrics`, too, which are not for all."""

    async def usage(_: Request) -> Response:
        return _answer(200, dict(health.usage()))

    async def told(request: Request) -> Response:
        media_type, text = metrics.written(request.headers.get("accept", ""))
        # Not by the argument for it: Starlette would add a charset where one is named already.
        return Response(text, headers={"Content-Type": media_type, "Cache-Control": "no-store"})

    return [*health_routes(health), Route("/cache", usage), Route("/metrics", told)]


def _answer(status: int, body: dict[str, object]) -> Response:
    return JSONResponse(body, status, headers={"Cache-Control": "no-store"})
