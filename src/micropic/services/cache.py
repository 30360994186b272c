"""The shared cache: a cache on disk, and the leases on what is missing there, behind gRPC."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any, Self

import grpc
from grpc import StatusCode
from grpc.aio import ServicerContext
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from micropic.adapters.disk_cache import DiskCache
from micropic.adapters.levels import Levels
from micropic.adapters.wire.limits import (
    MAX_BODY,
    MAX_INLINE,
    MAX_TIME_LEFT,
    MESSAGE_OPTIONS,
    pieces,
)
from micropic.adapters.wire.messages import (
    preview_from_message,
    preview_to_message,
    problem_from_message,
    problem_to_message,
    purge_from_message,
)
from micropic.domain import freshness, model
from micropic.domain.errors import MicropicError
from micropic.domain.model import BodyLostError, Preview
from micropic.services.leases import Leases
from micropic.v1 import cache_pb2, cache_pb2_grpc

_NAME = cache_pb2.DESCRIPTOR.services_by_name["Cache"].full_name
_NAMES = (_NAME, health.SERVICE_NAME, reflection.SERVICE_NAME)
_CALLS_AT_ONCE = 4096
"""One more is refused; most of those that last do nothing but wait for a lease."""
_LARGE_AT_ONCE = 8
"""Bodies that are streamed at a time: each is in memory as a whole."""
_LARGE_TIMEOUT = 30.0
"""Seconds for one of them, whatever the caller allows."""
_STOP_TIMEOUT = 5.0
"""Seconds in which calls under way may end when the service stops."""
_OPTIONS = (
    *MESSAGE_OPTIONS,
    ("grpc.so_reuseport", 0),  # a second cache on the port is an error, not half of the calls
    ("grpc.http2.max_ping_strikes", 0),  # clients that wait look often whether we are there
)

_Context = ServicerContext[Any, Any]


class CacheServer:
    """Serves a cache by gRPC, with reflection and the standard health service.

    Raises:
        OSError: the address cannot be listened on.

    """

    def __init__(
        self,
        cache: DiskCache | Levels,
        host: str,
        port: int,
        interceptors: Sequence[grpc.aio.ServerInterceptor] = (),
    ) -> None:
        self._leases = Leases()
        self._health = health.aio.HealthServicer()
        self._server = grpc.aio.server(
            interceptors=interceptors, options=_OPTIONS, maximum_concurrent_rpcs=_CALLS_AT_ONCE
        )
        cache_pb2_grpc.add_CacheServicer_to_server(CacheService(cache, self._leases), self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection(_NAMES, self._server)
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            self.port = self._server.add_insecure_port(address)
        except RuntimeError:
            msg = f"{address} cannot be listened on; it may be in use"
            raise OSError(msg) from None

    @property
    def leases(self) -> int:
        """How many leases are held."""
        return len(self._leases)

    async def __aenter__(self) -> Self:
        """Begin to answer."""
        await self._server.start()
        for name in ("", _NAME):
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Let those who wait go on without a lease, and finish what is under way."""
        await self._health.enter_graceful_shutdown()
        self._leases.close()
        await self._server.stop(_STOP_TIMEOUT)


