"""How many requests wait in RabbitMQ's queue."""

from __future__ import annotations

import asyncio
import contextlib

from aio_pika.abc import AbstractConnection
from aio_pika.exceptions import ChannelNotFoundEntity

from micropic.adapters.amqp_link import Broker, BrokerError, errors

_EVERY = 5.0
"""Seconds between two questions."""
_TIMEOUT = 1.0
"""Seconds for an answer."""


class QueueLength:
    """Asks the broker again and again, on a channel of its own.

    A call that fails or is late closes its channel, and one channel makes its calls one after the
    other: on that of the requests, a number for those who watch would cost previews.
    """

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._asking: asyncio.Task[None] | None = None
        self.value: int | None = None
        """Requests of all proxies that waited in the queue a while ago; None: nobody can tell."""

    def begin(self, connection: AbstractConnection) -> None:
        """Ask over this connection from now on."""
        self._asking = asyncio.create_task(self._keep_asking(connection))

    def end(self) -> None:
        """Ask no more: the connection is lost."""
        self.value = None
        if self._asking is not None:
            self._asking.cancel()

    async def _keep_asking(self, connection: AbstractConnection) -> None:
        while True:
            with contextlib.suppress(BrokerError), errors():
                await self._ask(connection)
            self.value = None
            await asyncio.sleep(_EVERY)

    async def _ask(self, connection: AbstractConnection) -> None:
        """Ask until that fails."""
        async with asyncio.timeout(_TIMEOUT):
            channel = await connection.channel(publisher_confirms=False)
        while True:
            try:
                queue = await channel.declare_queue(
                    self._broker.queue, passive=True, timeout=_TIMEOUT
                )
            except ChannelNotFoundEntity:  # deleted: with no worker there, nobody else sees it
                await self._broker.declare(connection)
                raise
            self.value = queue.declaration_result.message_count
            await asyncio.sleep(_EVERY)
