"""Caches that others run: what services share there, and what becomes of them without it."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from micropic.adapters import entry
from micropic.adapters.redis_store import RedisStore
from micropic.adapters.remote_cache import RemoteCache, Store
from micropic.adapters.s3_store import S3Store
from micropic.domain.freshness import DAY
from micropic.domain.model import Preview, SourceFacts
from tests.support.client import ask
from tests.support.origin import Origin, Reply
from tests.support.pictures import photo
from tests.support.redis_server import RedisServer, StartRedis
from tests.support.s3_server import S3Server
from tests.support.service import Service, micropic
from tests.support.shared_cache import StartSharedCache
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

Embedded = Callable[..., Service]


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[Embedded]:
    """Start services, each on its own but for the cache at a URL."""
    with ExitStack() as stack:

        def start(url: str, **settings: str) -> Service:
            directory = tmp_path / f"service-{len(list(tmp_path.iterdir()))}"
            directory.mkdir()
            # What is answered shall come from the cache at the URL.
            service = Service(directory, CACHE_URL=url, CACHE_MEMORY="0", **settings)
            stack.callback(service.close)
            return service.start()

        yield start


def preview(number: int) -> str:
    return f"/fill/{30 + number}/20/sample:cat.jpg"


def readiness(service: Service) -> dict[str, Any]:
    answer = ask(service.health_port, "/readyz")
    assert answer.status == 200
    told: dict[str, Any] = json.loads(answer.body)
    return told


def trouble(service: Service) -> str:
    return str(readiness(service).get("reasons", {}).get("cache", ""))


def made(name: str, size: int = 20_000) -> Preview:
    body = hashlib.sha256(name.encode()).digest() * (size // 32)
    return Preview(body, "image/jpeg", 1e9, DAY, SourceFacts(sha256=name))


# --- what is shared ----------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["Redis", "S3", "gRPC"])
def test_services_share_what_one_of_them_made(
    embedded: Embedded, origin: Origin, request: pytest.FixtureRequest, backend: str
) -> None:
    settings: dict[str, str] = {}
    if backend == "Redis":
        url = request.getfixturevalue("redis").url
    elif backend == "S3":
        s3: S3Server = request.getfixturevalue("s3")
        url, settings = s3.url("shared"), s3.environment
    else:
        start: StartSharedCache = request.getfixturevalue("start_shared_cache")
        url = f"grpc://127.0.0.1:{start().port}"
    first, second = (
        embedded(url, CACHE_TIMEOUT="10", PROXY_TIMEOUT="30", **settings) for _ in range(2)
    )
    target = f"/fill/30/20/{origin.on('/a.jpg', Reply(photo()))}"
    answers = [service.get(target) for service in (first, second, first)]
    assert [answer.cache_status for answer in answers] == [
        "micropic; fwd=miss",
        "micropic; hit",
        "micropic; hit",
    ]
    assert len({answer.body for answer in answers}) == 1
    assert origin.targets == ["/a.jpg"]
    assert readiness(first) == {"status": "ready"}
    assert not first.cache.exists()


@pytest.mark.parametrize("backend", ["Redis", "S3", "memory"])
@pytest.mark.parametrize("chosen", [[], ["--prefix"]])
def test_a_purge_reaches_what_is_kept_there(
    embedded: Embedded,
    origin: Origin,
    request: pytest.FixtureRequest,
    backend: str,
    chosen: list[str],
) -> None:
    settings: dict[str, str] = {
        "CACHE_TIMEOUT": "10",
        "PROXY_TIMEOUT": "30",
        "PROXY_PURGE_TOKEN": "let-me",
    }
    url = "memory://"
    if backend == "Redis":
        url = request.getfixturevalue("redis").url
    elif backend == "S3":
        s3: S3Server = request.getfixturevalue("s3")
        url, settings = s3.url("purged"), s3.environment | settings
    service = embedded(url, **settings)
    gone, stays = (origin.on(f"/{backend}/{name}", Reply(photo())) for name in ("gone", "stays"))
    for source in (gone, stays):
        service.get(f"/fill/30/20/{source}")
    at = ("--at", f"http://127.0.0.1:{service.port}", "--token", "let-me")
    told = micropic("purge", *chosen, f"http://{gone}", *at)
    assert told.stdout == "2 entries purged\n", told.stderr
    answers = [service.get(f"/fill/30/20/{source}").cache_status for source in (gone, stays)]
    assert answers == ["micropic; fwd=miss", "micropic; hit"]
    assert origin.counts == {f"/{backend}/gone": 2, f"/{backend}/stays": 1}


def test_equal_requests_at_once_are_one_fetch_with_a_cache_over_the_network(
    embedded: Embedded, redis: RedisServer, origin: Origin
) -> None:
    service = embedded(redis.url)
    gate = origin.gate()
    target = f"/fill/30/20/{origin.on('/a.jpg', Reply(photo(), gate=gate))}"
    with service.crowd(20) as crowd:
        answers = [crowd.ask(target) for _ in range(20)]
        wait_until(lambda: origin.requests)
        gate.open()
    assert {answer.result().status for answer in answers} == {200}
    assert origin.targets == ["/a.jpg"]


def test_memory_alone_leaves_nothing_on_disk(embedded: Embedded) -> None:
    service = embedded("memory://")
    answers = [service.get(preview(0)).cache_status for _ in range(2)]
    assert answers == ["micropic; fwd=miss", "micropic; hit"]
    assert not service.cache.exists()


def test_a_file_url_names_the_directory(embedded: Embedded, tmp_path: Path) -> None:
    service = embedded((tmp_path / "kept here").as_uri())
    service.get(preview(0))
    assert (tmp_path / "kept here" / "lock").exists()
    assert not service.cache.exists()


def test_the_shared_cache_is_on_disk_and_says_so() -> None:
    done = micropic("cache", CACHE_URL="redis://127.0.0.1", HEALTH_PORT="0")
    assert done.returncode == 1
    assert done.stderr.startswith("micropic: The setting cache.url is redis:, but ")


# --- without it --------------------------------------------------------------------------------


def test_a_redis_that_dies_under_requests_fails_none_of_them(
    embedded: Embedded, redis: RedisServer
) -> None:
    service = embedded(redis.url)
    with service.crowd(8) as crowd:
        answers = [crowd.ask(preview(number % 40)) for number in range(300)]
        wait_until(lambda: sum(answer.done() for answer in answers) > 100)
        redis.kill()
    assert {answer.result().status for answer in answers} == {200}
    assert "ConnectionError" in trouble(service)
    assert service.events("cache_fault")
    redis.start()
    wait_until(lambda: service.get(preview(0)).cache_status == "micropic; hit")
    assert readiness(service) == {"status": "ready"}
    assert service.events("cache_answers_again")


@pytest.mark.parametrize("backend", ["redis", "s3"])
def test_a_cache_that_hangs_costs_a_bounded_time_and_is_left_alone(
    embedded: Embedded, request: pytest.FixtureRequest, backend: str
) -> None:
    server: RedisServer | S3Server = request.getfixturevalue(backend)
    settings = server.environment if isinstance(server, S3Server) else {}
    url = server.url("hangs") if isinstance(server, S3Server) else server.url
    service = embedded(url, CACHE_TIMEOUT="0.2", **settings)
    service.get(preview(0))
    server.pause()
    try:
        for number in range(1, 11):
            assert service.get(preview(number)).cache_status == "micropic; fwd=miss"
        assert trouble(service) == "no answer within 0.2 s"
        assert max(line["duration_ms"] for line in service.events("request")) < 2000
    finally:
        server.resume()
    wait_until(lambda: service.get(preview(0)).cache_status == "micropic; hit")
    assert readiness(service) == {"status": "ready"}


@pytest.mark.parametrize("backend", ["Redis", "S3"])
def test_who_may_not_enter_serves_without(
    embedded: Embedded, request: pytest.FixtureRequest, backend: str
) -> None:
    settings: dict[str, str] = {}
    if backend == "Redis":
        start: StartRedis = request.getfixturevalue("start_redis")
        url, refusal = start(requirepass="open sesame").url, "AuthenticationError"
    else:
        s3: S3Server = request.getfixturevalue("s3")
        url, refusal = s3.url("refused"), "PermissionDeniedError"
        settings = s3.environment | {"AWS_SECRET_ACCESS_KEY": "wrong"}
    service = embedded(url, **settings)
    assert [service.get(preview(number)).status for number in range(5)] == [200] * 5
    assert refusal in trouble(service)


def test_a_password_in_the_url_opens_redis(embedded: Embedded, start_redis: StartRedis) -> None:
    url = start_redis(requirepass="open sesame").url
    service = embedded(url.replace("://", "://:open%20sesame@") + "/3")
    answers = [service.get(preview(0)).cache_status for _ in range(2)]
    assert answers == ["micropic; fwd=miss", "micropic; hit"]
    assert "sesame" not in json.dumps(service.log) + service.output


# --- the stores --------------------------------------------------------------------------------


async def test_redis_forgets_what_is_of_no_use_any_more(redis: RedisServer) -> None:
    async with (
        RemoteCache(RedisStore(redis.url), 10.0, keep=100.0) as cache,
        Redis.from_url(redis.url, decode_responses=True) as client,
    ):
        await cache.put("key", made("key"))
        (name,) = await client.keys("*")
        assert str(name).startswith("micropic:v")
        assert DAY + 90 < await client.ttl(name) <= DAY + 100


async def test_a_redis_that_may_evict_stays_within_its_memory(start_redis: StartRedis) -> None:
    redis = start_redis(maxmemory="16mb", maxmemory_policy="allkeys-lru")
    async with (
        RemoteCache(RedisStore(redis.url), 10.0) as cache,
        Redis.from_url(redis.url) as client,
    ):
        for number in range(300):
            await cache.put(str(number), made(str(number), 100_000))
        assert cache.faults == 0
        assert await cache.get("299") == made("299", 100_000)
        assert 50 < await client.dbsize() < 170


async def test_a_redis_that_is_full_keeps_what_it_has(start_redis: StartRedis) -> None:
    redis = start_redis(maxmemory="4mb", maxmemory_policy="noeviction")
    async with RemoteCache(RedisStore(redis.url), 10.0) as cache:
        for number in range(60):
            await cache.put(str(number), made(str(number), 100_000))
            assert await cache.get("0") is not None
        assert cache.faults > 20
        assert cache.trouble == ""


@pytest.mark.parametrize("backend", ["Redis", "S3"])
async def test_callers_that_leave_get_nobody_anothers_answer(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    """A connection whose answer nobody took must not give it to the next who asks."""
    if backend == "Redis":
        store: Store = RedisStore(request.getfixturevalue("redis").url)
    else:
        store = s3_store(request.getfixturevalue("s3"), "leaving", monkeypatch)
    names = [str(number) for number in range(50)]
    async with RemoteCache(store, 10.0) as cache:
        for name in names:
            await cache.put(name, made(name))
        for turns in range(0, 40, 4):
            leaving = [asyncio.create_task(cache.get(name)) for name in names]
            for _ in range(turns):
                await asyncio.sleep(0)
            for task in leaving:
                task.cancel()
            found = await asyncio.gather(*map(cache.get, names))
            assert [kept and kept.source.sha256 for kept in found] == names
        assert cache.faults == 0


async def test_objects_lie_in_folders_under_the_prefix(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with RemoteCache(s3_store(s3, "some/folder", monkeypatch), 10.0) as cache:
        await cache.put("key", made("key"))
        assert await cache.get("key") == made("key")
    name = entry.name("key").hex()
    assert s3.names("some/folder") == [f"some/folder/v{entry.VERSION}/{name[:2]}/{name}"]


def s3_store(server: S3Server, prefix: str, monkeypatch: pytest.MonkeyPatch) -> S3Store:
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    return S3Store(server.bucket, prefix, server.endpoint)
