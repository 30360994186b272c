"""A web server that records what reaches it, byte for byte, and answers as it is told."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Self

_HOST = os.environ.get("TEST_ORIGIN_HOST", "127.0.0.1")
"""Where the services can reach it: those in containers have a loopback of their own."""
_TRICKLE_PAUSE = 0.02
_TURNS = 5
"""Of the event loop."""


class Gate:
    """Something that an answer waits for; opened from the test."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._event = asyncio.Event()

    def open(self) -> None:
        """Let every answer through that waits, now and later."""
        self._loop.call_soon_threadsafe(self._event.set)

    async def passed(self) -> None:
        """Wait until the gate is open."""
        await self._event.wait()


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it came."""

    method: str
    target: str
    """What stands on the request line; bytes beyond ASCII as in Latin-1."""
    headers: list[tuple[str, str]]
    """Names as they came."""

    def values(self, name: str) -> list[str]:
        """Give every value of a field."""
        return [value for key, value in self.headers if key.lower() == name.lower()]


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    chunked: bool = False
    """Without a Content-Length."""
    gate: Gate | None = None
    """What it waits for."""
    cut_after: int | None = None
    """The connection closes after so many bytes of the body."""
    trickle: bool = False
    """The body comes a byte at a time."""
    trickle_head: bool = False
    """The status line and the header fields do."""


Answering = Reply | Callable[[Received], Reply]


def redirect(location: str, status: int = 302) -> Reply:
    """Give a redirect."""
    return Reply(status=status, headers={"Location": location})


class Origin:
    """One server on one address, in a thread with an event loop of its own."""

    def __init__(self, host: str = _HOST, port: int = 0) -> None:
        self.host = host
        self.port = port
        self.requests: list[Received] = []
        self.fallback: Answering = Reply(b"no such picture", 404)
        self._answers: dict[str, Answering] = {}
        self._connections: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._started.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()

    @property
    def authority(self) -> str:
        """Host and port."""
        return f"{self.host}:{self.port}"

    @property
    def targets(self) -> list[str]:
        """Every target asked for, in order."""
        return [request.target for request in self.requests]

    @property
    def counts(self) -> Counter[str]:
        """How often each target was asked for."""
        return Counter(self.targets)

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._connections)

    def gate(self) -> Gate:
        """Make something for answers to wait for."""
        return Gate(self._loop)

    def on(self, path: str, answer: Answering) -> str:
        """Answer a path so, whatever its query; give the source that names it."""
        self._answers[path] = answer
        return f"{self.authority}{path}"

    # --- in the thread -----------------------------------------------------------------------

    def _run(self) -> None:
        with contextlib.closing(self._loop):
            self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._connected, self.host, self.port, backlog=1024)
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        await self._stopping.wait()
        server.close()
        for _ in range(_TURNS):  # in which what was just accepted becomes a connection
            await asyncio.sleep(0)
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await server.wait_closed()
        for _ in range(_TURNS):  # in which the connections really close
            await asyncio.sleep(0)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._converse(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            try:
                while await self._exchange(reader, writer):
                    pass
                writer.close()
            except BaseException:
                writer.transport.abort()  # the client has left, or the test is over
                raise

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; tell whether the connection stays."""
        request = _parse(await reader.readuntil(b"\r\n\r\n"))
        self.requests.append(request)
        answer = self._answers.get(request.target.partition("?")[0], self.fallback)
        reply = answer(request) if callable(answer) else answer
        if reply.gate is not None:
            await reply.gate.passed()
        for piece in _pieces(reply):
            writer.write(piece)
            await writer.drain()
            if reply.trickle or reply.trickle_head:
                await asyncio.sleep(_TRICKLE_PAUSE)
        return reply.cut_after is None


def _parse(head: bytes) -> Received:
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    method, target, _ = first.split(" ")
    fields = (line.partition(":") for line in lines)
    return Received(method, target, [(name, value.strip()) for name, _, value in fields])


def _pieces(reply: Reply) -> Iterator[bytes]:
    framing = (
        ("Transfer-Encoding", "chunked")
        if reply.chunked
        else ("Content-Length", str(len(reply.body)))
    )
    fields = "".join(f"{name}: {value}\r\n" for name, value in [*reply.headers.items(), framing])
    status = f"{reply.status} {HTTPStatus(reply.status).phrase}"
    head = f"HTTP/1.1 {status}\r\n{fields}\r\n".encode("latin-1")
    step = 1 if reply.trickle_head else len(head)
    yield from (head[start : start + step] for start in range(0, len(head), step))
    body = reply.body[: reply.cut_after]
    size = 1 if reply.trickle else 65536
    for start in range(0, len(body), size):
        piece = body[start : start + size]
        yield b"%x\r\n%b\r\n" % (len(piece), piece) if reply.chunked else piece
    if reply.chunked and reply.cut_after is None:
        yield b"0\r\n\r\n"