class CacheService(cache_pb2_grpc.CacheServicer):
    """Answers the calls of `proto/micropic/v1/cache.proto`."""

    def __init__(self, cache: DiskCache | Levels, leases: Leases) -> None:
        self._cache = cache
        self._leases = leases
        self._large = asyncio.Semaphore(_LARGE_AT_ONCE)
        self._puts: set[asyncio.Task[None]] = set()

    async def Get(self, request: cache_pb2.GetRequest, _: _Context) -> cache_pb2.GetReply:
        """Give what is kept, fresh or not."""
        return await self._get(request.key)

    async def GetMany(
        self, request: cache_pb2.GetManyRequest, _: _Context
    ) -> cache_pb2.GetManyReply:
        """Do the same for many keys, as far as one message goes."""
        replies: list[cache_pb2.GetReply] = []
        room = MAX_INLINE
        for key in request.keys:
            reply = await self._get(key)
            room -= reply.ByteSize()
            if room < 0 and replies:
                break
            replies.append(reply)
        return cache_pb2.GetManyReply(replies=replies)

    async def _get(self, key: str) -> cache_pb2.GetReply:
        preview = await self._cache.get(key)
        if preview is None:
            return cache_pb2.GetReply()
        if preview.stored:
            head = preview_to_message(preview)
            return cache_pb2.GetReply(large=True, preview=head, length=preview.length)
        if preview.length > MAX_INLINE:
            return cache_pb2.GetReply(large=True)
        return cache_pb2.GetReply(preview=preview_to_message(preview))

    async def GetLarge(
        self, request: cache_pb2.GetRequest, _: _Context
    ) -> AsyncIterator[cache_pb2.Piece]:
        """Yield an entry in pieces: nothing on a miss, less than all of it if it is damaged."""
        async with self._large, asyncio.timeout(_LARGE_TIMEOUT):
            preview = await self._cache.get(request.key)
            if preview is None or request.stored_at not in {0.0, preview.stored_at}:
                return
            first, last = _part(request, preview.length)
            if request.check and preview.stored:
                try:
                    await preview.stored.check(first, last)
                except BodyLostError:
                    return
            yield cache_pb2.Piece(preview=preview_to_message(replace(preview, body=b"")))
            if request.check:
                return
            with contextlib.suppress(BodyLostError):
                async for piece in _pieces(preview, first, last):
                    yield cache_pb2.Piece(body=piece)

    async def Lease(
        self, request: cache_pb2.LeaseRequest, context: _Context
    ) -> AsyncIterator[cache_pb2.LeaseReply]:
        """Give a lease, or what came of another's; who is gone holds none."""
        await context.send_initial_metadata(())  # whoever waits is to know that it was heard
        outcome = await self._outcome(request)
        if not isinstance(outcome, model.Lease):
            yield _lease_reply(outcome)
            return
        try:
            yield cache_pb2.LeaseReply(token=outcome.token)
            await self._leases.ended(request.key, outcome.token)
        finally:
            self._leases.give_up(request.key, outcome.token)

    async def _outcome(
        self, request: cache_pb2.LeaseRequest
    ) -> model.Lease | Preview | MicropicError | None:
        outcome = await self._leases.take(request.key, _bounded(request.time_left))
        if isinstance(outcome, model.Lease):
            outcome = await self._kept_meanwhile(request.key, outcome)
        return outcome

    async def _kept_meanwhile(self, key: str, lease: model.Lease) -> model.Lease | Preview:
        """Look once more: another may have finished since the caller's `Get`."""
        if not self._cache.has(key):
            return lease
        try:
            kept = await self._cache.get(key)
        except BaseException:
            self._leases.give_up(key, lease.token)
            raise
        if kept is None or not _is_fresh(kept):
            return lease
        self._leases.share(key, kept)
        return kept

    async def Put(self, request: cache_pb2.PutRequest, _: _Context) -> cache_pb2.PutReply:
        """Keep a preview, and give it to those who wait."""
        await self._keep(request.key, preview_from_message(request.preview), request.lease)
        return cache_pb2.PutReply()

    async def PutLarge(
        self, stream: AsyncIterator[cache_pb2.PutPiece], context: _Context
    ) -> cache_pb2.PutReply:
        """Do the same with a body that comes in pieces."""
        async with self._large, asyncio.timeout(_LARGE_TIMEOUT):
            first = await anext(stream, cache_pb2.PutPiece())
            if not first.HasField("request"):
                await context.abort(StatusCode.INVALID_ARGUMENT, "The first piece is no request.")
            body = bytearray()
            async for piece in stream:
                body += piece.body
                if len(body) > MAX_BODY:
                    await context.abort(StatusCode.RESOURCE_EXHAUSTED, "The body is too large.")
            # A stream whose sender has left may look as if it had come to its end.
            if len(body) != first.request.length:
                await context.abort(StatusCode.INVALID_ARGUMENT, "The body is not whole.")
            preview = preview_from_message(first.request.preview)
            preview = replace(preview, body=bytes(body))
            await self._keep(first.request.key, preview, first.request.lease)
        return cache_pb2.PutReply()

    async def _keep(self, key: str, preview: Preview, token: str) -> None:
        """Keep it for others, too: a caller whose time is up does not stop it half-way."""
        task = asyncio.create_task(self._keep_and_share(key, preview, token))
        self._puts.add(task)
        task.add_done_callback(self._puts.discard)
        await asyncio.shield(task)

    async def _keep_and_share(self, key: str, preview: Preview, token: str) -> None:
        await self._cache.put(key, preview)
        # Only then: whoever finds no lease any more finds the preview.
        if _is_fresh(preview):
            self._leases.share(key, preview)
        else:
            self._leases.give_up(key, token)

    async def Fail(self, request: cache_pb2.FailRequest, _: _Context) -> cache_pb2.FailReply:
        """Tell those who wait what went wrong, or let the next one try."""
        if request.HasField("problem"):
            problem = problem_from_message(request.problem)
            self._leases.fail(request.key, request.lease, problem)
        else:
            self._leases.give_up(request.key, request.lease)
        return cache_pb2.FailReply()

    async def Delete(self, request: cache_pb2.DeleteRequest, _: _Context) -> cache_pb2.DeleteReply:
        """Forget a preview."""
        await self._cache.delete(request.key)
        return cache_pb2.DeleteReply()

    async def Purge(self, request: cache_pb2.PurgeRequest, _: _Context) -> cache_pb2.PurgeReply:
        """Forget all that is about some sources."""
        purged = await self._cache.purge(purge_from_message(request))
        return cache_pb2.PurgeReply(entries=purged)

    async def Stats(self, _: cache_pb2.StatsRequest, __: _Context) -> cache_pb2.StatsReply:
        """Say how full it is, and what it was asked."""
        usage = self._cache.usage
        return cache_pb2.StatsReply(
            entries=usage.entries,
            bytes=usage.bytes,
            max_bytes=usage.max_bytes,
            hits=usage.hits,
            misses=usage.misses,
            evictions=usage.evictions,
            leases=len(self._leases),
        )


