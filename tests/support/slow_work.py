"""Work that ends when a test lets it, and a broker that keeps nothing of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aio_pika.abc import AbstractChannel

from micropic.adapters.amqp_link import Broker
from micropic.domain.model import Preview, PreviewRequest
from micropic.domain.urls import DEFAULT, build_path, parse_path

PREVIEW = Preview(b"x", "image/jpeg", 1e9, 60.0)


class Slow:
    """Makes previews once it is told to."""

    def __init__(self) -> None:
        self.begun = 0
        self.may_end = asyncio.Event()

    async def preview(self, _: PreviewRequest) -> Preview:
        """Give the same for each."""
        self.begun += 1
        await self.may_end.wait()
        return PREVIEW


def asked(left: float = 20.0) -> PreviewRequest:
    """Give a request that has so many seconds."""
    transform, source, *_ = parse_path(b"/fill/30/20/a.example/x", b"", DEFAULT)
    key = build_path(transform, source)
    return PreviewRequest(transform, source, key=key, deadline=time.monotonic() + left)


@asynccontextmanager
async def deleting(broker: Broker) -> AsyncIterator[AbstractChannel]:
    """Give a channel, and leave no queue behind."""
    async with await broker.connect() as connection:
        channel = await connection.channel()
        yield channel
        await channel.queue_delete(broker.queue)
        await channel.queue_delete(broker.dead_letters)
        await channel.exchange_delete(broker.cancels)
