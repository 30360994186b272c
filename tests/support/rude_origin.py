"""Web servers that do not keep to any rule: each behaves as one function of a test's says."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from typing import Any, Self, TypeVar

_T = TypeVar("_T")

_LONGEST_HEAD = 256 * 1024
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""SO_LINGER of no seconds: a close is a reset (socket(7))."""
_PAUSE = 0.02
"""Seconds between the bytes of a trickle."""


class Visit:
    """One connection to such a server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.places: Mapping[str, str]
        """Authorities, by the names that a behaviour may lead to; its own is `here`."""
        self.head = b""
        """The last request up to its empty line, as it came."""

    @property
    def target(self) -> str:
        """What was asked for."""
        return self.head.split(b" ")[1].decode("latin-1")

    async def asked(self) -> bool:
        """Wait for a request; tell whether one came."""
        try:
            self.head = await self._reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return False
        return True

    async def heard(self) -> bytes:
        """Wait for any bytes at all."""
        return await self._reader.read(65536)

    async def send(self, data: bytes) -> None:
        """Send bytes."""
        self._writer.write(data)
        await self._writer.drain()

    async def trickle(self, data: bytes) -> None:
        """Send them one by one."""
        for byte in data:
            await self.send(bytes([byte]))
            await asyncio.sleep(_PAUSE)

    async def gone(self) -> None:
        """Say nothing more until the client leaves."""
        while await self._reader.read(65536):
            pass

    def end(self) -> None:
        """Say that nothing more will come, and listen on."""
        self._writer.write_eof()

    def reset(self) -> None:
        """Break the connection off."""
        connection: socket.socket = self._writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._writer.transport.abort()


Act = Callable[[Visit], Awaitable[None]]
"""What a server does with a connection; when it returns, that is closed."""


class RudeOrigins:
    """Any number of such servers on 127.0.0.1, in a thread with an event loop of its own."""

    def __init__(self, places: Mapping[str, str]) -> None:
        self._places = places
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._servers: list[asyncio.Server] = []
        self._visits: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def visits(self) -> int:
        """How many connections are open."""
        return len(self._visits)

    def serve(self, acts: Iterable[Act], tls: ssl.SSLContext | None = None) -> list[str]:
        """Give each act a server of its own; give the authorities of these."""
        return self._do(self._open(list(acts), tls))

    def _do(self, work: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    # --- in the thread -----------------------------------------------------------------------

    def _run(self) -> None:
        self._loop.run_forever()

    async def _open(self, acts: list[Act], tls: ssl.SSLContext | None) -> list[str]:
        servers = [
            await asyncio.start_server(
                self._visited(act), "127.0.0.1", 0, limit=_LONGEST_HEAD, ssl=tls
            )
            for act in acts
        ]
        self._servers += servers
        return [f"127.0.0.1:{server.sockets[0].getsockname()[1]}" for server in servers]

    def _visited(self, act: Act) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]:
        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.ensure_future(self._behave(act, reader, writer))
            self._visits.add(task)
            task.add_done_callback(self._visits.discard)

        return connected

    async def _behave(
        self, act: Act, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        visit = Visit(reader, writer)
        host, port = writer.get_extra_info("sockname")
        visit.places = {**self._places, "here": f"{host}:{port}"}
        try:
            # Clients leave in the middle of everything: it is what most rows are about.
            with contextlib.suppress(OSError):
                await act(visit)
        except asyncio.CancelledError:
            writer.transport.abort()  # the test is over
        else:
            writer.close()

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
        for visit in self._visits:
            visit.cancel()
        await asyncio.gather(*self._visits, return_exceptions=True)
        for _ in range(5):  # turns, in which the connections really close
            await asyncio.sleep(0)
