"""A load generator for where there is no wrk, and for loads of so many requests.

Run by `load.py` as `python -m benchmarks.client JSON`; JSON is a `Load` with `seconds` or
`count` added. Prints a `Result` as JSON.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from collections.abc import Iterator
from typing import Any

import aiohttp
import uvloop
from yarl import URL


class _Tally:
    """Latencies (seconds) of what was answered, and a count of what was not."""

    def __init__(self) -> None:
        self.latencies: list[float] = []
        self.errors = 0

    def summary(self, seconds: float) -> dict[str, float]:
        """Give the fields of a `Result`."""
        ordered = sorted(self.latencies) or [0.0]
        return {
            "answers": len(self.latencies),
            "seconds": seconds,
            "p50": ordered[len(ordered) // 2],
            "p99": ordered[len(ordered) * 99 // 100],
            "errors": self.errors,
        }


def _urls(job: dict[str, Any]) -> Iterator[URL]:
    """Give the addresses, until the count or the time is used up."""
    base = f"http://127.0.0.1:{job['port']}{job['prefix']}"
    photos, count = job["photos"], job.get("count")
    end = time.perf_counter() + job.get("seconds", float("inf"))
    for number in itertools.count() if count is None else range(count):
        if time.perf_counter() > end:
            return
        turn = number % job["distinct"]
        address = f"{base}{turn}/{photos[turn % len(photos)]}" if photos else base
        yield URL(address, encoded=True)


async def _ask(
    session: aiohttp.ClientSession, urls: Iterator[URL], headers: dict[str, str], tally: _Tally
) -> None:
    for url in urls:
        started = time.perf_counter()
        try:
            async with session.get(url, headers=headers) as answer:
                await answer.read()
        except (aiohttp.ClientError, TimeoutError):
            tally.errors += 1
            continue
        if answer.status == (304 if headers else 200):
            tally.latencies.append(time.perf_counter() - started)
        else:
            tally.errors += 1


async def _run(job: dict[str, Any]) -> dict[str, float]:
    tally, started, urls = _Tally(), time.perf_counter(), _urls(job)
    connector = aiohttp.TCPConnector(limit=job["connections"])
    timeout = aiohttp.ClientTimeout(total=10)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        headers = {"If-None-Match": job["etag"]} if job["etag"] else {}
        clients = (_ask(session, urls, headers, tally) for _ in range(job["connections"]))
        await asyncio.gather(*clients)
    return tally.summary(time.perf_counter() - started)


def main() -> None:
    """Send the load that the command line describes."""
    print(json.dumps(uvloop.run(_run(json.loads(sys.argv[1])))))


if __name__ == "__main__":
    main()
