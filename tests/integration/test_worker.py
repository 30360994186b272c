"""What a worker does with messages as a proxy would not send them."""

from __future__ import annotations

from aio_pika import Message

from micropic.adapters.amqp_link import Broker
from micropic.adapters.wire import messages
from micropic.pipeline.traced import Untraced
from micropic.services.intake import Bounds
from micropic.services.previewer import Worker
from micropic.services.tallies import Jobs
from tests.support.rabbitmq import RabbitMQ
from tests.support.slow_work import Slow, asked, deleting
from tests.support.waiting import eventually


async def test_two_messages_of_one_number_are_both_settled(rabbitmq: RabbitMQ) -> None:
    """As when a message comes again while its first work, that was cancelled, is still ending."""
    broker = Broker(host="127.0.0.1", port=rabbitmq.port, queue="one-number")
    slow, bounds = Slow(), Bounds(usual=2, most=2, workable=2)
    body = messages.request_to_message(asked()).SerializeToString()
    async with deleting(broker) as channel:
        async with Worker(broker, slow, bounds, Jobs(), Untraced()) as worker:
            await eventually(lambda: worker.ready)
            replies = await channel.declare_queue(exclusive=True)
            for _ in range(2):
                message = Message(body, correlation_id="7", reply_to=replies.name)
                await channel.default_exchange.publish(message, broker.queue)
            await eventually(lambda: slow.begun == 2)
            slow.may_end.set()
            await eventually(lambda: worker.in_flight == 0)
        # What a worker that is gone has not acknowledged is in its queue again.
        queue = await channel.declare_queue(broker.queue, passive=True)
        answers = await channel.declare_queue(replies.name, passive=True, exclusive=True)
    assert answers.declaration_result.message_count == 2
    assert queue.declaration_result.message_count == 0
