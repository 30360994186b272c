"""How many requests a worker takes from a real queue."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aio_pika
import pytest_asyncio
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage, AbstractQueue
from aiormq.abc import FieldTable

from micropic.services.intake import Bounds, Intake
from tests.support.amqp_relay import AmqpRelay, sets_a_prefetch
from tests.support.rabbitmq import RabbitMQ
from tests.support.waiting import eventually

USUAL, MOST = 3, 10


class Worker:
    """Holds what it takes; the test says how many of these only wait for their origin."""

    def __init__(self, channel: AbstractChannel, queue: AbstractQueue) -> None:
        self.channel = channel
        self.queue = queue
        self.held: list[AbstractIncomingMessage] = []
        self.idle = 0
        self.intake: Intake

    async def begin(self, most: int = MOST) -> None:
        bounds = Bounds(usual=USUAL, most=most, workable=1, idle=lambda: self.idle)
        self.intake = Intake(bounds, lambda: len(self.held))
        await self.intake.open(self.channel, self.queue, self._take)

    async def _take(self, message: AbstractIncomingMessage) -> None:
        self.held.append(message)

    async def publish(self, count: int) -> None:
        for number in range(count):
            message = aio_pika.Message(str(number).encode())
            await self.channel.default_exchange.publish(message, self.queue.name)

    async def acknowledge(self) -> None:
        held, self.held = self.held, []
        for message in held:
            await message.ack()

    async def acknowledge_all(self, count: int) -> None:
        """Do so with what comes, until that were so many: what is on its way is in no queue."""
        while count > 0:
            await eventually(lambda: bool(self.held))
            count -= len(self.held)
            await self.acknowledge()

    async def left(self) -> int:
        """Give how many are in the queue still, once it has heard of all acknowledgements."""
        again = await self.channel.declare_queue(self.queue.name, passive=True)
        return again.declaration_result.message_count or 0


@pytest_asyncio.fixture
async def worker(rabbitmq: RabbitMQ) -> AsyncIterator[Worker]:
    async with await aio_pika.connect(host="127.0.0.1", port=rabbitmq.port) as connection:
        channel = await connection.channel()
        arguments: FieldTable = {"x-queue-type": "quorum"}
        queue = await channel.declare_queue("intake", durable=True, arguments=arguments)
        worker = Worker(channel, queue)
        try:
            yield worker
        finally:
            await worker.intake.close()
            await queue.delete(if_unused=False, if_empty=False)


async def test_it_takes_the_usual_number_while_there_is_work(worker: Worker) -> None:
    await worker.publish(20)
    await worker.begin()
    await eventually(lambda: len(worker.held) == USUAL)
    worker.idle = 1
    assert await worker.left() == 20 - USUAL
    assert (len(worker.held), worker.intake.room) == (USUAL, USUAL)


async def test_it_takes_more_while_most_wait_for_their_origin_and_fewer_again(
    worker: Worker,
) -> None:
    worker.idle = MOST
    await worker.publish(20)
    await worker.begin()
    await eventually(lambda: len(worker.held) == MOST)
    assert await worker.left() == 20 - MOST
    worker.idle = 0
    await worker.acknowledge_all(20)
    await eventually(lambda: worker.intake.room == USUAL)


async def test_a_number_that_is_fixed_stays(worker: Worker) -> None:
    worker.idle = 99
    await worker.publish(20)
    await worker.begin(most=USUAL)
    await eventually(lambda: len(worker.held) == USUAL)
    assert await worker.left() == 20 - USUAL
    assert worker.intake.room == USUAL


async def test_it_takes_nothing_once_it_is_closed(worker: Worker) -> None:
    await worker.begin()
    await worker.publish(1)
    await eventually(lambda: len(worker.held) == 1)
    await worker.intake.close()
    await worker.publish(1)
    assert await worker.left() == 1
    assert len(worker.held) == 1


async def test_once_it_is_closed_nothing_is_left_that_hangs_in_a_call(
    worker: Worker, rabbitmq: RabbitMQ
) -> None:
    seen = 0

    def sets_another(method: bytes) -> bool:
        nonlocal seen
        seen += sets_a_prefetch(method)
        return seen > 1 and sets_a_prefetch(method)

    async with AmqpRelay(rabbitmq.port, sets_another) as relay:
        connection = await aio_pika.connect(host="127.0.0.1", port=relay.port)
        async with connection, connection.channel() as channel:
            worker.queue = await channel.get_queue(worker.queue.name)
            worker.channel = channel
            worker.idle = MOST
            await worker.publish(USUAL)
            await worker.begin()
            await eventually(lambda: relay.kept == 1)
            keeper = worker.intake._keeper
            assert keeper is not None
            await worker.intake.close()
            await eventually(keeper.done)
