"""A load that does not wait for its answers: so many requests a second, whatever comes back.

Run by `overload.py` as `python -m benchmarks.open_loop JSON`; JSON is a list of `Stream`s. Prints
as JSON a list of `Outcome`s, one for each, and the share of a core that this took. A latency
counts from when the request was due, not from when it could be sent.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from dataclasses import asdict, dataclass, field
from typing import cast

import uvloop

_LAST_ANSWERS = 10.0
"""Seconds that the last requests are given."""
_GONE = 0
"""In the place of the status where the connection closed without an answer."""


@dataclass(frozen=True, slots=True)
class Stream:
    """Requests at a fixed rate; `path` may name the `number` of each."""

    port: int
    rate: float
    path: str
    warm_up: float
    """Seconds after which they begin to count."""
    seconds: float
    """For which they count then."""
    names: tuple[str, ...] = ("",)
    """What `name` in the path is, in turn."""


@dataclass(slots=True)
class Outcome:
    """What came of a stream: the seconds of each answer, by its status."""

    latencies: dict[int, list[float]] = field(default_factory=dict)
    unanswered: int = 0


class Connections:
    """Connections to one port; as many as there are requests under way."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[_Connection] = []
        self._all: list[_Connection] = []

    async def ask(self, path: str) -> int:
        """Give the status of an answer, once it is whole."""
        connection = None
        while self._idle and connection is None:
            connection = self._idle.pop()
            connection = None if connection.closed else connection
        if connection is None:
            loop = asyncio.get_running_loop()
            _, connection = await loop.create_connection(_Connection, "127.0.0.1", self._port)
            self._all.append(connection)
        status = await connection.ask(path)
        if status != _GONE:
            self._idle.append(connection)
        return status

    def close(self) -> None:
        """Close them all, whatever is under way."""
        for connection in self._all:
            connection.close()


class _Connection(asyncio.Protocol):
    """One request at a time; knows as much of HTTP/1.1 as our answers have."""

    def __init__(self) -> None:
        self.closed = False
        self._transport: asyncio.Transport
        self._answer: asyncio.Future[int]
        self._head = b""
        self._left = 0
        self._status = 0

    def ask(self, path: str) -> asyncio.Future[int]:
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(f"GET {path} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
        return self._answer

    def close(self) -> None:
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if not self._left:
            head, end, data = (self._head + data).partition(b"\r\n\r\n")
            if not end:
                self._head = head
                return
            self._head = b""
            self._status = int(head[9:12])
            length = head.lower().partition(b"\r\ncontent-length:")[2]
            self._left = int(length.partition(b"\r\n")[0])
        self._left -= len(data)
        if not self._left:
            self._answer.set_result(self._status)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 # however it ended
        self.closed = True
        if not self._answer.done():
            self._answer.set_result(_GONE)


async def _flow(stream: Stream) -> Outcome:
    """Send one stream, and wait for its last answers."""
    outcome = Outcome()
    connections, under_way = Connections(stream.port), set[asyncio.Task[None]]()
    begin = time.perf_counter()

    async def one(number: int, due: float) -> None:
        name = stream.names[number % len(stream.names)]
        status = await connections.ask(stream.path.format(number=number, name=name))
        if due >= begin + stream.warm_up:
            outcome.latencies.setdefault(status, []).append(time.perf_counter() - due)

    for number in range(int((stream.warm_up + stream.seconds) * stream.rate)):
        due = begin + number / stream.rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        task = asyncio.create_task(one(number, due))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
    if under_way:
        _, late = await asyncio.wait(under_way, timeout=_LAST_ANSWERS)
        outcome.unanswered = len(late)
    return outcome


async def _run(streams: list[Stream]) -> list[Outcome]:
    return list(await asyncio.gather(*map(_flow, streams)))


def main() -> None:
    """Send the streams that the command line describes."""
    streams = [Stream(**each) for each in json.loads(sys.argv[1])]
    gc.disable()
    begin, used = time.perf_counter(), time.process_time()
    outcomes = uvloop.run(_run(streams))
    share = (time.process_time() - used) / (time.perf_counter() - begin)
    print(json.dumps([[asdict(outcome) for outcome in outcomes], share]))


if __name__ == "__main__":
    main()
