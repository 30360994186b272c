"""How many requests a worker takes from the queue at a time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NamedTuple

import structlog
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage, AbstractQueue, ConsumerTag

from micropic.adapters.amqp_link import BrokerError, errors

log = structlog.get_logger()

_PAUSE = 0.005
"""Seconds in which what has come is begun, so that it shows what it waits for."""
_LINGER = 1.0
"""Seconds after which room that is not needed is given up, piece by piece."""
_TIMEOUT = 2.0
"""Seconds in which the broker has to hear that a worker stops."""

Take = Callable[[AbstractIncomingMessage], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How many requests a worker takes."""

    usual: int
    """At a time."""
    most: int
    """At a time, where some only wait for their origin."""
    workable: int
    """As many can be worked on at once; with fewer in hand a render process may lack work."""
    idle: Callable[[], int] = lambda: 0
    """How many of those in hand only wait for their origin."""


class _Consumer(NamedTuple):
    tag: ConsumerTag
    room: int
    since: float


class Intake:
    """Takes the usual number of requests at a time, and more while most only wait for an origin.

    So what waits for a render process waits in the queue, where any worker may take it, and
    origins that hang do not keep a worker from all other work. RabbitMQ bounds what each consumer
    holds, and for quorum queues nothing else: for more room there is one more consumer.
    """

    def __init__(self, bounds: Bounds, held: Callable[[], int]) -> None:
        self._bounds = bounds
        self._held = held
        self._consumers: list[_Consumer] = []
        self._came = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        # A call that is cancelled on its way closes the channel.
        self._calling = asyncio.Lock()
        self._channel: AbstractChannel
        self._queue: AbstractQueue
        self._take: Take

    @property
    def room(self) -> int:
        """How many requests it may hold at the moment."""
        return sum(consumer.room for consumer in self._consumers)

    async def open(self, channel: AbstractChannel, queue: AbstractQueue, take: Take) -> None:
        """Begin to take requests."""
        self._channel, self._queue, self._take = channel, queue, take
        await self._add(self._bounds.usual)
        if self._bounds.most > self._bounds.usual:
            self._keeper = asyncio.create_task(self._keep())

    def lost(self) -> None:
        """Take note that the channel is gone."""
        self._consumers.clear()
        self._stop_keeping()

    async def close(self) -> None:
        """Take nothing new."""
        try:
            with errors():
                async with asyncio.timeout(_TIMEOUT), self._calling:
                    self._stop_keeping()
                    while self._consumers:
                        await self._drop()
        except BrokerError as error:
            log.warning("consumer_not_cancelled", error=str(error))
        finally:
            self._stop_keeping()  # in whatever call it hangs

    def _stop_keeping(self) -> None:
        if self._keeper is not None:
            self._keeper.cancel()

    async def _add(self, room: int) -> None:
        await self._channel.set_qos(room)
        tag = await self._queue.consume(self._taken)
        self._consumers.append(_Consumer(tag, room, asyncio.get_running_loop().time()))

    async def _drop(self) -> None:
        await self._queue.cancel(self._consumers.pop().tag)

    async def _taken(self, message: AbstractIncomingMessage) -> None:
        self._came.set()
        await self._take(message)

    async def _keep(self) -> None:
        """Have as much room as is needed, until the channel is lost."""
        # Whoever keeps the channel sees, too, that it is lost.
        with contextlib.suppress(BrokerError), errors():
            while True:
                await self._something_new()
                await self._grow()
                await self._shrink()

    async def _something_new(self) -> None:
        """Wait until something has come and is begun, or until there may be too much room."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LINGER if len(self._consumers) > 1 else None):
                await self._came.wait()
            self._came.clear()
            await asyncio.sleep(_PAUSE)

    async def _grow(self) -> None:
        """While nothing more can come, see whether there is enough to do."""
        bounds = self._bounds
        while self._held() >= self.room:
            workable = self._held() - bounds.idle()
            if workable <= bounds.workable and self.room < bounds.most:
                async with self._calling:
                    await self._add(min(self.room, bounds.most - self.room))
            else:
                await asyncio.sleep(_PAUSE)

    async def _shrink(self) -> None:
        last = self._consumers[-1]
        needed = self._bounds.usual + self._bounds.idle()
        is_old = asyncio.get_running_loop().time() - last.since >= _LINGER
        if len(self._consumers) > 1 and is_old and needed <= self.room - last.room:
            async with self._calling:
                await self._drop()
