"""The shared cache, as its clients see it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Self, TypeVar

import grpc

from micropic.adapters.batches import Batches
from micropic.adapters.fault_watch import Watched
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
    purge_to_message,
)
from micropic.domain.errors import MicropicError, Overloaded
from micropic.domain.model import FROM_CACHE, BodyLostError, Lease, Preview
from micropic.domain.purge import Purge
from micropic.v1 import cache_pb2, cache_pb2_grpc

T = TypeVar("T")

_WRITE_FACTOR = 10
"""How much longer a write may take than a `get`: it waits for a disk, and no client for it."""
_LARGE_FACTOR = 20
"""The same for a body that is streamed."""
_PURGE_TIMEOUT = 30.0
"""Seconds: by prefix every entry is looked at."""
_LEASE_FACTOR = 10
"""How much longer than a `get` the first word about a lease may take.

Who goes on without one makes what another one is making: a busy machine is no reason for that.
"""
_LEASE_GRACE = 0.1
"""Seconds past its time in which the cache may say itself that a wait is over."""
_OPTIONS = (
    *MESSAGE_OPTIONS,
    ("grpc.enable_retries", 0),
    ("grpc.enable_http_proxy", 0),
    ("grpc.use_local_subchannel_pool", 1),
    # A cache that was started again is found again soon.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1000),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.dns_min_time_between_resolutions_ms", 1000),
    # One that went without a word keeps nobody waiting for a lease.
    ("grpc.keepalive_time_ms", 1000),
    ("grpc.keepalive_timeout_ms", 1000),
    ("grpc.http2.ping_timeout_ms", 1000),  # without it the one before counts for nothing
    ("grpc.http2.max_pings_without_data", 0),
)


class GrpcCache(Watched):
    """Asks the shared cache at `host` and `port`; `timeout` (seconds) is for one `get`.

    A fault costs no more than that, or ten times as much where a lease is asked for: a `get`
    misses, and there is no lease. After some in a row the cache is left alone but for a try now
    and then. What `carrier` gives goes along as metadata of each call. With `leave_large` a large
    body is left in the shared cache (`Preview.stored`). To be made on the event loop.
    """

    def __init__(
        self,
        host: str,
        port: int,
        timeout: float,
        carrier: Callable[[], dict[str, str]] = dict,
        *,
        leave_large: bool = False,
    ) -> None:
        super().__init__()
        self._leave_large = leave_large
        self._timeout = timeout
        self._carrier = carrier
        self._channel = grpc.aio.insecure_channel(_target(host, port), options=_OPTIONS)
        self._stub: Any = cache_pb2_grpc.CacheStub(self._channel)
        self._gets = Batches(self._get_many)
        self._leases: dict[str, Any] = {}
        """Calls that hold a lease for as long as they last, by its token."""

    async def __aenter__(self) -> Self:
        """Begin to connect, which takes longer than the first call may."""
        self._channel.get_state(try_to_connect=True)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Hang up."""
        await self._channel.close()

    async def get(self, key: str) -> Preview | None:
        """Give the preview as it was put, its provenance now `FROM_CACHE`; or None."""
        reply = await self._gets.get(key) if self._watch.allows() else None
        if reply is None:
            return None
        if reply.large:
            if self._leave_large and reply.HasField("preview") and reply.length > 0:
                head = preview_from_message(reply.preview, FROM_CACHE)
                body = _SharedBody(self.read_large, key, head.stored_at, reply.length)
                return replace(head, stored=body)
            return await self._get_large(key)
        return (
            preview_from_message(reply.preview, FROM_CACHE) if reply.HasField("preview") else None
        )

    async def put(self, key: str, preview: Preview, lease: str = "") -> None:
        """Keep a preview, and give it to those who wait for it."""
        size = len(preview.body)
        if size > MAX_BODY:
            await self.delete(key)  # what lay there before is out of date
            await self.fail(key, lease, None)
        elif size > MAX_INLINE:
            stream = _put_pieces(key, preview, lease)
            await self._ask(self._stub.PutLarge, stream, self._timeout * _LARGE_FACTOR)
        else:
            message = preview_to_message(preview)
            request = cache_pb2.PutRequest(key=key, preview=message, lease=lease)
            await self._ask(self._stub.Put, request, self._timeout * _WRITE_FACTOR)

    async def delete(self, key: str) -> None:
        """Forget a preview, if it is there."""
        request = cache_pb2.DeleteRequest(key=key)
        await self._ask(self._stub.Delete, request, self._timeout * _WRITE_FACTOR)

    async def purge(self, what: Purge) -> int:
        """Forget all that `what` concerns, and tell how many entries that were.

        Raises:
            Overloaded: the cache does not answer.

        """
        reply = await self._ask(self._stub.Purge, purge_to_message(what), _PURGE_TIMEOUT)
        if reply is None:
            msg = "The shared cache does not answer; try again in a moment."
            raise Overloaded(msg)
        return int(reply.entries)

    async def lease(self, key: str, time_left: float) -> Lease | Preview | None:
        """Give a lease, or after `time_left` seconds at the most what came of another one's.

        Raises:
            MicropicError: what the holder of the lease failed by.

        """
        if time_left <= 0:
            return None
        time_left = min(time_left, MAX_TIME_LEFT)
        request = cache_pb2.LeaseRequest(key=key, time_left=time_left)
        reply = await self._ask(self._take, request, time_left + _LEASE_GRACE)
        if reply is None:
            return None
        match reply.WhichOneof("outcome"):
            case "token":
                return Lease(reply.token)
            case "preview":
                return preview_from_message(reply.preview)
            case "large":
                return await self.get(key)
            case "problem":
                raise problem_from_message(reply.problem)
            case _:
                return None

    async def _take(
        self, request: cache_pb2.LeaseRequest, **call_options: Any
    ) -> cache_pb2.LeaseReply:
        """Read the one reply, and stay on the call while the lease lasts.

        Raises:
            TimeoutError: the cache does not even say that it has heard.

        """
        call = self._stub.Lease(request, **call_options)
        await self._heard(call)
        reply = await call.read()
        if reply is grpc.aio.EOF:
            return cache_pb2.LeaseReply()
        if token := reply.token:
            self._leases[token] = call
            call.add_done_callback(lambda _: self._leases.pop(token, None))
        return reply  # type: ignore[no-any-return] # the stub is not typed

    async def _heard(self, call: Any) -> None:
        """Wait until the cache has begun to answer: the answer itself may take long by its nature.

        Raises:
            TimeoutError: it has not within its time.

        """
        try:
            async with asyncio.timeout(self._timeout * _LEASE_FACTOR):
                await call.initial_metadata()
        except BaseException as error:
            call.cancel()
            if isinstance(error, TimeoutError):
                msg = "no word about a lease"
                raise TimeoutError(msg) from None
            raise
        if not call.done():  # else it may have failed
            self._watch.succeeded()

    def release(self, lease: str) -> None:
        """Give up a lease that was given to this client, unless it has ended."""
        if call := self._leases.pop(lease, None):
            call.cancel()

    async def fail(self, key: str, lease: str, error: MicropicError | None) -> None:
        """Tell those who wait what went wrong; None: nothing did, let the next one have a lease."""
        if lease:
            problem = problem_to_message(error) if error else None
            request = cache_pb2.FailRequest(key=key, lease=lease, problem=problem)
            await self._ask(self._stub.Fail, request, self._timeout * _WRITE_FACTOR)

    async def _get_many(self, keys: Sequence[str]) -> Sequence[cache_pb2.GetReply] | None:
        request = cache_pb2.GetManyRequest(keys=keys)
        reply = await self._call(self._stub.GetMany, request, self._timeout)
        return reply and reply.replies

    async def _get_large(self, key: str) -> Preview | None:
        return await self.read_large(cache_pb2.GetRequest(key=key))

    async def read_large(self, request: cache_pb2.GetRequest) -> Preview | None:
        """Read a large body, or a part of it; None: it is not there."""
        return await self._ask(self._collect, request, self._timeout * _LARGE_FACTOR)

    async def _collect(self, request: cache_pb2.GetRequest, **call_options: Any) -> Preview | None:
        head, body = None, bytearray()
        async for piece in self._stub.GetLarge(request, **call_options):
            if piece.HasField("preview"):
                head = piece.preview
            body += piece.body
        return head and replace(preview_from_message(head, FROM_CACHE), body=bytes(body))

    async def _ask(
        self, call: Callable[..., Awaitable[T]], request: object, timeout: float
    ) -> T | None:
        """Call the cache, if that may be of use; a fault gives None."""
        return await self._call(call, request, timeout) if self._watch.allows() else None

    async def _call(
        self, call: Callable[..., Awaitable[T]], request: object, timeout: float
    ) -> T | None:
        try:
            reply = await call(request, timeout=timeout, metadata=tuple(self._carrier().items()))
        except (grpc.RpcError, grpc.aio.BaseError, TimeoutError) as error:
            self._watch.failed(_describe(error))
            return None
        self._watch.succeeded()
        return reply


