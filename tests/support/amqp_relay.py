"""Something between a client and RabbitMQ that keeps some questions, or answers, to itself."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from typing import Self

_PROTOCOL_HEADER = 8
_FRAME_HEADER = struct.Struct(">BHI")
_METHOD = 1
_QUEUE_DECLARE = struct.pack(">HH", 50, 10)
_BASIC_QOS = struct.pack(">HH", 60, 10)
_CHANNEL_CLOSE = struct.pack(">HH", 20, 40)
_TIMED_OUT = 504
"""The code with which aiormq closes a channel on which it waited in vain."""


def asks_for_a_queue(method: bytes) -> bool:
    """Tell a passive declaration of a queue."""
    # Class, method, two bytes of no use, the name of the queue, flags: passive is the first.
    return method.startswith(_QUEUE_DECLARE) and bool(method[7 + method[6]] & 1)


def sets_a_prefetch(method: bytes) -> bool:
    """Tell how a consumer says how much it takes."""
    return method.startswith(_BASIC_QOS)


class AmqpRelay:
    """Passes on all methods but those that it `keeps`, so that these are never answered.

    While it does not `answer`, the broker's words wait here.
    """

    def __init__(self, port: int, keeps: Callable[[bytes], bool] = lambda _: False) -> None:
        self._broker = port
        self._keeps = keeps
        self.answer = asyncio.Event()
        self.answer.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server
        self.port: int
        self.kept = self.given_up = 0
        """Questions not passed on, and channels that were closed for want of an answer."""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(self, client: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
        broker, questions = await asyncio.open_connection("127.0.0.1", self._broker)
        for task in self._pass_on(client, questions), self._pass_back(broker, answers):
            self._tasks.add(asyncio.create_task(task))

    async def _pass_on(self, client: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        try:
            to.write(await client.readexactly(_PROTOCOL_HEADER))
            while True:
                header = await client.readexactly(_FRAME_HEADER.size)
                kind, _, size = _FRAME_HEADER.unpack(header)
                frame = await client.readexactly(size + 1)
                if kind == _METHOD and self._takes(frame):
                    self.kept += 1
                else:
                    to.write(header + frame)
        except asyncio.IncompleteReadError:
            to.close()

    async def _pass_back(self, broker: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        while data := await broker.read(65536):
            await self.answer.wait()
            to.write(data)
        to.close()

    def _takes(self, method: bytes) -> bool:
        if method.startswith(_CHANNEL_CLOSE):
            (code,) = struct.unpack_from(">H", method, 4)
            self.given_up += code == _TIMED_OUT
        return self._keeps(method)
