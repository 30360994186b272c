"""Tell all proxies what to forget, over RabbitMQ."""

from __future__ import annotations

from typing import Self

import structlog
from aio_pika import ExchangeType, Message
from aio_pika.abc import (
    AbstractChannel,
    AbstractConnection,
    AbstractExchange,
    AbstractIncomingMessage,
)
from google.protobuf.message import DecodeError

from micropic.adapters.amqp_link import Broker, BrokerError, Link, errors
from micropic.adapters.wire.messages import purge_from_message, purge_to_message
from micropic.domain.errors import Overloaded
from micropic.domain.purge import Purge
from micropic.ports import Purgeable
from micropic.v1 import cache_pb2

log = structlog.get_logger()

_TIMEOUT = 2.0
"""Seconds for the broker to take a message."""


class AmqpPurges:
    """Has `memory`, and that of every other proxy, forget what one is told; a context manager.

    A proxy that has no connection hears nothing: it forgets all when it is connected again.
    """

    def __init__(self, broker: Broker, memory: Purgeable) -> None:
        self._memory = memory
        self._name = f"{broker.queue}.purges"
        self._exchange: AbstractExchange | None = None
        self._link = Link(broker, self._opened, self._lost, confirms=True)

    async def __aenter__(self) -> Self:
        await self._link.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._link.__aexit__()

    async def purge(self, what: Purge) -> int:
        """Tell everybody; what they forget was counted where it is kept for all.

        Raises:
            Overloaded: the broker is out of reach, so that not everybody has heard of it.

        """
        body = purge_to_message(what).SerializeToString()
        try:
            with errors():
                if self._exchange is None:
                    msg = "there is no connection"
                    raise BrokerError(msg)  # noqa: TRY301 # one place answers for all of them
                await self._exchange.publish(Message(body), "", mandatory=False, timeout=_TIMEOUT)
        except BrokerError as error:
            log.warning("purge_not_told", error=str(error))
            msg = "The other proxies could not be told; try again in a moment."
            raise Overloaded(msg) from None
        return 0

    async def _opened(self, channel: AbstractChannel, _: AbstractConnection) -> None:
        exchange = await channel.declare_exchange(self._name, ExchangeType.FANOUT, durable=True)
        queue = await channel.declare_queue(exclusive=True)
        await queue.bind(exchange)
        await queue.consume(self._told, no_ack=True)
        await self._memory.purge(Purge(everything=True))  # for what was told before
        self._exchange = exchange

    def _lost(self) -> None:
        self._exchange = None

    async def _told(self, message: AbstractIncomingMessage) -> None:
        try:
            what = purge_from_message(cache_pb2.PurgeRequest.FromString(message.body))
        except DecodeError as error:
            log.warning("purge_not_understood", error=str(error))
            return
        await self._memory.purge(what)
