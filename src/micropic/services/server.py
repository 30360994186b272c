"""Listening sockets and the servers behind them."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import signal
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_BACKLOG = 2048
_LONGEST_HEAD = 64 * 1024
"""Bytes that a request's line and header fields may take up."""
_STOP_TIMEOUT = 10
"""Seconds in which requests under way may end when the service stops."""


@dataclass(frozen=True, slots=True)
class Listener:
    """A socket that listens and the application that answers on it."""

    socket: socket.socket
    app: Any

    @property
    def port(self) -> int:
        """The port, also where any free one was asked for."""
        port: int = self.socket.getsockname()[1]
        return port


def listen(host: str, port: int) -> socket.socket:
    """Bind before anything else is started, so that a port in use is one clear error.

    Raises:
        OSError: the address cannot be listened on; the message names it.

    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        msg = f"cannot listen on {host}, port {port}: {error.strerror}"
        raise OSError(msg) from error


def allow_many_connections() -> None:
    """Raise the limit on open files as far as the process may: each connection is one.

    The usual soft limit of 1,024 is for programs that use select(2).
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def serve(listeners: Sequence[Listener]) -> None:
    """Serve all listeners until SIGINT or SIGTERM; what is under way may end."""
    servers = [_Server(_config(listener.app)) for listener in listeners]
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    running = [
        asyncio.create_task(server.serve([listener.socket]))
        for server, listener in zip(servers, listeners, strict=True)
    ]
    stopping = asyncio.create_task(stop.wait())
    # A server that ends by itself has met a fault: then the whole service ends, and says so.
    await asyncio.wait([stopping, *running], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    for server in servers:
        server.should_exit = True
    await asyncio.gather(*running)


def _config(app: Any) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=_Protocol,  # h11, the other choice, keeps fragments and absolute-form targets
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=_STOP_TIMEOUT,
    )


class _Protocol(HttpToolsProtocol):
    """Bounds what comes before a request's body, and sends an answer in one piece.

    Uvicorn takes a header without end, and writes an answer's header and its body apart.
    """

    _head = 0
    _in_head = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection."""
        joined = _JoinedWrites(cast("asyncio.Transport", transport))
        super().connection_made(cast("asyncio.Transport", joined))

    def on_message_begin(self) -> None:
        """Count from here."""
        self._head = 0
        self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Count no more."""
        self._in_head = False
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        """Refuse a request whose line and fields have grown too long."""
        if self._in_head:
            self._head += len(data)
            if self._head > _LONGEST_HEAD:
                self.send_400_response("The request's header is too long.")
                return
        super().data_received(data)


class _JoinedWrites:
    """Hands on at once what is written within one turn of the event loop.

    The transport sends each write as a packet of its own, and wakes the client for each.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._waiting: list[bytes] = []
        self.is_closing = transport.is_closing  # asked for with every answer

    def write(self, data: bytes) -> None:
        """Send it by the end of this turn."""
        if not self._waiting:
            self._loop.call_soon(self._flush)
        self._waiting.append(data)

    def close(self) -> None:
        """Send what waits, then close."""
        self._flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def _flush(self) -> None:
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            self._transport.writelines(waiting)


class _Server(uvicorn.Server):
    """A server that leaves the signals to `serve`, since there is more than one of them."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
