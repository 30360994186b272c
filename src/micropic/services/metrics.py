"""Every metric that a process may tell Prometheus, and how they are written out.

Names and units are by https://prometheus.io/docs/practices/naming/. No label has more values than
the code has words for: no host, no path, no text of an error.
"""

from __future__ import annotations

import platform
from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate
from typing import Self

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from micropic import __version__

_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds, from an answer out of memory to a request that had twice its time."""


class Kind(StrEnum):
    """What may be asked of a metric."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Declared:
    """A metric: its name, its labels, and what it says."""

    name: str
    kind: Kind
    text: str
    labels: tuple[str, ...] = ()


def _counter(name: str, text: str, *labels: str) -> Declared:
    return Declared(name, Kind.COUNTER, text, labels)


def _gauge(name: str, text: str, *labels: str) -> Declared:
    return Declared(name, Kind.GAUGE, text, labels)


def _histogram(name: str, text: str, *labels: str) -> Declared:
    return Declared(name, Kind.HISTOGRAM, text, labels)


REQUESTS = _counter(
    "micropic_requests_total",
    "HTTP requests, by what the cache had to do with them",
    "route", "status", "cache",
)  # fmt: skip
REQUEST_SECONDS = _histogram(
    "micropic_request_seconds", "Time from a request to its answer", "route", "cache"
)
RESPONSE_BYTES = _counter("micropic_response_bytes_total", "Bodies of answers", "route")
IN_FLIGHT = _gauge("micropic_previews_in_flight", "Previews that are being made for clients")
IN_FLIGHT_LIMIT = _gauge("micropic_previews_in_flight_limit", "One more is refused by a 503")
REFUSALS = _counter(
    "micropic_refusals_total",
    "Refused by a 503 at once, by what there was too much of: in_flight, bytes, responses, or what "
    "waits in a queue (render, fetch, workers)",
    "queue",
)
PREVIEWS = _counter(
    "micropic_previews_total", "Previews to be made, by what came of it or the error's code",
    "outcome",
)  # fmt: skip
STEP_SECONDS = _histogram(
    "micropic_step_seconds",
    "Time of a step in making a preview: queue (for a render process), fetch, render",
    "step",
)
FETCHES = _counter(
    "micropic_fetches_total", "Sources asked for, by what came of it or the error's code", "outcome"
)
FETCHES_IN_FLIGHT = _gauge("micropic_fetches_in_flight", "Sources that are being fetched")
FETCHES_LIMIT = _gauge("micropic_fetches_in_flight_limit", "One more waits")
FETCHES_WAITING = _gauge("micropic_fetches_waiting", "Sources that wait to be fetched")
ORIGINS_LEFT_ALONE = _gauge(
    "micropic_origins_left_alone", "Origins that are not asked for a while: they did not answer"
)
HELD_BYTES = _gauge(
    "micropic_held_source_bytes", "Sources in memory: on their way, or waiting to be rendered"
)
HELD_BYTES_LIMIT = _gauge("micropic_held_source_bytes_limit", "More are refused by a 503")
RESPONSE_HELD_BYTES = _gauge(
    "micropic_response_buffer_bytes", "Bodies in memory of responses that are being written"
)
RESPONSE_HELD_BYTES_LIMIT = _gauge(
    "micropic_response_buffer_bytes_limit", "Excess responses get a 503"
)
SLOW_CLIENTS_DROPPED = _counter(
    "micropic_slow_clients_dropped_total",
    "Connections closed while responses took all the memory they may: the client read too slowly",
)
SOURCE_BYTES = _counter("micropic_source_bytes_total", "Sources that were fetched")
QUEUE_LENGTH = _gauge(
    "micropic_queue_length", "Requests in RabbitMQ's queue, as it told the proxy within 5 seconds"
)
JOBS = _counter(
    "micropic_jobs_total", "Requests taken from the queue, by what came of it", "outcome"
)
JOB_WAIT_SECONDS = _histogram("micropic_job_wait_seconds", "Time that requests spent in the queue")
JOBS_IN_FLIGHT = _gauge("micropic_jobs_in_flight", "Requests from the queue under way")
JOBS_LIMIT = _gauge("micropic_jobs_in_flight_limit", "As many are taken from the queue at most")
RENDER_PROCESSES = _gauge("micropic_render_processes", "Render processes that take pictures")
RENDER_BUSY = _gauge("micropic_render_processes_busy", "Those that are at work")
RENDER_WAITING = _gauge("micropic_render_waiting", "Pictures that wait for a render process")
RENDER_ENDS = _counter(
    "micropic_render_process_ends_total",
    "Render processes that were killed when their time was up, or died over a picture",
    "reason",
)
RENDER_RECYCLED = _counter(
    "micropic_render_processes_recycled_total",
    "Render processes replaced after `render.max_renders_per_process` renders",
)
CACHE_ENTRIES = _gauge("micropic_cache_entries", "Entries that are kept", "level")
CACHE_BYTES = _gauge("micropic_cache_bytes", "What they take up", "level")
CACHE_MAX_BYTES = _gauge("micropic_cache_max_bytes", "What they may take up", "level")
CACHE_UNUSED = _gauge(
    "micropic_cache_unused_seconds", "Time since the next to go was used last", "level"
)
CACHE_HITS = _counter("micropic_cache_hits_total", "Looks that found an entry", "level")
CACHE_MISSES = _counter("micropic_cache_misses_total", "Looks that found none", "level")
CACHE_EVICTIONS = _counter("micropic_cache_evictions_total", "Entries that had to go", "level")
CACHE_FAULTS = _counter("micropic_cache_faults_total", "Calls of the shared cache that failed")
LEASES = _gauge("micropic_leases", "Leases that are held: previews being made")
READY = _gauge(
    "micropic_ready",
    "1 while a part does its work; of cache, 0: it is not asked for a while",
    "part",
)
BUILD = _gauge("micropic_build_info", "Always 1", "process", "version", "python")