def _lease_reply(outcome: Preview | MicropicError | None) -> cache_pb2.LeaseReply:
    if isinstance(outcome, MicropicError):
        return cache_pb2.LeaseReply(problem=problem_to_message(outcome))
    if outcome is None:
        return cache_pb2.LeaseReply()
    if outcome.stored or len(outcome.body) > MAX_INLINE:
        return cache_pb2.LeaseReply(large=True)
    return cache_pb2.LeaseReply(preview=preview_to_message(outcome))


def _part(request: cache_pb2.GetRequest, length: int) -> tuple[int, int]:
    """Return which bytes of a body are meant, as the offsets of the first and the last."""
    first = max(request.offset, 0)
    return first, min(first + request.length, length) - 1 if request.length > 0 else length - 1


async def _pieces(preview: Preview, first: int, last: int) -> AsyncIterator[bytes]:
    if preview.stored is None:
        for piece in pieces(preview.body[first : last + 1]):
            yield piece
        return
    for start, end in model.pieces(first, last):
        yield await preview.stored.read(start, end)


def _is_fresh(preview: Preview) -> bool:
    return freshness.remaining(preview, time.time()) > 0


def _bounded(time_left: float) -> float:
    # Not by min(): what is no number counts as none.
    return min(time_left, MAX_TIME_LEFT) if time_left > 0 else 0.0
