"""The worker: takes requests from the queue, has them made, answers."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Self

import structlog
from aio_pika import Message
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage
from google.protobuf.message import DecodeError

from micropic.adapters.amqp_link import Broker, BrokerError, Link, errors
from micropic.adapters.wire import messages
from micropic.domain import urls
from micropic.domain.errors import MicropicError
from micropic.domain.model import Preview, PreviewRequest
from micropic.domain.recent import Recent
from micropic.ports import Previewer, Tracer
from micropic.services.intake import Bounds, Intake
from micropic.services.tallies import Jobs
from micropic.v1 import request_pb2

log = structlog.get_logger()

_STOP_TIMEOUT = 10.0
"""Seconds in which requests under way may end when the worker stops."""
_CANCELLED_SECONDS = 60.0
"""For how long a request that was called back may come still."""
_CANCELLED_MOST = 100_000


class Worker:
    """Answers requests from the queue with what `inner` makes; an async context manager.

    It takes as many at a time as `bounds` say. A request is acknowledged once its answer is on its
    way: what a worker held that died or lost its connection, another one gets. What nobody waits
    for any more is not made, or given up. When it stops it takes nothing new and finishes what it
    has, within a bounded time.
    """

    def __init__(  # noqa: PLR0913 # what a worker has to do with
        self,
        broker: Broker,
        inner: Previewer,
        bounds: Bounds,
        jobs: Jobs,
        tracer: Tracer,
        *,
        grammar: urls.Grammar = urls.DEFAULT,
    ) -> None:
        self._grammar = grammar
        self._broker = broker
        self._jobs = jobs
        self._tracer = tracer
        self._inner = inner
        # Without confirms: the broker takes the frames of a channel in order, so an answer comes
        # before its acknowledgement, or neither does.
        self._link = Link(broker, self._opened, self._lost, confirms=False)
        self._intake = Intake(bounds, lambda: len(self._under_way))
        self._under_way: set[asyncio.Task[None]] = set()
        self._making: dict[str, asyncio.Task[Preview]] = {}
        self._cancelled: Recent[bool] = Recent(_CANCELLED_SECONDS, _CANCELLED_MOST)

    async def __aenter__(self) -> Self:
        await self._link.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._intake.close()
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=_STOP_TIMEOUT)
        await self._link.__aexit__()

    @property
    def in_flight(self) -> int:
        """How many requests are under way."""
        return len(self._under_way)

    @property
    def room(self) -> int:
        """How many it takes at most, at the moment."""
        return self._intake.room

    @property
    def ready(self) -> bool:
        """Tell whether requests can come in."""
        return self._link.ready

    async def _opened(self, channel: AbstractChannel, _: AbstractConnection) -> None:
        cancels = await channel.declare_queue(exclusive=True)
        await cancels.bind(self._broker.cancels)
        await cancels.consume(self._called_back, no_ack=True)
        queue = await channel.get_queue(self._broker.queue, ensure=False)
        await self._intake.open(channel, queue, self._take)

    def _lost(self) -> None:
        """Drop what is under way: the broker has given it to another worker."""
        self._intake.lost()
        for task in self._under_way:
            task.cancel()

    async def _called_back(self, message: AbstractIncomingMessage) -> None:
        """Give up a request, or remember that it is not to be begun."""
        number = message.correlation_id or ""
        self._cancelled.add(number, value=True, now=time.monotonic())
        if number in self._making:
            self._making[number].cancel()

    def _is_cancelled(self, number: str | None) -> bool:
        return bool(self._cancelled.get(number or "", time.monotonic()))

    async def _take(self, message: AbstractIncomingMessage) -> None:
        task = asyncio.create_task(self._answer(message))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _answer(self, message: AbstractIncomingMessage) -> None:
        started = time.monotonic()
        outcome: Preview | MicropicError | None
        waited = 0.0
        try:
            asked = request_pb2.PreviewRequest.FromString(message.body)
            waited = messages.on_its_way(asked)
            request = messages.request_from_message(asked)
            # Anyone who reaches the broker can write to the queue.
            urls.check_transform(request.transform, self._grammar)
        except (DecodeError, MicropicError) as error:
            log.warning("request_not_understood", error=str(error))
            outcome, key, request_id = _as_answer(error), "", ""
        else:
            key, request_id = request.key, request.request_id
            too_late = request.deadline <= started or self._is_cancelled(message.correlation_id)
            number = message.correlation_id or ""
            carrier = {name: str(value) for name, value in message.headers.items()}
            with self._tracer.span("work", carrier):
                outcome = None if too_late else await self._make(request, number)
            if isinstance(outcome, Preview):
                # What another worker had before says nothing of the queue.
                outcome = _having_waited(outcome, 0.0 if message.redelivered else waited)
        await self._settle(message, outcome)
        self._jobs.done(_summary(outcome), waited)
        log.info(
            "request",
            key=key,
            outcome=_summary(outcome),
            waited_ms=round(waited * 1000, 2),
            duration_ms=round((time.monotonic() - started) * 1000, 2),
            request_id=request_id,
        )

    async def _make(self, request: PreviewRequest, number: str) -> Preview | MicropicError | None:
        """Have a request made; None: it was called back."""
        making = asyncio.ensure_future(self._inner.preview(request))
        self._making[number] = making
        try:
            return await making
        except asyncio.CancelledError:
            if not self._is_cancelled(number):
                raise
            return None
        except MicropicError as error:
            # Its frames and the tasks that failed by it hold each other, and the source.
            return error.with_traceback(None)
        except Exception as error:  # a defect of ours is one 500, not a dead worker
            log.exception("defect", key=request.key, request_id=request.request_id)
            return _as_answer(error)
        finally:
            making.cancel()  # where it is this very task that was cancelled
            if self._making.get(number) is making:  # messages of others may share a number
                del self._making[number]

    async def _settle(
        self, message: AbstractIncomingMessage, outcome: Preview | MicropicError | None
    ) -> None:
        """Send the answer, if anyone waits for it, then acknowledge the request."""
        body = b"" if outcome is None else messages.outcome_to_bytes(outcome)
        try:
            with errors():
                if body and message.reply_to:
                    await message.channel.basic_publish(
                        body,
                        routing_key=message.reply_to,
                        properties=Message(body, correlation_id=message.correlation_id).properties,
                    )
                await message.ack()
        except BrokerError as error:
            log.warning("reply_lost", error=str(error))


def _having_waited(preview: Preview, seconds: float) -> Preview:
    """Say that it waited so long in the queue, too."""
    provenance = preview.provenance
    return replace(preview, provenance=replace(provenance, queue=provenance.queue + seconds))


def _as_answer(error: Exception) -> MicropicError:
    if isinstance(error, MicropicError):
        return error
    return MicropicError("Something went wrong inside a worker of micropic; its log has the trace.")


def _summary(outcome: Preview | MicropicError | None) -> str:
    if outcome is None:
        return "not_wanted"
    return outcome.code if isinstance(outcome, MicropicError) else "preview"
