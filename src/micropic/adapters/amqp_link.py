"""A connection to RabbitMQ that comes back by itself, and the queues behind it."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, Self

import aio_pika
import structlog
from aio_pika import ExchangeType
from aio_pika.abc import AbstractChannel, AbstractConnection
from aio_pika.exceptions import ChannelPreconditionFailed, DeliveryError

log = structlog.get_logger()

_CONNECT_TIMEOUT = 5.0
"""Seconds to connect and set up a channel."""
_CLOSE_TIMEOUT = 2.0
_HEARTBEAT = 10
"""Seconds; after two without a sign of life the broker gives what we hold to another worker."""
_FIRST_BACKOFF = 0.1
_LONGEST_BACKOFF = 5.0
_DELIVERY_LIMIT = 2
"""Redeliveries of a message: whoever has killed three workers is not tried on a fourth."""
_DEAD_LENGTH = 1000
_DEAD_TTL = 60_000
"""Milliseconds; nobody waits that long for an answer."""


class BrokerError(Exception):
    """The broker is out of reach, or broke off what was under way."""


class RefusedByBrokerError(BrokerError):
    """The broker took a message, but the queue is full or cannot keep it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """Where RabbitMQ is, and which queues are ours."""

    protocol: str = "amqp"
    """Or amqps, checked against the system's certificates."""
    user: str = "guest"
    password: str = "guest"  # noqa: S105 # RabbitMQ's own default, good on loopback alone
    host: str = "localhost"
    port: int = 5672
    queue: str = "micropic.previews"
    queue_length: int = 1000
    """Requests that may wait; one more is refused."""

    @property
    def dead_letters(self) -> str:
        """Name the queue of what was not answered: expired, or too often under a dying worker."""
        return f"{self.queue}.dead"

    @property
    def cancels(self) -> str:
        """Name the exchange where all workers hear which requests nobody waits for any more."""
        return f"{self.queue}.cancels"

    async def connect(self) -> AbstractConnection:
        """Connect, once."""
        return await aio_pika.connect(
            host=self.host,
            port=self.port,
            login=self.user,
            password=self.password,
            ssl=self.protocol == "amqps",
            heartbeat=_HEARTBEAT,
        )

    async def call(self) -> None:
        """Connect and hang up again: it raises what the library does."""
        connection = await self.connect()
        await connection.close()

    async def declare(self, connection: AbstractConnection) -> None:
        """See to it that queues and exchange exist; those that do stay as they are."""
        channel = await connection.channel()
        await channel.declare_exchange(self.cancels, ExchangeType.FANOUT, durable=True)
        await channel.close()
        await _declare(
            connection,
            self.dead_letters,
            {"x-max-length": _DEAD_LENGTH, "x-message-ttl": _DEAD_TTL},
        )
        await _declare(
            connection,
            self.queue,
            {
                "x-delivery-limit": _DELIVERY_LIMIT,  # quorum queues alone count deliveries
                "x-max-length": self.queue_length,
                "x-overflow": "reject-publish",
                "x-dead-letter-exchange": "",
                "x-dead-letter-routing-key": self.dead_letters,
            },
        )


async def _declare(connection: AbstractConnection, queue: str, arguments: dict[str, Any]) -> None:
    channel = await connection.channel()  # of its own: the broker closes it if it refuses
    try:
        await channel.declare_queue(
            queue, durable=True, arguments={"x-queue-type": "quorum", **arguments}
        )
    except ChannelPreconditionFailed:
        log.warning("queue_differs", queue=queue, detail="Delete it to have it declared anew.")
    else:
        await channel.close()


class Link:
    """Keeps one channel open; an async context manager.

    `opened` is called with each new channel and its connection before anyone else sees them, `lost`
    after each one that has closed.
    """

    def __init__(
        self,
        broker: Broker,
        opened: Callable[[AbstractChannel, AbstractConnection], Awaitable[None]],
        lost: Callable[[], None],
        *,
        confirms: bool,
    ) -> None:
        self._broker = broker
        self._opened = opened
        self._lost = lost
        self._confirms = confirms
        self._keeper: asyncio.Task[None]
        self.channel: AbstractChannel | None = None
        """None while there is no connection."""

    async def __aenter__(self) -> Self:
        """Begin to connect; whoever cannot wait looks at `channel`."""
        self._keeper = asyncio.create_task(self._keep())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._keeper.cancel()
        await asyncio.gather(self._keeper, return_exceptions=True)

    @property
    def ready(self) -> bool:
        """Tell whether the channel is open."""
        return self.channel is not None

    async def _keep(self) -> None:
        backoff = _FIRST_BACKOFF
        while True:
            try:
                with errors():
                    async with self._channel() as (channel, closed):
                        self.channel, backoff = channel, _FIRST_BACKOFF
                        log.info("broker_connected", host=self._broker.host)
                        await closed.wait()
                        log.warning("broker_lost", host=self._broker.host)
            except BrokerError as error:
                log.warning("broker_unreachable", host=self._broker.host, error=str(error))
            finally:
                self.channel = None
                self._lost()
            # Jitter: those who lost the same broker do not all come back at the same moment.
            await asyncio.sleep(backoff * random.uniform(0.5, 1.0))  # noqa: S311 # no secret
            backoff = min(2 * backoff, _LONGEST_BACKOFF)

    @contextlib.asynccontextmanager
    async def _channel(self) -> AsyncIterator[tuple[AbstractChannel, asyncio.Event]]:
        """Open a channel, and give with it what is set when it is of no use any more."""
        closed = asyncio.Event()
        async with asyncio.timeout(_CONNECT_TIMEOUT):
            connection = await self._broker.connect()
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT):
                await self._broker.declare(connection)
                channel = await connection.channel(
                    publisher_confirms=self._confirms, on_return_raises=self._confirms
                )
                channel.close_callbacks.add(lambda *_: closed.set())
                below = await channel.get_underlay_channel()
                # The broker ends a consumer whose queue is deleted; the next one declares it.
                below.on_consumer_cancel_callbacks.add(lambda _: closed.set())
                await self._opened(channel, connection)
            yield channel, closed
        finally:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(_CLOSE_TIMEOUT):
                    await connection.close()


@contextlib.contextmanager
def errors() -> Iterator[None]:
    """Let nothing of the library's out but as a `BrokerError`.

    Its exceptions have no common root, and what waits on a channel when that is lost may be told
    so by a CancelledError or a bare Exception.
    """
    try:
        yield
    except BrokerError:
        raise
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise  # it is the caller who is cancelled
        raise BrokerError(str(error)) from error
    except DeliveryError as error:
        raise RefusedByBrokerError(str(error)) from error
    except Exception as error:
        raise BrokerError(str(error) or type(error).__name__) from error
