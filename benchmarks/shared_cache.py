"""What is measured of the shared cache: gets by one client process from one cache process."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import grpc
import uvloop

from benchmarks.bare_grpc import METHOD, SERVICE
from benchmarks.measures import Bench
from benchmarks.processes import free_port, running, wait_for
from benchmarks.service import environment
from benchmarks.table import Row
from micropic.adapters.grpc_cache import GrpcCache
from micropic.domain.freshness import DAY
from micropic.domain.model import Preview, SourceFacts

_SIZE = 10_000
"""Bytes of a preview."""
_KEYS = [f"/fill/300/200/f=jpeg+png,g=smart,q=80/http://h/{number}" for number in range(500)]
_AT_ONCE = 32
_TIMEOUT = 10.0
"""Seconds: here none is to fail by it."""

_Get = Callable[[str], Awaitable[object]]


def shared(bench: Bench) -> list[Row]:
    """Measure gets in turn from the shared cache, and calls of a bare gRPC server's."""
    with _cache(bench.scratch) as cache, _bare(bench.scratch) as bare:
        return uvloop.run(_measure(bench, cache, bare))


async def _measure(bench: Bench, cache_port: int, bare_port: int) -> list[Row]:
    rates: dict[str, list[float]] = {"cache": [], "bare": []}
    async with (
        GrpcCache("127.0.0.1", cache_port, _TIMEOUT) as cache,
        grpc.aio.insecure_channel(f"127.0.0.1:{bare_port}") as channel,
    ):
        for key in _KEYS:
            facts = SourceFacts(etag='"e"', cache_control="max-age=3600", sha256="ab" * 32)
            await cache.put(key, Preview(os.urandom(_SIZE), "image/jpeg", time.time(), DAY, facts))
        call: Any = channel.unary_unary(f"/{SERVICE}/{METHOD}")
        loads: dict[str, _Get] = {
            "cache": cache.get,
            "bare": lambda key: call(key.encode(), timeout=_TIMEOUT, wait_for_ready=True),
        }
        for _, (name, get) in itertools.product(range(bench.rounds), loads.items()):
            rates[name].append(await _rate(bench.seconds, get))
            print(f"shared cache, {name}: {rates[name][-1]:,.0f}/s", file=sys.stderr)
    return [
        Row(
            what=f"shared cache, {_AT_ONCE} gets at a time",
            figure=median(rates["cache"]),
            unit=f"gets/s of {_SIZE:,} bytes",
            limit=median(rates["bare"]),
            limit_name="calls/s of bare gRPC",
        )
    ]


async def _rate(seconds: float, get: _Get) -> float:
    """Give how many gets a second come back, each with something."""
    count, started = 0, time.perf_counter()
    keys = itertools.cycle(_KEYS)

    async def ask() -> None:
        nonlocal count
        while time.perf_counter() - started < seconds:
            if not await get(next(keys)):
                msg = "a get from the shared cache gave nothing"
                raise RuntimeError(msg)
            count += 1

    await asyncio.gather(*(ask() for _ in range(_AT_ONCE)))
    return count / (time.perf_counter() - started)


@contextlib.contextmanager
def _cache(scratch: Path) -> Iterator[int]:
    port, health, log = free_port(), free_port(), scratch / "shared.output"
    settings = environment(
        GRPC_HOST="127.0.0.1",
        GRPC_PORT=str(port),
        HEALTH_HOST="127.0.0.1",
        HEALTH_PORT=str(health),
        CACHE_DIRNAME=str(scratch / "shared"),
        LOG_FILE=str(scratch / "shared.log"),
    )
    with running([sys.executable, "-m", "micropic", "cache"], log, settings) as process:
        wait_for(f"http://127.0.0.1:{health}/readyz", process, log)
        yield port


@contextlib.contextmanager
def _bare(scratch: Path) -> Iterator[int]:
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.bare_grpc", str(port), str(_SIZE)]
    with running(command, scratch / "bare_grpc.output"):
        yield port
