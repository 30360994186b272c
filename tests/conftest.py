"""What every test may ask for."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.cluster import Cluster, StartCluster
from tests.support.origin import Origin
from tests.support.rabbitmq import RabbitMQ, RabbitMQServer
from tests.support.redis_server import RedisServer, StartRedis
from tests.support.s3_server import S3Server
from tests.support.service import Service, StartService
from tests.support.shape import DEPLOYED_PORT, SHAPES, Deployed, Shape
from tests.support.shared_cache import SharedCache, StartSharedCache
from tests.support.shared_server import common_directory, shared

ONE_RENDER_PROCESS = {"RENDER_SLOTS": "1"}
"""To start another one costs as much as the rest of a test; a test that needs two says so."""


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Give a service that tests share: none may stop it or count what it did."""
    own = Service(tmp_path_factory.mktemp("service"), SOURCE_MAX_BYTES="1MiB")
    try:
        yield own.start()
    finally:
        own.close()


@pytest.fixture
def start_service(tmp_path: Path) -> Iterator[StartService]:
    """Start services of the test's own; all of them share one directory."""
    with ExitStack() as stack:

        def start(**settings: str) -> Service:
            service = Service(tmp_path, **ONE_RENDER_PROCESS | settings)
            stack.callback(service.close)
            return service.start()

        yield start


@pytest.fixture(scope="session")
def rabbitmq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMQ]:
    """Yield a broker that all test processes share: each test uses queues of its own."""
    server = RabbitMQServer(tmp_path_factory.mktemp("rabbitmq"))
    with shared(common_directory(tmp_path_factory), "rabbitmq-server", server) as address:
        yield RabbitMQ(address["port"])


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory, rabbitmq: RabbitMQ) -> Iterator[Cluster]:
    """Give a cluster that tests share: none may stop it or count what it did."""
    own = Cluster(tmp_path_factory.mktemp("cluster"), rabbitmq, SOURCE_MAX_BYTES="1MiB")
    try:
        yield own.start()
    finally:
        own.close()


@pytest.fixture
def start_cluster(tmp_path: Path, rabbitmq: RabbitMQ) -> Iterator[StartCluster]:
    """Start clusters of the test's own."""
    with ExitStack() as stack:

        def start(workers: int = 1, **settings: str) -> Cluster:
            cluster = Cluster(tmp_path, rabbitmq, workers, **ONE_RENDER_PROCESS | settings)
            stack.callback(cluster.close)
            return cluster.start()

        yield start


@pytest.fixture
def start_shared_cache(tmp_path: Path) -> Iterator[StartSharedCache]:
    """Start shared caches of the test's own; all of them share one directory."""
    with ExitStack() as stack:

        def start(**settings: str) -> SharedCache:
            cache = SharedCache(tmp_path, **settings)
            stack.callback(cache.close)
            return cache.start()

        yield start


@pytest.fixture
def deployed() -> Deployed:
    """Give the service that runs already."""
    return Deployed(int(os.environ[DEPLOYED_PORT]))


@pytest.fixture
def start_deployed() -> StartService:
    """Start nothing: a service that runs already keeps its settings."""

    def start(**settings: str) -> Service:
        pytest.skip(f"it takes a service with {settings}")

    return start


@pytest.fixture(params=SHAPES)
def shape(request: pytest.FixtureRequest) -> Shape:
    """Give each shape in turn."""
    fixture, start = {
        "embedded": ("service", "start_service"),
        "distributed": ("cluster", "start_cluster"),
        "deployed": ("deployed", "start_deployed"),
    }[request.param]
    return Shape(lambda: request.getfixturevalue(fixture), request.getfixturevalue(start))


@pytest.fixture
def start_redis(tmp_path: Path) -> Iterator[StartRedis]:
    """Start Redis servers of the test's own, with options as in their file."""
    with ExitStack() as stack:

        def start(**options: str) -> RedisServer:
            server = RedisServer(tmp_path, **options).start()
            stack.callback(server.kill)
            return server

        yield start


@pytest.fixture
def redis(start_redis: StartRedis) -> RedisServer:
    """Give an empty Redis server of the test's own."""
    return start_redis()


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """Give an S3 server that tests share: each uses a prefix of its own, none may stop it."""
    own = S3Server(tmp_path_factory.mktemp("s3"))
    try:
        yield own.start()
    finally:
        own.close()


@pytest.fixture
def origin() -> Iterator[Origin]:
    """Give a web server of the test's own."""
    with Origin() as server:
        yield server


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Give the clock, as a list of the one time that it shows."""
    shown = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: shown[0])
    return shown
