"""A cache with leases, and the previewers that use it: equal requests are made once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from micropic.adapters.disk_cache import DiskCache
from micropic.adapters.grpc_cache import GrpcCache
from micropic.domain.errors import (
    DeadlineExceeded,
    MicropicError,
    NotAnImage,
    OriginRefused,
    OriginTimeout,
    Overloaded,
    RenderCrashed,
)
from micropic.domain.freshness import lifetime
from micropic.domain.model import Lease, Preview, PreviewRequest, SourceFacts
from micropic.domain.urls import DEFAULT, build_path, parse_path
from micropic.pipeline.leasing import LeaseKeeping, Leasing
from micropic.ports import LeasingCache
from micropic.services.cache import CacheServer
from tests.support.leasing_cache import MemoryLeasingCache

TRANSFORM, SOURCE, *_ = parse_path(b"/fill/30/20/a.example/x", b"", DEFAULT)
KEY = build_path(TRANSFORM, SOURCE)
MIB = 1024**2


@pytest.fixture(params=["memory", "gRPC"])
async def cache(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[LeasingCache]:
    async with AsyncExitStack() as stack:
        if request.param == "memory":
            yield MemoryLeasingCache()
            return
        disk = DiskCache(tmp_path, 100 * MIB)
        stack.callback(disk.close)
        server = await stack.enter_async_context(CacheServer(disk, "127.0.0.1", 0))
        yield await stack.enter_async_context(GrpcCache("127.0.0.1", server.port, 10.0))


def made(body: bytes = b"x", cache_control: str | None = None) -> Preview:
    facts = SourceFacts(cache_control=cache_control)
    return Preview(body, "image/jpeg", time.time(), lifetime(facts), facts)


def asked(*, left: float = 60.0, private: bool = False) -> PreviewRequest:
    deadline = time.monotonic() + left
    return PreviewRequest(TRANSFORM, SOURCE, KEY, private=private, deadline=deadline)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 # there is nothing to be woken by
            await asyncio.sleep(0.001)


async def token(cache: LeasingCache, time_left: float = 60.0) -> str:
    lease = await cache.lease("k", time_left)
    assert isinstance(lease, Lease)
    return lease.token


def waiter(cache: LeasingCache) -> asyncio.Task[Lease | Preview | None]:
    return asyncio.create_task(cache.lease("k", 60.0))


async def waits(task: asyncio.Task[Lease | Preview | None]) -> None:
    """See that it does: on the wire nothing tells it any sooner."""
    done, _ = await asyncio.wait([task], timeout=0.1)
    assert not done


# --- the cache ---------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 5, 10 * MIB])
async def test_others_get_what_the_holder_puts(cache: LeasingCache, size: int) -> None:
    lease = await token(cache)
    others = [waiter(cache) for _ in range(3)]
    await waits(others[0])
    preview = made(b"x" * size)
    await cache.put("k", preview, lease)
    assert [await other for other in others] == [preview] * 3
    assert await cache.get("k") == preview


async def test_others_get_what_the_holder_failed_by(cache: LeasingCache) -> None:
    lease = await token(cache)
    others = [waiter(cache) for _ in range(3)]
    await waits(others[0])
    await cache.fail("k", lease, OriginRefused("no", 404, {"Vary": "dnt"}))
    for other in others:
        with pytest.raises(OriginRefused) as caught:
            await other
        assert caught.value.to_wire() == OriginRefused("no", 404, {"Vary": "dnt"}).to_wire()
    assert await token(cache)


async def test_who_comes_after_the_put_gets_the_preview_and_no_lease(cache: LeasingCache) -> None:
    preview = made()
    await cache.put("k", preview, await token(cache))
    assert await cache.lease("k", 60.0) == preview


@pytest.mark.parametrize("lease", ["", "unknown"])
async def test_a_preview_made_under_no_lease_that_is_known_is_kept_and_given_too(
    cache: LeasingCache, lease: str
) -> None:
    await token(cache)
    other = waiter(cache)
    await waits(other)
    preview = made()
    await cache.put("k", preview, lease)
    assert await cache.get("k") == preview
    assert await other == preview


async def test_a_preview_that_comes_after_its_lease_has_ended_is_kept(cache: LeasingCache) -> None:
    lost = await token(cache, 0.05)
    lease = await cache.lease("k", 60.0)
    assert isinstance(lease, Lease)
    assert lease.token != lost
    preview = made()
    await cache.put("k", preview, lost)
    assert await cache.get("k") == preview


async def test_a_holder_that_never_comes_back_loses_its_lease_to_the_next(
    cache: LeasingCache,
) -> None:
    await token(cache, 0.2)
    first, second = waiter(cache), waiter(cache)
    done, _ = await asyncio.wait([first, second], return_when=asyncio.FIRST_COMPLETED)
    (winner,) = done
    lease = await winner
    assert isinstance(lease, Lease)
    preview = made()
    await cache.put("k", preview, lease.token)
    assert await (second if winner is first else first) == preview


async def test_what_may_not_be_shared_hands_the_lease_on(cache: LeasingCache) -> None:
    lease = await token(cache)
    other = waiter(cache)
    await waits(other)
    await cache.put("k", made(cache_control="no-store"), lease)
    assert isinstance(await other, Lease)


async def test_who_waits_goes_without_when_its_time_is_up(cache: LeasingCache) -> None:
    await token(cache)
    assert await cache.lease("k", 0.1) is None
    assert await cache.lease("k", 0.0) is None
    assert await cache.lease("k", -1.0) is None


async def test_no_bound_on_the_time_is_no_error(cache: LeasingCache) -> None:
    assert await token(cache, float("inf"))


async def test_who_waits_and_leaves_gets_no_lease(cache: LeasingCache) -> None:
    lease = await token(cache)
    leaver = waiter(cache)
    await waits(leaver)
    stayer = waiter(cache)
    await waits(stayer)
    leaver.cancel()
    await asyncio.wait([leaver])
    await waits(stayer)  # by then the cache knows, too
    await cache.fail("k", lease, None)
    assert isinstance(await stayer, Lease)


async def test_a_lease_that_is_released_goes_to_the_next(cache: LeasingCache) -> None:
    lease = await token(cache)
    other = waiter(cache)
    await waits(other)
    cache.release(lease)
    next_one = await other
    assert isinstance(next_one, Lease)
    await cache.put("k", made(), next_one.token)
    cache.release(next_one.token)  # of what has ended nothing is left
    assert await cache.get("k")


class SlowDisk(DiskCache):
    """Begins to keep something when it is told to."""

    async def put(self, key: str, preview: Preview) -> None:
        self.is_asked.set()
        await self.gate.wait()
        await super().put(key, preview)

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, 100 * MIB)
        self.is_asked, self.gate = asyncio.Event(), asyncio.Event()


async def test_others_get_what_is_kept_too_late_for_who_put_it(tmp_path: Path) -> None:
    disk = SlowDisk(tmp_path)
    async with (
        CacheServer(disk, "127.0.0.1", 0) as server,
        GrpcCache("127.0.0.1", server.port, 10.0) as cache,
    ):
        lease = await token(cache)
        other = waiter(cache)
        await waits(other)
        put = asyncio.create_task(cache.put("k", made(), lease))
        await disk.is_asked.wait()
        put.cancel()
        await waits(other)  # by then the cache knows that it was left
        disk.gate.set()
        assert isinstance(await other, Preview)
    disk.close()


async def test_to_release_what_is_over_takes_nothing_from_the_next(cache: LeasingCache) -> None:
    over = await token(cache)
    await cache.fail("k", over, None)
    await token(cache)
    cache.release(over)
    await waits(waiter(cache))


# --- the previewers ----------------------------------------------------------------------------


class Worker:
    """Answers each request when it is told to."""

    def __init__(self) -> None:
        self.requests: list[PreviewRequest] = []
        self.calls: list[asyncio.Future[Preview]] = []

    async def preview(self, request: PreviewRequest) -> Preview:
        self.requests.append(request)
        self.calls.append(asyncio.get_running_loop().create_future())
        return await self.calls[-1]


class Cluster:
    """Proxies that share a cache and a worker, which keeps what it makes there."""

    def __init__(self, cache: LeasingCache) -> None:
        self.worker = Worker()
        self.proxy = Leasing(cache, LeaseKeeping(cache, self.worker))

    def ask(self, request: PreviewRequest | None = None) -> asyncio.Task[Preview]:
        return asyncio.create_task(self.proxy.preview(request or asked()))

    async def all_but_one_wait(self, count: int) -> list[asyncio.Task[Preview]]:
        tasks = [self.ask() for _ in range(count)]
        await until(lambda: len(self.worker.calls) == 1)
        await asyncio.wait(tasks, timeout=0.1)
        assert len(self.worker.calls) == 1
        return tasks


@pytest.fixture
def cluster(cache: LeasingCache) -> Cluster:
    return Cluster(cache)


async def test_equal_requests_through_many_proxies_are_made_once(
    cluster: Cluster, cache: LeasingCache
) -> None:
    tasks = await cluster.all_but_one_wait(20)
    assert cluster.worker.requests[0].lease
    preview = made()
    cluster.worker.calls[0].set_result(preview)
    answers = await asyncio.gather(*tasks)
    assert answers == [preview] * 20
    assert sum(answer.provenance.collapsed for answer in answers) == 19
    assert await cache.get(KEY) == preview


async def test_equal_requests_share_a_failure(cluster: Cluster, cache: LeasingCache) -> None:
    tasks = await cluster.all_but_one_wait(5)
    cluster.worker.calls[0].set_exception(NotAnImage("a text"))
    for task in tasks:
        with pytest.raises(NotAnImage, match="a text"):
            await task
    assert await cache.get(KEY) is None


async def test_a_failure_before_a_worker_has_the_request_is_shared(cache: LeasingCache) -> None:
    worker = Worker()
    proxy = Leasing(cache, worker)
    tasks = [asyncio.create_task(proxy.preview(asked())) for _ in range(3)]
    await until(lambda: len(worker.calls) == 1)
    await asyncio.wait(tasks, timeout=0.1)
    worker.calls[0].set_exception(RenderCrashed("three workers died of it"))
    for task in tasks:
        with pytest.raises(RenderCrashed):
            await task
    assert len(worker.calls) == 1


async def test_what_a_worker_made_without_the_cache_keeps_nobody_waiting(
    cache: LeasingCache,
) -> None:
    """It cannot say there that the lease is over."""
    worker = Worker()
    proxy = Leasing(cache, worker)
    first = asyncio.create_task(proxy.preview(asked()))
    await until(lambda: len(worker.calls) == 1)
    other = asyncio.create_task(proxy.preview(asked()))
    await asyncio.wait([other], timeout=0.1)
    worker.calls[0].set_result(preview := made())
    assert await first == preview
    await until(lambda: len(worker.calls) == 2)
    assert worker.requests[1].lease
    worker.calls[1].set_result(preview)
    assert not (await other).provenance.collapsed


async def test_what_one_proxy_has_no_room_for_another_gets_the_lease_for(
    cache: LeasingCache,
) -> None:
    full, worker = Worker(), Worker()
    refused = asyncio.create_task(Leasing(cache, full).preview(asked()))
    await until(lambda: len(full.calls) == 1)
    other = asyncio.create_task(Leasing(cache, LeaseKeeping(cache, worker)).preview(asked()))
    await asyncio.wait([other], timeout=0.1)
    full.calls[0].set_exception(Overloaded("full", retry_after=7))
    with pytest.raises(Overloaded):
        await refused
    await until(lambda: len(worker.calls) == 1)
    assert worker.requests[0].lease
    worker.calls[0].set_result(made())
    assert not (await other).provenance.collapsed


async def test_a_refusal_by_a_worker_is_for_all_who_wait(cluster: Cluster) -> None:
    """Else each of them would be sent through the queue, for the same."""
    tasks = await cluster.all_but_one_wait(3)
    cluster.worker.calls[0].set_exception(Overloaded("full", retry_after=7))
    for task in tasks:
        with pytest.raises(Overloaded) as caught:
            await task
        assert caught.value.retry_after == 7
    assert len(cluster.worker.calls) == 1


async def test_a_timeout_of_the_first_is_not_that_of_who_came_later(cluster: Cluster) -> None:
    tasks = await cluster.all_but_one_wait(3)
    cluster.worker.calls[0].set_exception(OriginTimeout("slow"))
    await until(lambda: len(cluster.worker.calls) == 2)
    cluster.worker.calls[1].set_result(made())
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes].count(OriginTimeout) == 1
    assert [type(outcome) for outcome in outcomes].count(Preview) == 2
    assert len(cluster.worker.calls) == 2


async def test_who_waited_for_all_its_time_is_too_late(cluster: Cluster) -> None:
    first = cluster.ask()
    await until(lambda: len(cluster.worker.calls) == 1)
    with pytest.raises(DeadlineExceeded):
        await cluster.ask(asked(left=0.2))
    cluster.worker.calls[0].set_result(made())
    assert not (await first).provenance.collapsed
    assert len(cluster.worker.calls) == 1


async def test_a_refusal_may_be_for_the_first_ones_headers_alone(cluster: Cluster) -> None:
    tasks = await cluster.all_but_one_wait(2)
    cluster.worker.calls[0].set_exception(OriginRefused("no", 403, {}))
    await until(lambda: len(cluster.worker.calls) == 2)
    assert cluster.worker.requests[1].lease == ""
    cluster.worker.calls[1].set_result(made())
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {OriginRefused, Preview}


async def test_what_no_cache_may_keep_is_made_for_each(
    cluster: Cluster, cache: LeasingCache
) -> None:
    tasks = await cluster.all_but_one_wait(3)
    for number in range(3):
        await until(lambda number=number: len(cluster.worker.calls) == number + 1)  # type: ignore[misc]
        cluster.worker.calls[number].set_result(made(cache_control="no-store"))
    answers = await asyncio.gather(*tasks)
    assert not any(answer.provenance.collapsed for answer in answers)
    assert await cache.get(KEY) is None


@pytest.mark.parametrize("error", [ValueError("a defect"), None])
async def test_who_holds_the_lease_and_leaves_hands_it_on(
    cluster: Cluster, error: Exception | None
) -> None:
    first = cluster.ask()
    await until(lambda: len(cluster.worker.calls) == 1)
    second = cluster.ask()
    await asyncio.wait([second], timeout=0.1)
    if error:
        cluster.worker.calls[0].set_exception(error)
    else:
        first.cancel()
    await until(lambda: len(cluster.worker.calls) == 2)
    assert cluster.worker.requests[1].lease
    cluster.worker.calls[1].set_result(made())
    assert not (await second).provenance.collapsed
    await asyncio.wait([first])
    assert first.cancelled() or first.exception() is error


async def test_a_private_request_is_neither_shared_nor_kept(
    cluster: Cluster, cache: LeasingCache
) -> None:
    tasks = [cluster.ask(asked(private=True)) for _ in range(2)]
    await until(lambda: len(cluster.worker.calls) == 2)
    assert [request.lease for request in cluster.worker.requests] == ["", ""]
    cluster.worker.calls[0].set_result(made(b"one"))
    cluster.worker.calls[1].set_result(made(b"two"))
    assert [(await task).body for task in tasks] == [b"one", b"two"]
    assert await cache.get(KEY) is None


async def test_what_was_made_under_no_lease_is_kept_too(cache: LeasingCache) -> None:
    worker = Worker()
    task = asyncio.create_task(LeaseKeeping(cache, worker).preview(asked()))
    await until(lambda: len(worker.calls) == 1)
    worker.calls[0].set_result(preview := made())
    await task
    assert await cache.get(KEY) == preview


class KeepsNothing:
    """A cache whose disk, or network, is in trouble when something is to be kept."""

    def __init__(self, cache: LeasingCache) -> None:
        self._cache = cache

    async def put(self, *_: object) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cache, name)


async def test_who_waits_for_what_could_not_be_kept_gets_the_lease(cache: LeasingCache) -> None:
    failing = Cluster(KeepsNothing(cache))
    first = failing.ask()
    await until(lambda: len(failing.worker.calls) == 1)
    second = failing.ask()
    await asyncio.wait([second], timeout=0.1)
    failing.worker.calls[0].set_result(made(b"one"))
    assert (await first).body == b"one"
    await until(lambda: len(failing.worker.calls) == 2)
    failing.worker.calls[1].set_result(made(b"two"))
    assert (await second).body == b"two"


async def test_without_the_cache_each_request_goes_on_by_itself() -> None:
    cache = MemoryLeasingCache()
    cluster = Cluster(cache)
    cache.down = True
    tasks = [cluster.ask() for _ in range(2)]
    await until(lambda: len(cluster.worker.calls) == 2)
    cluster.worker.calls[0].set_result(made(b"one"))
    cluster.worker.calls[1].set_exception(NotAnImage("two"))
    assert (await tasks[0]).body == b"one"
    with pytest.raises(MicropicError, match="two"):
        await tasks[1]


async def test_a_stale_preview_in_the_cache_is_made_anew(
    cluster: Cluster, cache: LeasingCache
) -> None:
    stale = replace(made(b"old"), stored_at=time.time() - 90_000)
    await cache.put(KEY, stale)
    assert await cache.get(KEY) == stale
    task = cluster.ask()
    await until(lambda: len(cluster.worker.calls) == 1)
    cluster.worker.calls[0].set_result(made(b"new"))
    assert (await task).body == b"new"
    kept = await cache.get(KEY)
    assert kept is not None
    assert kept.body == b"new"
