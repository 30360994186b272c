"""A service that stops: who has connected is answered, nobody else gets in."""

from __future__ import annotations

import asyncio
import http.client
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from micropic.services.server import Listener, listen, serve
from tests.support.waiting import eventually, turns

REQUEST = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"


async def app(scope: Any, _: Any, send: Any) -> None:
    """Answer with the path."""
    headers = [(b"content-length", b"%d" % len(scope["raw_path"]))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": scope["raw_path"]})


class Listening(socket.socket):
    """A listening socket that tells when it is closed."""

    def __init__(self, at_close: list[Callable[[], object]]) -> None:
        super().__init__(fileno=listen("127.0.0.1", 0).detach())
        self._at_close = at_close

    def close(self) -> None:
        while self._at_close:
            self._at_close.pop()()
        super().close()


@pytest.fixture
def at_close() -> list[Callable[[], object]]:
    """Give a list of what is to happen when the server closes its listening socket."""
    return []


@pytest.fixture
async def port(at_close: list[Callable[[], object]]) -> AsyncIterator[int]:
    """Give the port of a server in this very process."""
    listener = Listener(Listening(at_close), app)
    serving = asyncio.create_task(serve([listener]))
    with connected(listener.port) as client:
        await asyncio.to_thread(ask, client)
    yield listener.port
    async with asyncio.timeout(20):
        await serving


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


async def test_who_connects_until_the_last_moment_is_answered(port: int) -> None:
    """Connections that the kernel has accepted are reset if their listener is closed then."""
    clients: list[socket.socket] = []
    refused = asyncio.Event()

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


async def test_who_asks_once_more_at_the_last_moment_is_answered(
    port: int, at_close: list[Callable[[], object]]
) -> None:
    """A connection where a request has come that nobody has read is reset if it is closed then."""
    with connected(port) as client:
        assert (await asyncio.to_thread(ask, client)).headers["Connection"] is None
        at_close.append(lambda: client.sendall(REQUEST))
        stop()
        await eventually(lambda: is_refused(port))
        response = await asyncio.to_thread(answer, client)
    assert response.headers["Connection"] == "close"


@pytest.mark.parametrize("sent", [0, 1, len(REQUEST) - 1])
async def test_who_has_not_said_all_when_it_stops_is_answered(port: int, sent: int) -> None:
    with connected(port) as client:
        client.sendall(REQUEST[:sent])
        stop()
        await turns(lambda: is_refused(port))
        response = await asyncio.to_thread(ask, client, REQUEST[sent:])
    assert response.headers["Connection"] == "close"


async def test_who_says_nothing_more_is_hung_up_on(port: int) -> None:
    with connected(port) as silent, connected(port) as idle:
        assert (await asyncio.to_thread(ask, idle)).headers["Connection"] is None
        stop()
        await eventually(lambda: is_refused(port))
        for client in (idle, silent):
            assert await asyncio.to_thread(client.recv, 1) == b""
