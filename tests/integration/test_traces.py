"""One trace of a request through all processes, where the usual variables ask for it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cluster import Cluster
from tests.support.origin import Origin, Reply
from tests.support.otlp import Collector, Span
from tests.support.pictures import photo
from tests.support.rabbitmq import RabbitMQ
from tests.support.service import Service, StartService, micropic
from tests.support.waiting import wait_until

TRACE = "0af7651916cd43dd8448eb211c80319c"
CLIENT = "b7ad6b7169203331"
FIELDS = {"traceparent": f"00-{TRACE}-{CLIENT}-01", "X-Request-Id": "owl"}


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as running:
        yield running


def trace(collector: Collector, last: str) -> dict[str, Span]:
    """Wait until the trace is whole, from the client's span down to `last`; give it by id."""

    def whole() -> dict[str, Span]:
        spans = {span.id: span for span in list(collector.spans) if span.trace == TRACE}
        names = {span.name for span in spans.values()}
        parents = {span.parent for span in spans.values()} - {CLIENT}
        return spans if {last, "preview"} <= names and parents <= spans.keys() else {}

    return wait_until(whole)


def way(spans: dict[str, Span], name: str) -> list[str]:
    """Give the names of the spans around the one of this name, from the outermost on."""
    span = next(span for span in spans.values() if span.name == name)
    names = [name]
    while span.parent in spans:
        span = spans[span.parent]
        names.insert(0, span.name)
    assert span.parent == CLIENT
    return names


def test_one_trace_goes_through_proxy_worker_and_cache(
    tmp_path: Path, rabbitmq: RabbitMQ, collector: Collector, origin: Origin
) -> None:
    cluster = Cluster(tmp_path, rabbitmq, 1, **collector.settings)
    cluster.shared_cache.settings.update(collector.settings)
    try:
        target = f"/fill/40/30/{origin.on('/a', Reply(photo()))}?token=SECRET"
        assert cluster.start().get(target, FIELDS).status == 200
        spans = trace(collector, "Put")
    finally:
        cluster.close()
    assert {span.process for span in spans.values()} == {
        "micropic-proxy", "micropic-previewer", "micropic-cache",
    }  # fmt: skip
    assert way(spans, "GetMany")[0] == "preview"
    assert way(spans, "fetch") == ["preview", "ask", "work", "make", "fetch"]
    assert way(spans, "Lease") in (
        ["preview", "Lease"],
        ["preview", "ask", "work", "make", "Lease"],
    )
    (first,) = (span for span in spans.values() if span.name == "preview")
    assert first.attributes["micropic.request_id"] == "owl"
    assert first.attributes["micropic.cache"] == "miss"
    assert first.attributes["micropic.render"] > 0
    assert "SECRET" not in str(spans)


def test_the_embedded_service_traces_errors_too(
    start_service: StartService, collector: Collector, origin: Origin
) -> None:
    service = start_service(**collector.settings, OTEL_SERVICE_NAME="pictures")
    service.get(f"/fill/40/30/{origin.on('/a', Reply(status=500))}", FIELDS)
    spans = trace(collector, "fetch")
    assert way(spans, "fetch") == ["preview", "make", "fetch"]
    assert {span.process for span in spans.values()} == {"pictures"}
    assert {span.attributes["error.type"] for span in spans.values()} == {"origin_failed"}


def test_what_waits_to_be_sent_is_sent_when_the_service_stops(
    start_service: StartService, collector: Collector
) -> None:
    service = start_service(**collector.settings | {"OTEL_BSP_SCHEDULE_DELAY": "60000"})
    assert service.get("/fill/40/30/sample:cat.jpg", FIELDS).status == 200
    assert service.stop() == 0
    assert "preview" in {span.name for span in collector.spans}


def test_a_collector_that_is_out_of_reach_stops_nothing(start_service: StartService) -> None:
    service = start_service(
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1",
        OTEL_EXPORTER_OTLP_TIMEOUT="1",
        OTEL_BSP_SCHEDULE_DELAY="50",
    )
    assert service.get("/fill/40/30/sample:cat.jpg").status == 200


def test_an_exporter_that_is_not_there_is_named_in_one_line(tmp_path: Path) -> None:
    spare = Service(tmp_path, LOG_FILE="", OTEL_TRACES_EXPORTER="pigeon")
    done = micropic("serve", **spare.settings)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "OTEL_TRACES_EXPORTER" in line
    assert "pigeon" in line


@pytest.mark.parametrize(
    "variables",
    [{}, {"OTEL_TRACES_EXPORTER": "none"}, {"OTEL_SDK_DISABLED": "true"}],
)
def test_without_the_variables_nothing_of_opentelemetry_is_loaded(
    variables: dict[str, str],
) -> None:
    endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"} if variables else {}
    program = """
import asyncio, sys
from contextlib import AsyncExitStack
from micropic import cli
from micropic.wiring import distributed, tracing
async def main():
    async with AsyncExitStack() as stack:
        assert not (await tracing.open_tracer("serve", stack)).carrier()
asyncio.run(main())
sys.exit(any(name.startswith("opentelemetry") for name in sys.modules))
"""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environ | endpoint | variables, check=False
    )
    assert done.returncode == 0
