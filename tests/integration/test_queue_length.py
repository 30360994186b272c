"""How long the queue is, is told to those who watch, and costs no request anything."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from micropic.adapters import amqp_queue_length
from micropic.adapters.amqp_link import Broker
from micropic.adapters.amqp_previewer import AmqpPreviewer
from micropic.pipeline.traced import Untraced
from micropic.services.intake import Bounds
from micropic.services.previewer import Worker
from micropic.services.tallies import Jobs
from tests.support.amqp_relay import AmqpRelay, asks_for_a_queue
from tests.support.rabbitmq import RabbitMQ
from tests.support.slow_work import PREVIEW, Slow, asked, deleting
from tests.support.waiting import eventually


async def test_a_broker_that_does_not_tell_it_costs_no_request(rabbitmq: RabbitMQ) -> None:
    broker = Broker(host="127.0.0.1", port=rabbitmq.port, queue="untold")
    slow, bounds = Slow(), Bounds(usual=1, most=1, workable=1)
    async with (
        deleting(broker),
        AmqpRelay(rabbitmq.port, asks_for_a_queue) as relay,
        Worker(broker, slow, bounds, Jobs(), Untraced()) as worker,
        AmqpPreviewer(replace(broker, port=relay.port)) as previewer,
    ):
        await eventually(lambda: worker.ready and previewer.ready)
        preview = asyncio.create_task(previewer.preview(asked()))
        await eventually(lambda: slow.begun == 1)
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
