"""A service that stops: who has connected is answered, nobody else gets in."""

from __future__ import annotations

import asyncio
import functools
import http.client
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, ParamSpec

import pytest
import uvloop

from micropic.services.server import Listener, listen, serve
from tests.support.waiting import eventually, turns

P = ParamSpec("P")

REQUEST = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"


def on_uvloop(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run a test on the event loop that the service has."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        uvloop.run(test(*args, **kwargs))

    return run


async def app(scope: Any, _: Any, send: Any) -> None:
    """Answer with the path."""
    headers = [(b"content-length", b"%d" % len(scope["raw_path"]))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": scope["raw_path"]})


class Listening(socket.socket):
    """A listening socket with something that happens in the moment in which it is closed."""

    def __init__(self) -> None:
        super().__init__(fileno=listen("127.0.0.1", 0).detach())
        self.at_close: Callable[[], object] = lambda: None

    def detach(self) -> int:
        self.at_close()
        return super().detach()


@asynccontextmanager
async def server() -> AsyncIterator[Listening]:
    """Serve in this very process; give the listening socket."""
    listening = Listening()
    serving = asyncio.create_task(serve([Listener(listening, app)]))
    port = port_of(listening)
    with connected(port) as client:
        await asyncio.to_thread(ask, client)
    yield listening
    async with asyncio.timeout(20):
        await serving


def port_of(listening: socket.socket) -> int:
    port: int = listening.getsockname()[1]
    return port


def connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def ask(client: socket.socket, request: bytes = REQUEST) -> http.client.HTTPResponse:
    client.sendall(request)
    return answer(client)


def answer(client: socket.socket) -> http.client.HTTPResponse:
    response = http.client.HTTPResponse(client)
    response.begin()
    assert response.read() == b"/"
    return response


def stop() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def is_refused(port: int) -> bool:
    try:
        connected(port).close()
    except ConnectionRefusedError:
        return True
    return False


@on_uvloop
async def test_who_connects_until_the_last_moment_is_answered() -> None:
    """Connections that the kernel has accepted are reset if their listener is closed then."""
    clients: list[socket.socket] = []
    refused = asyncio.Event()
    async with server() as listening:
        port = port_of(listening)

        def connect() -> None:
            """Do so in each turn of the event loop, in which the server accepts but once."""
            try:
                clients.append(connected(port))
            except ConnectionRefusedError:
                refused.set()
            else:
                clients[-1].sendall(REQUEST)
                asyncio.get_running_loop().call_soon(connect)

        connect()
        stop()
        await refused.wait()
        for client in clients:
            with client:
                assert (await asyncio.to_thread(answer, client)).status == 200


@on_uvloop
async def test_who_asks_once_more_at_the_last_moment_is_answered() -> None:
    """A connection where a request has come that nobody has read is reset if it is closed then."""
    async with server() as listening:
        port = port_of(listening)
        with connected(port) as client:
            assert (await asyncio.to_thread(ask, client)).headers["Connection"] is None
            listening.at_close = lambda: client.sendall(REQUEST)
            stop()
            await eventually(lambda: is_refused(port))
            response = await asyncio.to_thread(answer, client)
    assert response.headers["Connection"] == "close"


@on_uvloop
@pytest.mark.parametrize("sent", [0, 1, len(REQUEST) - 1])
async def test_who_has_not_said_all_when_it_stops_is_answered(sent: int) -> None:
    async with server() as listening:
        port = port_of(listening)
        with connected(port) as client:
            client.sendall(REQUEST[:sent])
            stop()
            await turns(lambda: is_refused(port))
            response = await asyncio.to_thread(ask, client, REQUEST[sent:])
    assert response.headers["Connection"] == "close"


@on_uvloop
async def test_who_says_nothing_more_is_hung_up_on() -> None:
    async with server() as listening:
        port = port_of(listening)
        with connected(port) as silent, connected(port) as idle:
            assert (await asyncio.to_thread(ask, idle)).headers["Connection"] is None
            stop()
            await eventually(lambda: is_refused(port))
            for client in (idle, silent):
                assert await asyncio.to_thread(client.recv, 1) == b""
