"""Too much is asked for: what can be done is done, and the rest learns so at once."""

from __future__ import annotations

import http.client
import os
import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager

from tests.support.origin import Origin, Reply
from tests.support.pictures import photo
from tests.support.scrape import Scrape
from tests.support.service import Service, StartService
from tests.support.shape import Shape
from tests.support.waiting import wait_until

PATIENT = {"PROXY_TIMEOUT": "60", "SOURCE_TIMEOUT": "60", "RENDER_TIMEOUT": "60"}


def wait_for(service: Service, metric: str, value: float) -> None:
    wait_until(lambda: Scrape(service).value(metric) == value)


@contextmanager
def renderers_stopped(service: Service) -> Iterator[None]:
    """Have all that is to be rendered meanwhile wait."""
    stopped = service.renderers()
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)


def asking(service: Service, target: str) -> http.client.HTTPConnection:
    """Ask, and go on without the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", service.port)
    connection.request("GET", target)
    return connection


def test_sources_that_hang_hold_up_no_others(shape: Shape, origin: Origin) -> None:
    """In the default settings: 64 pictures at once, and half of the origins say nothing."""
    service = shape.start()
    gate = origin.gate()
    silent = [origin.on(f"/silent/{n}", Reply(photo(), gate=gate)) for n in range(32)]
    good = [origin.on(f"/good/{n}", Reply(photo())) for n in range(32)]
    with service.crowd(64) as crowd:
        held = [crowd.ask(f"/fill/30/20/{source}") for source in silent]
        answers = [crowd.ask(f"/fill/30/20/{source}") for source in good]
        assert [answer.result().status for answer in answers] == [200] * 32
        gate.open()
        assert {answer.result().status for answer in held} <= {200, 504}
    assert len(origin.counts) == 64


def test_slow_origins_do_not_hold_up_pictures_that_are_here(
    start_service: StartService, origin: Origin
) -> None:
    service = start_service(SOURCE_MAX_IN_FLIGHT="3", **PATIENT)  # two of one origin
    kept = origin.on("/kept", Reply(photo()))
    assert service.get(f"/fill/30/20/{kept}").status == 200
    gate = origin.gate()
    slow = [origin.on(f"/slow/{n}", Reply(photo(), gate=gate)) for n in range(3)]
    with service.crowd(3) as crowd:
        waits = [crowd.ask(f"/fill/30/20/{source}") for source in slow]
        wait_for(service, "micropic_fetches_waiting", 1)
        wait_until(lambda: len(origin.requests) == 3)
        assert Scrape(service).value("micropic_fetches_in_flight") == 2
        assert service.get(f"/fill/40/20/{kept}").picture.size == (40, 20)
        gate.open()
        assert {one.result().status for one in waits} == {200}
    assert Scrape(service).value("micropic_fetches_waiting") == 0


def test_who_leaves_while_its_source_waits_to_be_fetched_has_none_fetched(
    start_service: StartService, origin: Origin
) -> None:
    service = start_service(SOURCE_MAX_IN_FLIGHT="1", **PATIENT)
    gate = origin.gate()
    slow = origin.on("/slow", Reply(photo(), gate=gate))
    unwanted = origin.on("/unwanted", Reply(photo()))
    with service.crowd(1) as crowd:
        waits = crowd.ask(f"/fill/30/20/{slow}")
        wait_until(lambda: origin.requests)
        with closing(asking(service, f"/fill/30/20/{unwanted}")):
            wait_for(service, "micropic_fetches_waiting", 1)
        wait_for(service, "micropic_fetches_waiting", 0)
        gate.open()
        assert waits.result().status == 200
    assert origin.targets == ["/slow"]


def test_who_leaves_while_its_picture_waits_for_a_render_process_has_none_made(
    start_service: StartService,
) -> None:
    service = start_service(RENDER_SLOTS="1", **PATIENT)
    with service.crowd(1) as crowd:
        with renderers_stopped(service):
            waits = crowd.ask("/fill/30/20/sample:cat.jpg")
            wait_for(service, "micropic_render_processes_busy", 1)
            with closing(asking(service, "/fill/31/20/sample:cat.jpg")):
                wait_for(service, "micropic_render_waiting", 1)
            wait_for(service, "micropic_render_waiting", 0)
        assert waits.result().status == 200
    assert Scrape(service).value("micropic_previews_total") == 1


def test_what_cannot_be_rendered_soon_is_refused_before_it_is_fetched(
    start_service: StartService, origin: Origin
) -> None:
    service = start_service(RENDER_SLOTS="1", PROXY_MAX_WAIT="0.001", **PATIENT)
    kept = f"/fill/30/20/{origin.on('/kept', Reply(photo()))}"
    assert service.get(kept).status == 200
    with service.crowd(2) as crowd:
        with renderers_stopped(service):
            waits = [crowd.ask("/fill/30/20/sample:cat.jpg")]
            wait_for(service, "micropic_render_processes_busy", 1)
            waits.append(crowd.ask("/fill/31/20/sample:cat.jpg"))
            wait_for(service, "micropic_render_waiting", 1)
            refused = service.get(f"/fill/32/20/{origin.on('/unwanted', Reply(photo()))}")
            assert service.get(kept).cache_status == "micropic; hit"
        assert {one.result().status for one in waits} == {200}
    assert refused.error == (503, "overloaded")
    assert int(refused.headers["Retry-After"]) >= 1
    assert origin.targets == ["/kept"]
    assert Scrape(service).value("micropic_refusals_total", queue="render") == 1


def test_sources_that_take_too_many_bytes_at_once_are_refused(
    start_service: StartService, origin: Origin
) -> None:
    room = {"SOURCE_MAX_BYTES": "40KiB", "SOURCE_MAX_IN_FLIGHT_BYTES": "40KiB"}
    service = start_service(RENDER_SLOTS="1", PROXY_MAX_WAIT="30", **room, **PATIENT)
    large = photo(640, 480)
    assert len(large) < 40 * 1024 < 2 * len(large)
    sources = [origin.on(f"/{n}", Reply(large, chunked=n == 2)) for n in range(3)]
    with service.crowd(2) as crowd:
        with renderers_stopped(service):
            waits = [crowd.ask(f"/fill/30/20/{origin.on('/small', Reply(photo(40, 30)))}")]
            wait_for(service, "micropic_render_processes_busy", 1)
            waits.append(crowd.ask(f"/fill/30/20/{sources[0]}"))
            wait_for(service, "micropic_render_waiting", 1)
            for source in sources[1:]:
                assert service.get(f"/fill/30/20/{source}").error == (503, "overloaded")
        assert {one.result().status for one in waits} == {200}
    assert {service.get(f"/fill/30/20/{source}").status for source in sources} == {200}
    told = Scrape(service)
    assert told.value("micropic_refusals_total", queue="bytes") == 2
    assert told.value("micropic_held_source_bytes") == 0


def test_an_answer_of_too_many_pixels_is_not_to_be_had(shape: Shape) -> None:
    service = shape.shared()
    for target in ("/fill/8192/8192/sample:cat.jpg", "/fill/4096/4096/dpr=2/sample:cat.jpg"):
        assert service.get(target).error == (400, "bad_request")
