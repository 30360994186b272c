"""Have workers make the previews, by RPC over RabbitMQ."""

from __future__ import annotations

import asyncio
import itertools
import secrets
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Self

import structlog
from aio_pika import Message
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage
from google.protobuf.message import DecodeError

from micropic.adapters.amqp_link import Broker, BrokerError, Link, RefusedByBrokerError, errors
from micropic.adapters.amqp_queue_length import QueueLength
from micropic.adapters.wire import messages
from micropic.domain.errors import Overloaded, RenderCrashed, too_late
from micropic.domain.model import Preview, PreviewRequest
from micropic.v1 import request_pb2

log = structlog.get_logger()

_REPLY_TO = "amq.rabbitmq.reply-to"
"""RabbitMQ's direct reply-to: no queue to declare, to fill or to leave behind for each proxy.

Replies to a channel that is gone are dropped, as those in an exclusive queue would be.
"""
_CONFIRM_TIMEOUT, _LONGEST_CONFIRM = 1.0, 5.0
"""Seconds for the broker to take a request; one that is out of memory or disk takes none."""
_CONFIRM_SHARE = 0.2
"""Of the time that a request has, within these bounds: a broker may be busy."""
_GRACE = 0.1
"""Seconds past the deadline for a worker's own word on who ran out of time."""
_LONGEST = 3600.0
"""Seconds that a request may wait, whatever its deadline."""


class AmqpPreviewer:
    """Sends each request to whichever worker is free; an async context manager.

    What `carrier` gives goes along in a message's headers. It answers for the dead, too: the last
    place that a request which kills workers comes to is the queue of dead letters, and a proxy is
    there as long as anyone waits for an answer.
    """

    def __init__(self, broker: Broker, carrier: Callable[[], dict[str, str]] = dict) -> None:
        self._broker = broker
        self._carrier = carrier
        self._link = Link(broker, self._opened, self._lost, confirms=True)
        # Workers hear of the requests of all proxies: no two may have one id.
        self._ids = (f"{secrets.token_hex(8)}-{number}" for number in itertools.count())
        self._cancelling: set[asyncio.Task[None]] = set()
        self._waiting: dict[str, asyncio.Future[bytes]] = {}
        self._length = QueueLength(broker)

    async def __aenter__(self) -> Self:
        await self._link.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._link.__aexit__()

    @property
    def ready(self) -> bool:
        """Tell whether the broker takes requests."""
        return self._link.ready

    @property
    def queued(self) -> int | None:
        """Requests of all proxies that waited in the queue a while ago; None: nobody can tell."""
        return self._length.value

    async def preview(self, request: PreviewRequest) -> Preview:
        """Have a worker answer.

        Raises:
            Overloaded: the queue is full, or the broker is out of reach.
            DeadlineExceeded: no worker has answered in time.
            MicropicError: what the worker raised.

        """
        left = min(request.deadline - time.monotonic(), _LONGEST)
        if left <= 0:
            raise too_late()
        if self._link.channel is None:
            msg = "The workers are out of reach; try again in a moment."
            raise Overloaded(msg)
        number = next(self._ids)
        reply: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting[number] = reply
        try:
            async with asyncio.timeout(left + _GRACE):
                await self._send(self._link.channel, request, number, left)
                body = await reply
        except TimeoutError:
            raise too_late() from None
        except asyncio.CancelledError:
            self._call_back(number)
            raise
        finally:
            del self._waiting[number]
            reply.cancel()
        preview = messages.outcome_from_bytes(body)
        provenance = replace(preview.provenance, cache=request.forwarded)
        return replace(preview, provenance=provenance)

    async def _send(
        self, channel: AbstractChannel, request: PreviewRequest, number: str, left: float
    ) -> None:
        message = Message(
            messages.request_to_message(request).SerializeToString(),
            correlation_id=number,
            headers=dict(self._carrier()),
            reply_to=_REPLY_TO,
            expiration=left,
        )
        share = min(_CONFIRM_SHARE * left, _LONGEST_CONFIRM)
        patience = min(max(_CONFIRM_TIMEOUT, share), left)
        try:
            with errors():
                await channel.default_exchange.publish(
                    message, self._broker.queue, timeout=patience
                )
        except RefusedByBrokerError:
            msg = "Too many previews are waiting already; try again in a moment."
            raise Overloaded(msg) from None
        except BrokerError as error:
            log.warning("request_not_taken", error=str(error))
            msg = "The broker did not take the request; try again in a moment."
            raise Overloaded(msg) from None

    def _call_back(self, number: str) -> None:
        """Tell the workers that nobody waits for a request any more."""
        task = asyncio.create_task(self._cancel(number))
        self._cancelling.add(task)
        task.add_done_callback(self._cancelling.discard)

    async def _cancel(self, number: str) -> None:
        channel = self._link.channel
        if channel is None:
            return
        properties = Message(b"", correlation_id=number).properties
        try:
            with errors():
                below = await channel.get_underlay_channel()
                await below.basic_publish(
                    b"",
                    exchange=self._broker.cancels,
                    properties=properties,
                    timeout=_CONFIRM_TIMEOUT,
                )
        except BrokerError as error:
            log.warning("request_not_cancelled", error=str(error))

    async def _opened(self, channel: AbstractChannel, connection: AbstractConnection) -> None:
        replies = await channel.get_queue(_REPLY_TO, ensure=False)
        await replies.consume(self._replied, no_ack=True)
        dead = await channel.get_queue(self._broker.dead_letters, ensure=False)
        await dead.consume(self._died, no_ack=True)
        self._length.begin(connection)

    def _lost(self) -> None:
        """Let go of whoever waits: replies find the channel that they were sent to, or nobody."""
        self._length.end()
        for reply in self._waiting.values():
            if not reply.done():
                msg = "The workers went out of reach; try again in a moment."
                reply.set_exception(Overloaded(msg))
                reply.exception()  # seen: whoever is still sending is told by that

    async def _replied(self, message: AbstractIncomingMessage) -> None:
        reply = self._waiting.get(message.correlation_id or "")
        if reply is not None and not reply.done():
            reply.set_result(message.body)

    async def _died(self, message: AbstractIncomingMessage) -> None:
        """Answer a request that workers died of; what expired here has nobody waiting."""
        if message.headers.get("x-first-death-reason") != "delivery_limit":
            return
        key, request_id = _known(message.body)
        log.warning("request_killed_workers", key=key, request_id=request_id)
        msg = "The workers that tried to make this preview died of it."
        body = messages.outcome_to_bytes(RenderCrashed(msg))
        try:
            with errors():
                await message.channel.basic_publish(
                    body,
                    routing_key=message.reply_to or "",
                    properties=Message(body, correlation_id=message.correlation_id).properties,
                )
        except BrokerError as error:
            log.warning("reply_lost", error=str(error))


def _known(body: bytes) -> tuple[str, str]:
    """Give the key of a request and its id in the log, as far as they can be read."""
    try:
        request = request_pb2.PreviewRequest.FromString(body)
    except DecodeError:
        return "", ""
    return request.key, request.request_id
