"""How long a proxy waits for the broker to take a request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from micropic.adapters.amqp_link import Broker
from micropic.adapters.amqp_previewer import AmqpPreviewer
from micropic.domain.errors import Overloaded
from micropic.pipeline.traced import Untraced
from micropic.services.intake import Bounds
from micropic.services.previewer import Worker
from micropic.services.tallies import Jobs
from tests.support.amqp_relay import AmqpRelay
from tests.support.rabbitmq import RabbitMQ
from tests.support.slow_work import PREVIEW, Slow, asked, deleting
from tests.support.waiting import eventually


@asynccontextmanager
async def silent(rabbitmq: RabbitMQ, slow: Slow) -> AsyncIterator[tuple[AmqpRelay, AmqpPreviewer]]:
    """Give a proxy's side, to which the broker says nothing any more, and what holds that up."""
    broker = Broker(host="127.0.0.1", port=rabbitmq.port, queue="unconfirmed")
    bounds = Bounds(usual=1, most=1, workable=1)
    async with (
        deleting(broker),
        AmqpRelay(rabbitmq.port) as relay,
        Worker(broker, slow, bounds, Jobs(), Untraced()) as worker,
        AmqpPreviewer(replace(broker, port=relay.port)) as previewer,
    ):
        await eventually(lambda: worker.ready and previewer.ready)
        relay.answer.clear()
        try:
            yield relay, previewer
        finally:
            relay.answer.set()


async def test_who_has_much_time_waits_for_a_busy_broker(rabbitmq: RabbitMQ) -> None:
    slow = Slow()
    async with silent(rabbitmq, slow) as (relay, previewer):
        preview = asyncio.create_task(previewer.preview(asked(60.0)))
        await eventually(lambda: slow.begun == 1)
        done, _ = await asyncio.wait([preview], timeout=1.5)
        assert not done
        relay.answer.set()
        slow.may_end.set()
        assert (await preview).body == PREVIEW.body


async def test_a_broker_that_takes_nothing_costs_a_part_of_the_time(rabbitmq: RabbitMQ) -> None:
    slow = Slow()
    slow.may_end.set()
    async with silent(rabbitmq, slow) as (_, previewer):
        with pytest.raises(Overloaded, match="did not take"):
            await previewer.preview(asked(5.0))
