"""What Prometheus is told."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from micropic import __version__
from micropic.services.metrics import DECLARED
from tests.support.cluster import Cluster, Proxy, StartCluster
from tests.support.origin import Origin, Reply
from tests.support.pictures import photo
from tests.support.scrape import OPENMETRICS, Scrape
from tests.support.service import Service, StartService
from tests.support.shape import Shape
from tests.support.waiting import wait_until

REQUESTS = "micropic_requests_total"
HOUR = {"Cache-Control": "max-age=3600"}


def makers(service: Service) -> list[Service]:
    """Give the processes that make the previews of a shape."""
    return list(service.workers) if isinstance(service, Cluster) else [service]


def test_requests_are_counted_by_route_status_and_cache(shape: Shape, origin: Origin) -> None:
    service = shape.start()
    target = f"/fill/40/30/{origin.on('/a', Reply(photo(), headers=HOUR))}"
    answers = [service.get(target) for _ in range(3)]
    service.get(f"/fit/40/30/{origin.on('/gone', Reply(b'', status=404))}")
    service.get("/fill/0/0/x")
    service.get("/nothing")
    service.get("/healthz")
    told = Scrape(service)
    assert told.value(REQUESTS, route="fill", status="200", cache="miss") == 1
    assert told.value(REQUESTS, route="fill", status="200", cache="hit_memory") == 2
    assert told.value(REQUESTS, route="fit", status="404", cache="none") == 1
    assert told.value(REQUESTS, route="fill", status="400", cache="none") == 1
    assert told.value(REQUESTS, route="other", status="404") == 1
    assert told.value(REQUESTS, route="health", status="200") >= 1
    sent = sum(len(answer.body) for answer in answers)
    assert told.value("micropic_response_bytes_total", route="fill") >= sent
    assert told.value("micropic_request_seconds_count", route="fill", cache="miss") == 1
    taken = told.value("micropic_request_seconds_sum", route="fill", cache="miss")
    assert 0 < taken < told.value("process_start_time_seconds")
    assert told.value("micropic_cache_hits_total", level="memory") == 2
    assert told.value("micropic_cache_entries", level="memory") == 1


def test_what_is_made_is_counted_where_it_is_made(shape: Shape, origin: Origin) -> None:
    service = shape.start(RENDER_SLOTS="2")
    picture = photo()
    source = origin.on("/a", Reply(picture, headers=HOUR))
    for size in ("40/30", "41/30"):
        assert service.get(f"/fill/{size}/{source}").status == 200
    text = origin.on("/text", Reply(b"no picture", headers=HOUR))
    assert service.get(f"/fill/40/30/{text}").status == 415
    told = [Scrape(maker) for maker in makers(service)]

    def total(name: str, **labels: str) -> float:
        return sum(each.value(name, **labels) for each in told)

    assert total("micropic_previews_total", outcome="preview") == 2
    assert total("micropic_previews_total", outcome="not_an_image") == 1
    assert total("micropic_fetches_total", outcome="picture") == 2
    assert total("micropic_source_bytes_total") == len(picture) + len(b"no picture")
    for step in ("queue", "fetch", "render"):
        assert total("micropic_step_seconds_count", step=step) == 2
    assert total("micropic_step_seconds_sum", step="render") > 0
    assert total("micropic_render_processes") == 2


def test_a_cache_on_disk_tells_its_levels(start_service: StartService) -> None:
    service = start_service(CACHE_MEMORY="0")
    for _ in range(2):
        service.get("/fill/40/30/sample:cat.jpg")
    told = Scrape(service)
    assert told.value(REQUESTS, route="fill", cache="hit") == 1
    assert told.value("micropic_cache_entries", level="previews") == 1
    assert told.value("micropic_cache_hits_total", level="previews") == 1
    assert told.value("micropic_cache_misses_total", level="sources") == 1
    used = told.value("micropic_cache_bytes", level="previews")
    assert 0 < used < told.value("micropic_cache_max_bytes", level="previews")


def test_all_processes_of_a_cluster_tell_of_themselves(
    start_cluster: StartCluster, origin: Origin
) -> None:
    cluster = start_cluster(CACHE_MEMORY="0")
    target = f"/fill/40/30/{origin.on('/a', Reply(photo(), headers=HOUR))}"
    for _ in range(2):
        assert cluster.get(target).status == 200
    (worker,) = cluster.workers
    for name, process in {
        "proxy": cluster, "previewer": worker, "cache": cluster.shared_cache,
    }.items():  # fmt: skip
        told = Scrape(process)
        assert told.value("micropic_build_info", process=name, version=__version__) == 1
        assert told.value("process_resident_memory_bytes") > 0
    assert Scrape(cluster).value("micropic_ready") == 2
    assert Scrape(cluster).value(REQUESTS, cache="hit") == 1
    wait_until(lambda: Scrape(worker).value("micropic_jobs_total", outcome="preview") == 1)
    assert Scrape(worker).value("micropic_job_wait_seconds_count") == 1
    assert Scrape(cluster.shared_cache).value("micropic_cache_hits_total", level="previews") == 1
    cluster.shared_cache.kill()

    def faults() -> float:
        cluster.get(target)
        return Scrape(cluster).value("micropic_cache_faults_total")

    wait_until(lambda: faults() >= 5)
    wait_until(lambda: faults() and Scrape(cluster).value("micropic_ready", part="cache") == 0)


def test_the_length_of_the_queue_is_told_as_long_as_somebody_knows_it(
    tmp_path: Path, start_cluster: StartCluster, origin: Origin
) -> None:
    cluster = start_cluster(PROXY_TIMEOUT="30", SOURCE_TIMEOUT="30")
    length = "micropic_queue_length"
    wait_until(lambda: length in Scrape(cluster).families)
    assert Scrape(cluster).value(length) == 0
    cluster.workers[0].stop()
    source = origin.on("/a", Reply(photo()))
    with cluster.crowd(2) as crowd:
        waiting = [crowd.ask(f"/fill/{side}/30/{source}") for side in (20, 21)]
        wait_until(lambda: Scrape(cluster).value(length) == 2)
        cluster.add_worker()
        assert {one.result().status for one in waiting} == {200}
    wait_until(lambda: Scrape(cluster).value(length) == 0)
    (tmp_path / "lost").mkdir()
    lost = Proxy(tmp_path / "lost", AMQP_PORT="1")
    try:
        lost.begin()
        assert length not in Scrape(lost).families
    finally:
        lost.close()


def test_a_render_process_that_dies_is_counted(start_service: StartService) -> None:
    service = start_service(RENDER_SLOTS="2")
    os.kill(service.renderers()[0], signal.SIGKILL)
    ends = "micropic_render_process_ends_total"
    wait_until(lambda: Scrape(service).value(ends, reason="died") == 1)
    assert Scrape(service).value(ends, reason="killed") == 0
    wait_until(lambda: Scrape(service).value("micropic_render_processes") == 2)


def test_what_is_being_made_is_in_flight(start_service: StartService, origin: Origin) -> None:
    service = start_service(PROXY_TIMEOUT="20", SOURCE_TIMEOUT="20")
    gate = origin.gate()
    source = origin.on("/a", Reply(photo(), gate=gate))
    with service.crowd(1) as crowd:
        waits = crowd.ask(f"/fill/40/30/{source}")
        wait_until(lambda: Scrape(service).value("micropic_previews_in_flight") == 1)
        gate.open()
        assert waits.result().status == 200
    assert Scrape(service).value("micropic_previews_in_flight") == 0


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [("", "text/plain"), ("text/html, */*", "text/plain"), (OPENMETRICS, OPENMETRICS)],
)
def test_a_scrape_is_in_the_form_that_is_asked_for(
    service: Service, accept: str, media_type: str
) -> None:
    told = Scrape(service, accept)
    assert told.media_type.startswith(media_type)
    assert "micropic_build" in {name.removesuffix("_info") for name in told.families}


def test_metrics_are_for_the_health_port_alone(shape: Shape) -> None:
    service = shape.shared()
    assert service.get("/metrics").error == (404, "not_found")


def test_labels_have_few_values_and_metrics_are_declared(shape: Shape) -> None:
    service = shape.shared()
    service.get("/secret/path?query")
    declared = {metric.name.removesuffix("_total"): metric for metric in DECLARED}
    told = [Scrape(process) for process in {service, *makers(service)}]
    for sample in (sample for each in told for sample in each.samples()):
        assert "secret" not in str(sample)
        assert "127.0.0.1" not in str(sample)
    for family in (name for each in told for name in each.families):
        assert family in declared or family.startswith("process_")
