"""Listening sockets and the servers behind them."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import resource
import signal
import socket
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import uvicorn

from micropic.domain.waiting import ResponseRoom
from micropic.services.http_protocol import HttpProtocol, State

_BACKLOG = 2048
_STOP_TIMEOUT = 10
"""Seconds in which requests under way may end when the service stops."""
_TURNS = 3
_SO_ATTACH_FILTER = 26
_DROP_ALL = struct.pack("HBBI", 0x06, 0, 0, 0)
"""A program of classic BPF: keep nothing of any packet."""


@dataclass(frozen=True, slots=True)
class Listener:
    """A socket that listens and the application that answers on it."""

    socket: socket.socket
    app: Any
    responses: ResponseRoom = field(default_factory=ResponseRoom)
    """Memory budget for what waits for slow clients."""

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
    servers = [_Server(_config(listener.app), listener.responses) for listener in listeners]
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
        http=HttpProtocol,  # h11, the other choice, keeps fragments and absolute-form targets
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=_STOP_TIMEOUT,
    )


class _Server(uvicorn.Server):
    """A server that leaves the signals to `serve`, since there is more than one of them.

    It answers everybody whose connection was made before it stops.
    """

    server_state: State

    def __init__(self, config: uvicorn.Config, responses: ResponseRoom) -> None:
        super().__init__(config)
        self.server_state = State(responses)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take nobody new, and let what is under way end."""
        self.server_state.is_stopping = True
        taken = [connection for at in sockets or [] for connection in _accept_last(at)]
        for server in self.servers:
            server.close()
        loop = asyncio.get_running_loop()
        for connection in taken:
            await loop.connect_accepted_socket(self._protocol, connection)
        for _ in range(_TURNS):  # of the event loop, in which what has come by now is read
            await asyncio.sleep(0)
        await super().shutdown(sockets)

    def _protocol(self) -> HttpProtocol:
        return HttpProtocol(self.config, self.server_state, self.lifespan.state)


def _accept_last(listening: socket.socket) -> Iterator[socket.socket]:
    """Accept what waits at a socket that does not block, and is about to be closed.

    The kernel resets what it has accepted and we have not. So it is told to drop what comes: who
    tries to connect now tries again a second later, and is refused then.
    """
    with contextlib.suppress(OSError):  # not every kernel knows it: then there is a small gap
        instructions = ctypes.create_string_buffer(_DROP_ALL)
        program = struct.pack("HL", 1, ctypes.addressof(instructions))
        listening.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
    for _ in range(_BACKLOG + 1):  # as many as the kernel has in its queue
        try:
            connection, _address = listening.accept()
        except ConnectionAbortedError:  # this one has left
            continue
        except OSError:
            return
        yield connection
