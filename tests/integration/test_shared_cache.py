"""The shared cache as a process: how it is met, and what becomes of its clients without it."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from micropic.adapters.grpc_cache import GrpcCache
from micropic.domain.errors import NotAnImage
from micropic.domain.freshness import DAY
from micropic.domain.model import Lease, Preview, PreviewRequest, SourceFacts
from micropic.domain.urls import DEFAULT, parse_path
from micropic.pipeline.caching import Lookup
from micropic.pipeline.coalescing import Coalescing
from micropic.pipeline.leasing import LeaseKeeping, Leasing
from micropic.v1 import cache_pb2, cache_pb2_grpc
from tests.support.client import ask
from tests.support.cluster import StartCluster
from tests.support.origin import Origin, Reply
from tests.support.pictures import photo
from tests.support.ports import free_ports
from tests.support.service import micropic
from tests.support.shared_cache import SharedCache, StartSharedCache
from tests.support.waiting import wait_until

MIB = 1024**2
KEYS = [f"/fill/30/20/http://a.example/{number}" for number in range(200)]


def made(key: str, size: int = 20_000) -> Preview:
    """Make a preview that shows whether it is whole, and whose it is."""
    digest = hashlib.sha256(key.encode()).hexdigest()
    body = (digest.encode() * (size // 64 + 1))[:size]
    return Preview(body, "image/jpeg", time.time(), DAY, SourceFacts(sha256=digest))


def is_whole(key: str, preview: Preview, size: int = 20_000) -> bool:
    return (preview.body, preview.source) == (made(key, size).body, made(key).source)


async def until(condition: Callable[[], Awaitable[object]]) -> None:
    async with asyncio.timeout(20):
        while not await condition():  # noqa: ASYNC110 # there is nothing to be woken by
            await asyncio.sleep(0.01)


@pytest.fixture
def shared(start_shared_cache: StartSharedCache) -> SharedCache:
    return start_shared_cache()


def channel_to(cache: SharedCache) -> grpc.aio.Channel:
    return grpc.aio.insecure_channel(f"127.0.0.1:{cache.port}")


# --- how it is met -----------------------------------------------------------------------------


async def test_health_and_reflection_answer(shared: SharedCache) -> None:
    async with channel_to(shared) as channel:
        health: Any = health_pb2_grpc.HealthStub(channel)  # its types know no asyncio
        for name in ("", "micropic.v1.Cache"):
            reply = await health.Check(health_pb2.HealthCheckRequest(service=name))
            assert reply.status == health_pb2.HealthCheckResponse.SERVING
        reflection: Any = reflection_pb2_grpc.ServerReflectionStub(channel)  # type: ignore[arg-type] # nor do these
        messages: Any = reflection_pb2
        ask_for_names = messages.ServerReflectionRequest(list_services="")
        async for answer in reflection.ServerReflectionInfo(iter([ask_for_names])):
            names = {service.name for service in answer.list_services_response.service}
            assert {"micropic.v1.Cache", "grpc.health.v1.Health"} < names
    assert ask(shared.health_port, "/healthz").status == 200
    assert ask(shared.health_port, "/readyz").status == 200


async def test_stats_count_what_there_is_and_what_was_asked(
    start_shared_cache: StartSharedCache,
) -> None:
    shared = start_shared_cache(CACHE_SIZE="100KiB")
    async with shared.client() as cache, channel_to(shared) as channel:
        for key in KEYS[:3]:
            await cache.put(key, made(key))
        assert [await cache.get(key) is not None for key in KEYS[:3]] == [False, True, True]
        await cache.lease("other", 60.0)
        raw = cache_pb2_grpc.CacheStub(channel)
        assert not (await raw.Get(cache_pb2.GetRequest(key="other"))).HasField("preview")
        reply = await raw.Get(cache_pb2.GetRequest(key=KEYS[2]))
        assert reply.preview.body == made(KEYS[2]).body
        stats = await raw.Stats(cache_pb2.StatsRequest())
    assert (stats.entries, stats.evictions, stats.leases) == (2, 1, 1)
    assert (stats.hits, stats.misses) == (3, 2)
    assert 40_000 < stats.bytes <= stats.max_bytes == 100 * 1024


async def test_the_directory_and_the_port_have_one_owner(shared: SharedCache) -> None:
    for settings in ({"GRPC_PORT": "0"}, {"CACHE_DIRNAME": str(shared.directory / "other")}):
        second = micropic("cache", **shared.settings | settings | {"LOG_FILE": ""})
        assert second.returncode == 1
        (line,) = second.stderr.splitlines()
        assert str(shared.cache) in line or str(shared.port) in line
    async with shared.client() as cache:
        assert await cache.lease("key", 60.0)


# --- bodies ------------------------------------------------------------------------------------


async def test_what_is_larger_than_a_body_may_be_is_not_kept_and_keeps_nobody_waiting(
    shared: SharedCache,
) -> None:
    async with shared.client() as cache:
        await cache.put("key", made("key"))
        await cache.delete("key")
        lease = await cache.lease("key", 60.0)
        assert isinstance(lease, Lease)
        await cache.put("key", made("key", 65 * MIB), lease.token)
        assert await cache.get("key") is None
        assert isinstance(await cache.lease("key", 60.0), Lease)
        assert cache.faults == 0


async def test_a_stream_that_is_none_is_refused_and_leaves_nothing(shared: SharedCache) -> None:
    async with channel_to(shared) as channel, shared.client() as cache:
        raw = cache_pb2_grpc.CacheStub(channel)
        head = cache_pb2.PutPiece(request=cache_pb2.PutRequest(key="key", length=2 * MIB))
        piece = cache_pb2.PutPiece(body=b"x" * MIB)
        for pieces, code in (
            ([], grpc.StatusCode.INVALID_ARGUMENT),
            ([piece, head], grpc.StatusCode.INVALID_ARGUMENT),
            ([head, piece], grpc.StatusCode.INVALID_ARGUMENT),
            ([head, piece, piece, piece], grpc.StatusCode.INVALID_ARGUMENT),
            ([head, *[piece] * 65], grpc.StatusCode.RESOURCE_EXHAUSTED),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await raw.PutLarge(iter(pieces))
            assert caught.value.code() is code
        call = raw.PutLarge()
        await call.write(head)
        await call.write(piece)
        call.cancel()
        assert await cache.get("key") is None


# --- without it --------------------------------------------------------------------------------


async def test_a_cache_that_was_killed_is_found_again_with_whole_entries(
    shared: SharedCache,
) -> None:
    async with shared.client(0.5) as cache:
        for key in KEYS[:100]:
            await cache.put(key, made(key))
        under_way = [
            asyncio.create_task(cache.put(key, made(key, 2 * MIB))) for key in KEYS[100:]
        ] + [asyncio.create_task(cache.get(key)) for key in KEYS]
        await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
        shared.kill()
        for answer, key in zip(await asyncio.gather(*under_way), [*KEYS[100:], *KEYS], strict=True):
            assert answer is None or is_whole(key, answer, len(answer.body))
        assert await cache.get(KEYS[0]) is None
        assert await cache.lease(KEYS[0], 60.0) is None
        shared.start()
        await until(lambda: cache.get(KEYS[0]))
        for key in KEYS[:100]:
            kept = await cache.get(key)
            assert kept is not None
            assert is_whole(key, kept)
        for key in KEYS[100:]:
            kept = await cache.get(key)
            assert kept is None or is_whole(key, kept, 2 * MIB)
    assert shared.events("cache_entry_corrupt") == []


class Worker:
    """Makes a preview of each key in a while, and counts."""

    def __init__(self) -> None:
        self.made = 0

    async def preview(self, request: PreviewRequest) -> Preview:
        await asyncio.sleep(0.1)
        self.made += 1
        return made(request.key)


@pytest.mark.parametrize("fault", ["none", "kill", "pause", "roll"])
async def test_requests_under_way_get_right_answers_whatever_becomes_of_the_cache(
    shared: SharedCache, fault: str
) -> None:
    transform, source, *_ = parse_path(b"/fill/30/20/a.example/x", b"", DEFAULT)
    worker = Worker()
    timeout = 10.0 if fault == "none" else 0.5
    async with (
        shared.client(timeout) as one,
        shared.client(timeout) as two,
        shared.client(timeout) as workers,
    ):
        proxies = [
            Lookup(cache, Coalescing(Leasing(cache, LeaseKeeping(workers, worker))))
            for cache in (one, two)
        ]

        async def ask(number: int) -> bool:
            key = KEYS[number % 100]
            deadline = time.monotonic() + 5
            request = PreviewRequest(transform, source, key, deadline=deadline)
            answer = await proxies[number // 100].preview(request)
            return is_whole(key, answer) and time.monotonic() < deadline

        answers = [asyncio.create_task(ask(number)) for number in range(200)]
        await asyncio.wait(answers, timeout=0.05)
        if fault == "kill":
            shared.kill()
        elif fault == "pause":
            shared.pause()
        elif fault == "roll":
            assert await asyncio.to_thread(shared.stop) == 0
        assert await asyncio.gather(*answers) == [True] * 200
    if fault == "none":
        assert worker.made == 100


async def test_a_cache_that_hangs_costs_a_bounded_time_and_is_left_alone(
    shared: SharedCache,
) -> None:
    async with shared.client(0.05) as cache:
        await cache.put("key", made("key"))
        await until(lambda: cache.get("key"))
        shared.pause()
        times = [await timed(cache.get("key")) for _ in range(30)]
        assert max(times) < 0.5
        assert sorted(times)[-8] < 0.02, "it was asked all the time"
        assert "DEADLINE_EXCEEDED" in cache.trouble
        assert await timed(cache.lease("key", 60.0)) < 0.02
        assert 5 <= cache.faults < 9
        shared.resume()
        await until(lambda: cache.get("key"))
        assert cache.trouble == ""
        assert isinstance(await cache.lease("other", 60.0), Lease)


async def test_a_look_that_took_too_long_costs_no_lease(shared: SharedCache) -> None:
    """A busy machine is slow at times: what many ask for is made once all the same."""
    async with shared.client(0.5) as cache:
        await cache.put("key", made("key"))
        shared.pause()
        assert await cache.get("key") is None
        shared.resume()
        assert isinstance(await cache.lease("other", 60.0), Lease)
        assert cache.faults == 1


async def test_a_cache_that_says_nothing_of_a_lease_is_not_waited_for(
    shared: SharedCache, capsys: pytest.CaptureFixture[str]
) -> None:
    async with shared.client(0.02) as cache:
        await until(lambda: cache.lease("key", 60.0))
        shared.pause()
        assert await cache.lease("other", 60.0) is None
    assert "no word about a lease" in capsys.readouterr().out


async def test_who_waits_when_the_cache_begins_to_hang_goes_on_without(
    shared: SharedCache,
) -> None:
    async with shared.client() as holder, shared.client() as waiter:
        assert isinstance(await holder.lease("key", 60.0), Lease)
        waiting = asyncio.ensure_future(waiter.lease("key", 60.0))
        done, _ = await asyncio.wait([waiting], timeout=0.3)
        assert not done
        shared.pause()
        async with asyncio.timeout(10):
            assert await waiting is None
        assert waiter.faults == 1


async def test_a_holder_that_is_gone_loses_its_lease(shared: SharedCache) -> None:
    async with shared.client() as waiter:
        async with shared.client() as holder:
            assert isinstance(await holder.lease("key", 60.0), Lease)
            waiting = asyncio.ensure_future(waiter.lease("key", 60.0))
            done, _ = await asyncio.wait([waiting], timeout=0.3)
            assert not done
        async with asyncio.timeout(10):
            lease = await waiting
        assert isinstance(lease, Lease)
        await waiter.fail("key", lease.token, NotAnImage("no"))
        assert isinstance(await waiter.lease("key", 60.0), Lease)


async def test_who_waits_goes_on_without_when_the_cache_stops(shared: SharedCache) -> None:
    async with shared.client() as holder, shared.client() as waiter:
        assert isinstance(await holder.lease("key", 60.0), Lease)
        waiting = asyncio.ensure_future(waiter.lease("key", 60.0))
        done, _ = await asyncio.wait([waiting], timeout=0.3)
        assert not done
        assert await asyncio.to_thread(shared.stop) == 0
        assert await waiting is None
        assert waiter.faults == 0


def test_a_worker_that_does_not_reach_the_cache_keeps_nobody_waiting(
    start_cluster: StartCluster, origin: Origin
) -> None:
    """Its answers end the leases that it cannot end itself."""
    cluster = start_cluster(CACHE_MEMORY="0")
    (worker,) = cluster.workers
    worker.stop()
    worker.settings["GRPC_PORT"] = str(*free_ports(1))
    worker.start()
    target = f"/fill/40/30/{origin.on('/a', Reply(photo()))}"
    for _ in range(2):
        answer = cluster.get(target)
        assert (answer.status, answer.cache_status) == (200, "micropic; fwd=miss")


async def test_a_client_that_was_closed_finds_nothing(shared: SharedCache) -> None:
    async with shared.client() as cache:
        await cache.put("key", made("key"))
    assert await cache.get("key") is None
    assert await cache.lease("key", 60.0) is None
    await cache.put("key", made("key"))
    await cache.put("key", made("key", 4 * MIB))
    await cache.delete("key")
    await cache.fail("key", "token", None)
    assert "closed" in cache.trouble.lower()


async def test_a_fault_is_logged_once_in_a_while(capsys: pytest.CaptureFixture[str]) -> None:
    async with GrpcCache("127.0.0.1", 9, 0.5) as cache:
        for _ in range(20):
            assert await cache.get("key") is None
    assert capsys.readouterr().out.count("cache_fault") == 1


def test_the_log_says_where_it_is(shared: SharedCache) -> None:
    (started,) = wait_until(lambda: shared.events("started"))
    assert started["port"] == shared.port
    assert str(shared.port) in shared.output


async def timed(call: Awaitable[object]) -> float:
    started = time.perf_counter()
    await call
    return time.perf_counter() - started
