"""What it costs that a request is not called back: `python -m benchmarks.impatient`.

Many clients ask one worker for more than it can make, and leave after a moment. Their requests
stay in the queue until they expire. Counted are the previews that the worker made though nobody
waited for them any more; a cancel could spare these at the most.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path

import aiohttp

from benchmarks.distributed import broker_running
from tests.support.cluster import Cluster

_SECONDS = 10.0
_CLIENTS = 64
_SIDES = range(60, 2000)


def main() -> int:
    """Run it with several patiences, in seconds, and print a table."""
    print("| clients leave after | answered | made | made for nobody | share |")
    print("|---|---|---|---|---|")
    for patience in (0.2, 0.5, 1.0):
        with tempfile.TemporaryDirectory(prefix="micropic-impatient-") as folder:
            _row(Path(folder), patience)
    return 0


def _row(folder: Path, patience: float) -> None:
    with broker_running(folder) as broker:
        cluster = Cluster(folder / "cluster", broker).start()
        try:
            answered = asyncio.run(_load(cluster.port, patience))
            _drained(cluster)
            made = sum(
                line["outcome"] == "preview" for line in cluster.workers[0].events("request")
            )
        finally:
            cluster.close()
    wasted = made - answered
    print(f"| {patience} s | {answered} | {made} | {wasted} | {wasted / made:.0%} |", flush=True)


async def _load(port: int, patience: float) -> int:
    """Give how many requests were answered in the clients' time."""
    sides, answered = iter(_SIDES), 0
    end = time.monotonic() + _SECONDS
    timeout = aiohttp.ClientTimeout(total=patience)

    async def client(session: aiohttp.ClientSession) -> None:
        nonlocal answered
        while time.monotonic() < end:
            side = next(sides)
            url = f"http://127.0.0.1:{port}/fill/{side}/{side}/sample:rocket.jpg"
            try:
                async with session.get(url) as response:
                    await response.read()
                    answered += response.status == 200
            except TimeoutError:
                continue

    async with aiohttp.ClientSession(timeout=timeout) as session:
        await asyncio.gather(*(client(session) for _ in range(_CLIENTS)), return_exceptions=True)
    return answered


def _drained(cluster: Cluster) -> None:
    """Wait until the worker has nothing to do any more."""
    seen, since = -1, time.monotonic()
    while time.monotonic() - since < 1:
        count = len(cluster.workers[0].events("request"))
        if count != seen:
            seen, since = count, time.monotonic()
        time.sleep(0.1)


if __name__ == "__main__":
    sys.exit(main())
