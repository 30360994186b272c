"""Fill a cache by asking a proxy for previews, and tell how that went."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple
from urllib.parse import quote

import aiohttp
from yarl import URL

from micropic.domain import signing
from micropic.domain.model import Size

NO_ANSWER = 0
"""The status of a request that no answer came to."""


class Outcome(NamedTuple):
    """What became of one request."""

    status: int
    seconds: float
    hit: bool
    length: int

    @property
    def failed(self) -> bool:
        """Tell whether it brought no preview."""
        return not 200 <= self.status < 300  # noqa: PLR2004


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be asked for."""

    proxy: str
    """With the mode: `http://host:8080/fill`."""
    key: str = ""
    """Signs what is asked for; empty: nothing is signed."""
    sources: Sequence[str]
    sizes: Sequence[Size]
    number: int | None = None
    """How many requests, drawn at random; None: each source in each size, once."""
    seed: int = 0
    workers: int = 8
    timeout: float = 60.0
    """Seconds for one request."""

    def __len__(self) -> int:
        return len(self.sources) * len(self.sizes) if self.number is None else self.number

    def urls(self) -> Iterator[str]:
        """Give the addresses, in order; the same ones for the same seed."""
        base, _, mode = self.proxy.rpartition("/")
        for source, size in self._pairs():
            # Percent-encoded as a whole, a source arrives as it is, whatever it holds.
            target = f"{mode}/{size.width}/{size.height}/{quote(source, safe='')}"
            yield base + (signing.sign(f"/{target}", self.key) if self.key else f"/{target}")

    def _pairs(self) -> Iterable[tuple[str, Size]]:
        if self.number is None:
            return ((source, size) for source in self.sources for size in self.sizes)
        draw = random.Random(self.seed)  # noqa: S311 # to be repeated, not to be secret
        return ((draw.choice(self.sources), draw.choice(self.sizes)) for _ in range(self.number))


@dataclass(frozen=True, slots=True)
class Figures:
    """How the requests with one status went; times in seconds."""

    count: int
    hits: int
    p50: float
    p95: float
    p99: float


@dataclass(slots=True)
class Tally:
    """What has come of the requests so far."""

    started: float = field(default_factory=time.monotonic)
    outcomes: dict[int, list[Outcome]] = field(default_factory=lambda: defaultdict(list))
    count: int = 0
    hits: int = 0
    """Answers from a cache."""
    errors: int = 0
    """Requests that brought no preview."""

    def add(self, outcome: Outcome) -> None:
        """Count one request."""
        self.outcomes[outcome.status].append(outcome)
        self.count += 1
        self.hits += outcome.hit
        self.errors += outcome.failed

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self.started

    @property
    def rate(self) -> float:
        """Requests per second, so far."""
        return self.count / max(self.elapsed, 1e-9)

    def by_status(self) -> dict[int, Figures]:
        """Give the figures of each status that came."""
        return {status: _figures(outcomes) for status, outcomes in sorted(self.outcomes.items())}

    def summary(self) -> dict[str, Any]:
        """Give everything as values that JSON can hold."""
        return {
            "requests": self.count,
            "hits": self.hits,
            "errors": self.errors,
            "elapsed": round(self.elapsed, 3),
            "rate": round(self.rate, 1),
            "by_status": {
                "none" if status == NO_ANSWER else str(status): asdict(figures)
                for status, figures in self.by_status().items()
            },
        }


Note = Callable[[Tally], None]
"""Is told of each step."""


async def warm(plan: Plan, note: Note) -> Tally:
    """Ask for all that is planned, `plan.workers` at a time; `note` sees each step."""
    tally, urls = Tally(), plan.urls()
    timeout = aiohttp.ClientTimeout(total=plan.timeout)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:

        async def work() -> None:
            for url in urls:  # shared: each address goes to one worker
                tally.add(await _ask(session, url))
                note(tally)

        await asyncio.gather(*(work() for _ in range(plan.workers)))
    return tally


async def _ask(session: aiohttp.ClientSession, url: str) -> Outcome:
    started = time.monotonic()
    status, hit, length = NO_ANSWER, False, 0
    try:
        async with session.get(URL(url, encoded=True)) as response:
            length = len(await response.read())
            status = response.status
            hit = "; hit" in response.headers.get("Cache-Status", "")
    except (aiohttp.ClientError, TimeoutError, OSError):
        status = NO_ANSWER
    return Outcome(status, time.monotonic() - started, hit, length)


def _figures(outcomes: Sequence[Outcome]) -> Figures:
    times = sorted(outcome.seconds for outcome in outcomes)

    def percentile(share: float) -> float:
        """Take the nearest rank."""
        return times[math.ceil(share * len(times)) - 1]

    return Figures(
        count=len(outcomes),
        hits=sum(outcome.hit for outcome in outcomes),
        p50=percentile(0.50),
        p95=percentile(0.95),
        p99=percentile(0.99),
    )
