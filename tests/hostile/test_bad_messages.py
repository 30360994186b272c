"""Messages on the queue that nobody should send: a worker settles each, a proxy believes none."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage, AbstractQueue, HeadersType

from micropic.v1 import preview_pb2, request_pb2
from tests.support.client import Answer
from tests.support.cluster import Cluster, StartCluster
from tests.support.messages import bad_messages
from tests.support.pictures import photo
from tests.support.waiting import wait_until

MESSAGES = 400
REPLIES = 150
KEY = "/fill/30/20/f=jpeg+png,g=smart,q=80/sample:cat.jpg"
REQUEST = request_pb2.PreviewRequest(
    key=KEY, headers=[request_pb2.Header(name="x-a", value="b")], time_left=20.0, lease="x",
    request_id="owl-1",
)  # fmt: skip
REPLY = request_pb2.PreviewReply(
    preview=preview_pb2.Preview(
        body=photo(30, 20), media_type="image/jpeg", stored_at=time.time(), etag='"a"',
        lifetime=60.0, source=preview_pb2.SourceFacts(vary="X-A", last_modified="a"),
    )
)  # fmt: skip
REFUSAL = request_pb2.PreviewReply(
    problem=preview_pb2.Problem(
        code="origin_refused", detail="no", status=404, headers={"Retry-After": "5"}
    )
)
HEADERS: list[HeadersType] = [
    {}, {"traceparent": "00-zz"}, {"traceparent": 5}, {"x-death": [{"count": 9}]},
    {"a": [None, {}]},
]  # fmt: skip


async def connected(cluster: Cluster) -> aio_pika.abc.AbstractConnection:
    port = int(cluster.settings["AMQP_PORT"])
    return await aio_pika.connect(host="127.0.0.1", port=port)


async def waiting(channel: AbstractChannel, queue: str) -> int:
    """Give how many messages wait in a queue, not counting those that somebody works on."""
    declared = await channel.declare_queue(queue, passive=True)
    return declared.declaration_result.message_count or 0


async def test_a_worker_settles_whatever_comes(start_cluster: StartCluster) -> None:
    """It stops with nothing in its hands: what it had not settled would be in the queue again."""
    cluster = start_cluster(workers=1)
    queue = cluster.settings["AMQP_QUEUE"]
    answered: Counter[str] = Counter()

    async def take(message: AbstractIncomingMessage) -> None:
        reply = request_pb2.PreviewReply.FromString(message.body)
        answered[reply.problem.code or "preview"] += 1

    async with await connected(cluster) as connection:
        channel = await connection.channel()
        replies = await channel.declare_queue(exclusive=True)
        await replies.consume(take, no_ack=True)
        for number, body in enumerate(bad_messages([REQUEST], MESSAGES)):
            await publish(channel, queue, replies, number, body)
        await publish(channel, queue, replies, MESSAGES, REQUEST.SerializeToString())
        worker = cluster.workers[0]
        await asyncio.to_thread(
            wait_until, lambda: len(worker.events("request")) == MESSAGES + 1, 60.0
        )
        print(answered)  # noqa: T201 # for -rA
        assert answered["preview"] > 0
        assert answered["bad_request"] > 0
        assert await asyncio.to_thread(worker.stop) == 0
        assert await waiting(channel, queue) == 0
        assert await waiting(channel, f"{queue}.dead") == 0
    assert worker.events("defect") == []


async def publish(
    channel: AbstractChannel, queue: str, replies: AbstractQueue, number: int, body: bytes
) -> None:
    """Send a message with odd properties, too."""
    message = aio_pika.Message(
        body,
        correlation_id=None if number % 7 == 0 else f"{number}" * (1 + number % 60),
        reply_to="nowhere" if number % 11 == 0 else replies.name,
        headers=HEADERS[number % len(HEADERS)],
        content_type="text/html",
    )
    await channel.default_exchange.publish(message, queue, mandatory=False)


FORGED = {
    "over proxy.max_side": (KEY.replace("30/20", "513/20"), "bad_request"),
    "over proxy.max_pixels": (KEY.replace("30/20", "500/500"), "bad_request"),
    "a negative side": (KEY.replace("30/20", "-30/20"), "bad_request"),
    "dpr": (KEY.replace("q=80", "q=80,dpr=9"), "bad_request"),
    "a drawing": (KEY.replace("q=80", "q=80,explain=1"), "bad_request"),
    "not listed": (KEY.replace("q=80", "q=81"), "preview_forbidden"),
    "the other key's text": (KEY.replace("g=smart,q=80", "q=80,g=smart"), "bad_request"),
    "a variant of another": (f"{KEY}#0123456789abcdef", "bad_request"),
    "a source's": ("/source/0/0//sample:cat.jpg", "bad_request"),
    "a host that is not allowed": (KEY.replace("sample:cat.jpg", "http://h.example/a"),
                                   "source_forbidden"),
}  # fmt: skip


async def test_a_forged_request_gets_no_more_than_a_client(start_cluster: StartCluster) -> None:
    """The worker checks what it takes by the limits that proxies have, and the key by the rest."""
    cluster = start_cluster(
        workers=1, PROXY_MAX_SIDE="512", PROXY_MAX_PIXELS="100000", PROXY_PLAYGROUND="off",
        PROXY_TRANSFORMS="fill/30/20", SOURCE_ALLOW_HOSTS="other.example",
    )  # fmt: skip
    queue = cluster.settings["AMQP_QUEUE"]
    answered: dict[str, str] = {}

    async def take(message: AbstractIncomingMessage) -> None:
        reply = request_pb2.PreviewReply.FromString(message.body)
        answered[message.correlation_id or ""] = reply.problem.code or "preview"

    async with await connected(cluster) as connection:
        channel = await connection.channel()
        replies = await channel.declare_queue(exclusive=True)
        await replies.consume(take, no_ack=True)
        wanted = {"good": (KEY, "preview"), **FORGED}
        for name, (key, _) in wanted.items():
            request = request_pb2.PreviewRequest(key=key, time_left=20.0)
            message = aio_pika.Message(
                request.SerializeToString(), correlation_id=name, reply_to=replies.name
            )
            await channel.default_exchange.publish(message, queue)
        await asyncio.to_thread(wait_until, lambda: len(answered) == len(wanted), 60.0)
    assert answered == {name: code for name, (_, code) in wanted.items()}
    cached = await asyncio.to_thread(cluster.get, "/fill/30/20/sample:cat.jpg")
    assert cached.picture.size == (30, 20)


async def test_a_proxy_believes_no_reply_that_is_none(start_cluster: StartCluster) -> None:
    """It tells its client that something went wrong, and goes on."""
    cluster = start_cluster(workers=0)
    bodies = bad_messages([REPLY, REFUSAL], REPLIES)

    async def answer(message: AbstractIncomingMessage) -> None:
        body = next(bodies, REPLY.SerializeToString())
        reply = aio_pika.Message(body, correlation_id=message.correlation_id)
        await channel.default_exchange.publish(reply, message.reply_to or "", mandatory=False)
        await message.ack()

    def ask() -> list[Answer]:
        with cluster.crowd(8) as crowd:
            paths = [f"/fill/30/20/h.example/{number}" for number in range(REPLIES)]
            asked = [crowd.ask(path) for path in paths]
        return [each.result() for each in asked]

    async with await connected(cluster) as connection:
        channel = await connection.channel(publisher_confirms=False)
        requests = await channel.declare_queue(cluster.settings["AMQP_QUEUE"], passive=True)
        await requests.consume(answer)
        answers = await asyncio.to_thread(ask)
        outcomes = Counter(answer.status for answer in answers)
        print(outcomes)  # noqa: T201 # for -rA
        assert outcomes[200] > 0
        assert outcomes[500] > 0
        last = await asyncio.to_thread(cluster.get, "/fill/30/20/h.example/last")
    assert last.picture.size == (30, 20)
    assert cluster.events("defect") == []
