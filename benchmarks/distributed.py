"""What is measured of the distributed shape, beside the embedded one in the same run."""

from __future__ import annotations

import contextlib
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from benchmarks import load, service
from benchmarks.load import Load
from benchmarks.measures import Bench, in_turns
from benchmarks.processes import NotStartedError
from benchmarks.service import Service, preview_path
from benchmarks.table import Row
from tests.support import rabbitmq
from tests.support.cluster import Cluster

_AT_ONCE = 8
_CACHED_AT_ONCE = 32
_LEAST_BY_GRPC = 2_500
"""Answers a second that are to come from the shared cache alone."""


def distributed(bench: Bench) -> list[Row]:
    """Measure one proxy, one worker and one shared cache around RabbitMQ."""
    with contextlib.ExitStack() as stack:
        broker = stack.enter_context(broker_running(bench.scratch))
        embedded = stack.enter_context(service.serving(bench.scratch / "embedded"))
        cluster = stack.enter_context(cluster_running(bench.scratch / "cluster", broker))
        by_grpc = stack.enter_context(
            cluster_running(bench.scratch / "by-grpc", broker, memory="0")
        )
        lean = stack.enter_context(cluster_running(bench.scratch / "lean", broker, sources="0"))
        cold = {"cold, smart": cluster, "cold, smart, no sources kept": lean}
        return [*_cold(bench, embedded, cold), *_cached(bench, embedded, cluster, by_grpc)]


@contextlib.contextmanager
def broker_running(scratch: Path) -> Iterator[rabbitmq.RabbitMQServer]:
    """Run a RabbitMQ until the block ends.

    Raises:
        NotStartedError: Debian's package is not installed.

    """
    if not rabbitmq.SERVER.exists():
        msg = "RabbitMQ is missing: apt-get install rabbitmq-server"
        raise NotStartedError(msg)
    directory = scratch / "rabbitmq"
    directory.mkdir()
    broker = rabbitmq.RabbitMQServer(directory)
    try:
        yield broker.start()
    finally:
        broker.close()


@contextlib.contextmanager
def cluster_running(
    scratch: Path, broker: rabbitmq.RabbitMQServer, memory: str = "64MiB", sources: str = "0.5"
) -> Iterator[Service]:
    """Run a proxy, a worker and a shared cache until the block ends."""
    cluster = Cluster(scratch, broker, CACHE_MEMORY=memory, CACHE_SOURCES=sources)
    try:
        cluster.start()
        yield Service(cluster.port, cluster.pid)
    finally:
        cluster.close()


def _cold(bench: Bench, embedded: Service, clusters: dict[str, Service]) -> list[Row]:
    shapes = {"embedded": embedded, **clusters}
    rates: dict[str, list[float]] = {name: [] for name in shapes}
    for number, (place, (name, shape)) in itertools.product(
        range(bench.rounds), enumerate(shapes.items())
    ):
        prefix = preview_path(bench.origin.port, f"cold{number}-{place}-")
        shape.fetch_all(f"{prefix}check", bench.photos.names)
        job = Load(port=shape.port, connections=_AT_ONCE, prefix=prefix, photos=bench.photos.names)
        rates[name].append(load.run_for(bench.seconds, job).rate)
        print(f"{name}: {rates[name][-1]:,.0f}/s", file=sys.stderr)
    return [
        Row(
            what=f"distributed, {name}",
            figure=median(rates[name]),
            unit="previews/s",
            limit=median(rates["embedded"]),
            limit_name="embedded",
            least_ratio=0.85,
        )
        for name in clusters
    ]


def _cached(bench: Bench, embedded: Service, cluster: Service, by_grpc: Service) -> list[Row]:
    path = f"{preview_path(bench.origin.port, 'cached')}/{bench.photos.names[0]}"
    shapes = {"embedded": embedded, "memory": cluster, "gRPC only": by_grpc}
    size = {len(shape.fetch(path)) for shape in shapes.values()}.pop()
    rates = in_turns(
        bench,
        {
            f"cached, {name}": Load(port=shape.port, connections=_CACHED_AT_ONCE, prefix=path)
            for name, shape in shapes.items()
        },
    )
    return [
        Row(
            what=f"distributed, cached, {name}",
            figure=rates[f"cached, {name}"],
            unit=f"answers/s of {size:,} bytes",
            limit=rates["cached, embedded"],
            limit_name="embedded",
            least_ratio=0.8 if name == "memory" else None,
            least_figure=_LEAST_BY_GRPC if name == "gRPC only" else None,
        )
        for name in ("memory", "gRPC only")
    ]
