"""How long the queue is, is told to those who watch, and costs no request anything."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import aio_pika
import pytest

from micropic.adapters import amqp_queue_length
from micropic.adapters.amqp_link import Broker
from micropic.adapters.amqp_previewer import AmqpPreviewer
from micropic.domain.model import Preview, PreviewRequest
from micropic.domain.urls import DEFAULT, build_path, parse_path
from micropic.pipeline.traced import Untraced
from micropic.services.intake import Bounds
from micropic.services.previewer import Worker
from micropic.services.tallies import Jobs
from tests.support.amqp_relay import AmqpRelay, asks_for_a_queue
from tests.support.rabbitmq import RabbitMQ

PREVIEW = Preview(b"x", "image/jpeg", 1e9, 60.0)


async def eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 # what is waited for sets no event
            await asyncio.sleep(0.01)


class Slow:
    """Makes a preview once it is told to."""

    def __init__(self) -> None:
        self.begun, self.may_end = asyncio.Event(), asyncio.Event()

    async def preview(self, _: PreviewRequest) -> Preview:
        self.begun.set()
        await self.may_end.wait()
        return PREVIEW


@asynccontextmanager
async def deleting(broker: Broker) -> AsyncIterator[aio_pika.abc.AbstractChannel]:
    """Give a channel, and leave no queue behind."""
    async with await broker.connect() as connection:
        channel = await connection.channel()
        yield channel
        await channel.queue_delete(broker.queue)
        await channel.queue_delete(broker.dead_letters)
        await channel.exchange_delete(broker.cancels)


async def test_a_broker_that_does_not_tell_it_costs_no_request(rabbitmq: RabbitMQ) -> None:
    broker = Broker(host="127.0.0.1", port=rabbitmq.port, queue="untold")
    slow, bounds = Slow(), Bounds(usual=1, most=1, workable=1)
    transform, source, *_ = parse_path(b"/fill/30/20/a.example/x", b"", DEFAULT)
    key = build_path(transform, source)
    asked = PreviewRequest(transform, source, key=key, deadline=time.monotonic() + 20)
    async with (
        deleting(broker),
        AmqpRelay(rabbitmq.port, asks_for_a_queue) as relay,
        Worker(broker, slow, bounds, Jobs(), Untraced()) as worker,
        AmqpPreviewer(replace(broker, port=relay.port)) as previewer,
    ):
        await eventually(lambda: worker.ready and previewer.ready)
        preview = asyncio.create_task(previewer.preview(asked))
        await slow.begun.wait()
        await eventually(lambda: relay.given_up > 0)
        assert relay.kept == 1
        assert previewer.ready
        assert previewer.queued is None
        slow.may_end.set()
        assert (await preview).body == PREVIEW.body


async def test_a_queue_that_was_deleted_while_no_worker_is_there_comes_back(
    rabbitmq: RabbitMQ, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(amqp_queue_length, "_EVERY", 0.05)
    broker = Broker(host="127.0.0.1", port=rabbitmq.port, queue="deleted")
    async with deleting(broker) as channel, AmqpPreviewer(broker) as previewer:
        await eventually(lambda: previewer.queued == 0)
        await channel.queue_delete(broker.queue)
        await eventually(lambda: previewer.queued is None)
        await eventually(lambda: previewer.queued == 0)
        await channel.declare_queue(broker.queue, passive=True)
