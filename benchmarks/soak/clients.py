"""Ask, and judge each answer."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import aiohttp
from yarl import URL

from benchmarks.soak.faults import Faults
from benchmarks.soak.sources import Of, Outcome
from benchmarks.soak.truth import Truth
from tests.support.service import Service

_TIMEOUT = aiohttp.ClientTimeout(total=60)
"""Longer than any request may take."""
_SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request, and what is right to answer."""

    kind: str
    path: str
    of: Of | None = None
    """The sources that a preview may be of; None: there is to be none."""
    outcomes: frozenset[Outcome] = frozenset()
    """Whatever else is right."""
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = "GET"
    data: bytes | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    code: str = ""

    @property
    def outcome(self) -> Outcome:
        """Status and code."""
        return self.status, self.code


_NOTHING = Answer(0, {}, b"", "no_answer")


class Tally:
    """How many requests of each kind were answered how."""

    def __init__(self) -> None:
        self.right: Counter[str] = Counter()
        self.excused: Counter[tuple[str, Outcome]] = Counter()
        self.left: Counter[str] = Counter()
        """Those whose clients went before there was an answer."""
        self.wrong: Counter[str] = Counter()
        self.examples: list[str] = []

    def blame(self, kind: str, what: str) -> None:
        """Count a wrong answer."""
        self.wrong[kind] += 1
        if len(self.examples) < _SHOWN:
            self.examples.append(f"{kind}: {what}")


class Client:
    """Asks one service, wherever it listens now; an async context manager."""

    def __init__(self, service: Service, truth: Truth, faults: Faults) -> None:
        self._service = service
        self._truth = truth
        self._faults = faults
        self._session: aiohttp.ClientSession
        self.tally = Tally()

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(limit=0)
        self._session = aiohttp.ClientSession(
            connector=connector, timeout=_TIMEOUT, auto_decompress=False
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def ask(self, ask: Ask) -> Answer:
        """Ask, wait for the answer, and judge it."""
        began = time.monotonic()
        answer = await self._send(ask)
        await self._judge(ask, answer, began, time.monotonic())
        return answer

    async def ask_briefly(self, ask: Ask, patience: float) -> None:
        """Ask, and leave after `patience` seconds if there is no answer."""
        try:
            async with asyncio.timeout(patience):
                await self.ask(ask)
        except TimeoutError:
            self.tally.left[ask.kind] += 1

    async def _send(self, ask: Ask) -> Answer:
        url = URL(f"http://127.0.0.1:{self._service.port}{ask.path}", encoded=True)
        try:
            async with self._session.request(
                ask.method, url, headers=ask.headers, data=ask.data
            ) as response:
                body = await response.read()
                problem = response.content_type == "application/problem+json"
                code = (await response.json())["code"] if problem and body else ""
                return Answer(response.status, response.headers, body, code)
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError):
            return _NOTHING

    async def _judge(self, ask: Ask, answer: Answer, began: float, ended: float) -> None:
        tally, faults = self.tally, self._faults
        if answer.outcome in ask.outcomes:
            tally.right[ask.kind] += 1
        elif answer.status == 200 and ask.of is not None:
            # What is stale may be used for as long as there is a fault (RFC 5861).
            stale = "stale-if-error" in answer.headers["Cache-Status"]
            since = -math.inf if stale and faults.between(began, ended) else began
            if await self._truth.has(ask.path, answer.body, ask.of(since, ended)):
                tally.right[ask.kind] += 1
            else:
                tally.blame(
                    ask.kind, f"{ask.path} is another picture; {_told(answer)}; {faults.last()}"
                )
        elif faults.excuse(answer.outcome, began, ended):
            tally.excused[ask.kind, answer.outcome] += 1
        else:
            said = answer.body[:300].decode("latin-1")
            what = f"{ask.path}: {answer.outcome} after {ended - began:.1f} s"
            tally.blame(ask.kind, f"{what}; {faults.last()}; {said}")


def _told(answer: Answer) -> dict[str, Any]:
    names = ("Cache-Status", "Age", "ETag", "Content-Type")
    return {name: answer.headers[name] for name in names if name in answer.headers}
