"""What an ordinary client gets beside another one that asks for all the work it can."""

from __future__ import annotations

import asyncio
import itertools
import sys
import time
from collections.abc import Iterator
from typing import NamedTuple

import aiohttp
import uvloop

from benchmarks import service
from benchmarks.measures import Bench
from benchmarks.table import Row

_ORDINARY, _GREEDY = "192.0.2.1", "192.0.2.2"
_CONNECTIONS = 6
"""Of each client."""
_LEAST_SHARE = 0.4
"""Of its throughput alone; between two clients half of it is fair."""
_OK = 200


class _Work(NamedTuple):
    name: str
    paths: Iterator[str]


def fair_share(bench: Bench) -> list[Row]:
    """Measure an ordinary client alone and beside each kind of greedy one."""
    sides = itertools.cycle(range(4090, 8190))
    greedy = {
        "blur": (f"/fill/4096/{side}/blur=100/sample:rocket.jpg" for side in sides),
        "sharpen": (f"/fill/4096/{side}/sharpen=2/sample:rocket.jpg" for side in sides),
        "avif": (f"/fill/2000/{side - 2000}/f=avif,q=100/sample:rocket.jpg" for side in sides),
        "small": _previews("2"),
    }
    with service.serving(bench.scratch / "fair", PROXY_TRUSTED="127.0.0.0/8") as asked:
        ordinary = _Work("ordinary", _previews("1"))
        uvloop.run(_beside(asked.port, ordinary, None, 2))  # it warms up
        rows = []
        for name, paths in greedy.items():
            alone, _ = uvloop.run(_beside(asked.port, ordinary, None, bench.seconds))
            beside, others = uvloop.run(
                _beside(asked.port, ordinary, _Work(name, paths), bench.seconds)
            )
            rows.append(
                Row(
                    what=f"ordinary previews beside {_CONNECTIONS} connections of {name}",
                    figure=beside,
                    unit="previews/s",
                    limit=alone,
                    limit_name="alone",
                    least_ratio=_LEAST_SHARE,
                    digits=1,
                    detail=f"{others:.1f}/s of the other's",
                )
            )
    return rows


def _previews(label: str) -> Iterator[str]:
    for turn in itertools.count():
        yield f"/fill/{200 + turn % 300}/{200 + turn // 300}/q=8{label}/sample:rocket.jpg"


async def _beside(
    port: int, ordinary: _Work, greedy: _Work | None, seconds: float
) -> tuple[float, float]:
    """Give the answers a second of both clients."""
    end = time.perf_counter() + seconds
    async with aiohttp.ClientSession(
        f"http://127.0.0.1:{port}", connector=aiohttp.TCPConnector(limit=0)
    ) as session:
        jobs = [_asking(session, ordinary, _ORDINARY, end)]
        if greedy:
            jobs.append(_asking(session, greedy, _GREEDY, end))
        counts = [*(await asyncio.gather(*jobs)), 0]
    return counts[0] / seconds, counts[1] / seconds


async def _asking(session: aiohttp.ClientSession, work: _Work, client: str, end: float) -> int:
    answered: dict[int, int] = {}

    async def ask() -> None:
        while time.perf_counter() < end:
            path = next(work.paths)
            async with session.get(path, headers={"X-Forwarded-For": client}) as answer:
                await answer.read()
            answered[answer.status] = answered.get(answer.status, 0) + 1

    await asyncio.gather(*(ask() for _ in range(_CONNECTIONS)))
    print(f"{work.name}: {answered}", file=sys.stderr)
    return answered.get(_OK, 0)