DECLARED = tuple(value for value in list(globals().values()) if isinstance(value, Declared))


class Times:
    """How often something took how long."""

    __slots__ = ("_counts", "_seconds")

    def __init__(self) -> None:
        self._counts = [0] * (len(_BOUNDS) + 1)
        self._seconds = 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        self._counts[bisect_left(_BOUNDS, seconds)] += 1
        self._seconds += seconds

    def __iadd__(self, other: Times) -> Self:
        """Count all of another's."""
        self._counts = [sum(pair) for pair in zip(self._counts, other._counts, strict=True)]
        self._seconds += other._seconds
        return self

    @property
    def total(self) -> int:
        """How often in all."""
        return sum(self._counts)

    @property
    def seconds(self) -> float:
        """How long in all."""
        return self._seconds

    def buckets(self) -> list[tuple[str, float]]:
        """Give how often it took no longer than each bound, as Prometheus has it."""
        bounds = [*map(str, _BOUNDS), "+Inf"]
        return list(zip(bounds, map(float, accumulate(self._counts)), strict=True))


Sample = tuple[Declared, tuple[str, ...], float | Times]
"""A metric, the values of its labels, and its own."""


class Metrics(Collector):
    """What one process has to tell; the parts themselves count, and are asked at each scrape.

    prometheus-client's own counters take several times as long, and some requests are answered
    within a tenth of a millisecond.
    """

    def __init__(self, process: str) -> None:
        self._sources: list[Callable[[], Iterable[Sample]]] = []
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        ProcessCollector(registry=self._registry)
        self.number(BUILD, lambda: 1, process, __version__, platform.python_version())

    def add(self, samples: Callable[[], Iterable[Sample]]) -> None:
        """Ask `samples` at each scrape."""
        self._sources.append(samples)

    def number(self, metric: Declared, read: Callable[[], float], *labels: str) -> None:
        """Ask `read` for a number at each scrape."""
        self.add(lambda: [(metric, labels, read())])

    def collect(self) -> Iterable[Metric]:
        """Ask all there are."""
        samples: dict[Declared, list[Sample]] = {}
        for source in self._sources:
            for sample in source():
                samples.setdefault(sample[0], []).append(sample)
        return [_family(metric, several) for metric, several in samples.items()]

    def written(self, accept: str) -> tuple[str, bytes]:
        """Give the media type that a client with this Accept likes best, and the text."""
        encode, media_type = choose_encoder(accept)
        return media_type, encode(self._registry)


def _family(metric: Declared, samples: Iterable[Sample]) -> Metric:
    if metric.kind is Kind.HISTOGRAM:
        histogram = HistogramMetricFamily(metric.name, metric.text, labels=metric.labels)
        for _, labels, times in samples:
            if isinstance(times, Times):
                histogram.add_metric(labels, times.buckets(), times.seconds)
        return histogram
    family = CounterMetricFamily if metric.kind is Kind.COUNTER else GaugeMetricFamily
    plain = family(metric.name, metric.text, labels=metric.labels)
    for _, labels, number in samples:
        if not isinstance(number, Times):
            plain.add_metric(labels, number)
    return plain