class _SharedBody:
    """A large body in the shared cache, of the entry that was stored at this time."""

    def __init__(
        self,
        ask: Callable[[cache_pb2.GetRequest], Awaitable[Preview | None]],
        key: str,
        stored_at: float,
        length: int,
    ) -> None:
        self._ask = ask
        self._key = key
        self._stored_at = stored_at
        self._length = length

    @property
    def length(self) -> int:
        """Length in bytes."""
        return self._length

    async def read(self, first: int, last: int) -> bytes:
        """Return part of the body.

        Raises:
            BodyLostError: it is damaged or gone, or the cache does not answer.

        """
        found = await self._ask(self._request(first, last))
        if found is None or len(found.body) != last + 1 - first:
            raise BodyLostError
        return found.body

    async def check(self, first: int, last: int) -> None:
        """Have the cache check part of the body.

        Raises:
            BodyLostError: it is damaged or gone, or the cache does not answer.

        """
        request = self._request(first, last)
        request.check = True
        if await self._ask(request) is None:
            raise BodyLostError

    def _request(self, first: int, last: int) -> cache_pb2.GetRequest:
        return cache_pb2.GetRequest(
            key=self._key, stored_at=self._stored_at, offset=first, length=last + 1 - first
        )


def _put_pieces(key: str, preview: Preview, lease: str) -> Iterator[cache_pb2.PutPiece]:
    head = preview_to_message(replace(preview, body=b""))
    length = len(preview.body)
    request = cache_pb2.PutRequest(key=key, preview=head, lease=lease, length=length)
    yield cache_pb2.PutPiece(request=request)
    for piece in pieces(preview.body):
        yield cache_pb2.PutPiece(body=piece)


def _describe(error: Exception) -> str:
    if isinstance(error, grpc.aio.AioRpcError):
        return f"{error.code().name}: {error.details()}"
    return repr(error)


def _target(host: str, port: int) -> str:
    """Give where to connect to; any address of this machine stands for this machine."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 # it is not bound
    return f"dns:///[{host}]:{port}" if ":" in host else f"dns:///{host}:{port}"
