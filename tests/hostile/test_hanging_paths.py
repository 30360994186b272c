"""Paths that hang, chosen by a stranger, cost the good paths of the same origin nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.origin import Origin, Reply
from tests.support.pictures import photo
from tests.support.scrape import Scrape
from tests.support.service import Service, StartService
from tests.support.shape import running
from tests.support.waiting import wait_until

AGAIN = {"Cache-Control": "no-store"}
"""So that each request goes to the origin."""
SETTINGS = {"SOURCE_READ_TIMEOUT": "1", "CACHE_NEGATIVE_AGE": "0", "CACHE_STALE_IF_ERROR": "0"}


@pytest.fixture(scope="module", params=["embedded", "distributed"])
def service(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    yield from running(request, tmp_path_factory.mktemp("hanging"), **SETTINGS)


def is_good(service: Service, source: str) -> bool:
    return service.get(f"/fill/30/20/{source}").status == 200


def test_six_paths_that_hang_switch_no_origin_off(service: Service, origin: Origin) -> None:
    good = origin.on("/good", Reply(photo(), headers=AGAIN))
    origin.fallback = Reply(photo(), gate=origin.gate())
    for attempt in range(2):
        hanging = [f"/fill/30/20/{origin.authority}/{attempt}/{n}" for n in range(6)]
        with service.crowd(6) as crowd:
            answers = [crowd.ask(target) for target in hanging]
            assert all(is_good(service, good) for _ in range(5))
            assert {answer.result().error for answer in answers} == {(504, "origin_timeout")}
        assert is_good(service, good)
    assert is_good(service, good)
    assert is_good(service, origin.on("/new", Reply(photo())))


def test_one_path_that_answers_and_then_hangs_switches_no_origin_off(
    service: Service, origin: Origin
) -> None:
    good = [origin.on(f"/good/{n}", Reply(photo(), headers=AGAIN)) for n in range(3)]
    trap = origin.on("/trap", Reply(photo(), headers=AGAIN))
    assert all(is_good(service, source) for source in [*good, trap])
    origin.on("/trap", Reply(photo(), gate=origin.gate()))
    for _ in range(6):
        assert service.get(f"/fill/30/20/{trap}").error == (504, "origin_timeout")
    assert all(is_good(service, source) for source in good)


def test_paths_that_hang_do_not_take_all_the_places_at_their_origin(
    start_service: StartService, origin: Origin
) -> None:
    service = start_service(SOURCE_MAX_PER_ORIGIN="4")
    good = origin.on("/photos/good", Reply(photo(), headers=AGAIN))
    assert is_good(service, good)
    gate = origin.gate()
    origin.fallback = Reply(photo(), gate=gate)
    new = origin.on("/photos/new", Reply(photo()))
    with service.crowd(12) as crowd:
        hanging = [crowd.ask(f"/fill/30/20/{origin.authority}/slow?{n}") for n in range(8)]
        wait_until(lambda: Scrape(service).value("micropic_fetches_in_flight") == 8)
        assert all(is_good(service, good) for _ in range(5))
        assert is_good(service, new)
        gate.open()
        assert {answer.result().status for answer in hanging} <= {200, 504}


def test_strangers_paths_that_answer_and_then_hang_close_no_other_folder(
    service: Service, origin: Origin
) -> None:
    mine = [origin.on(f"/mine/{n}", Reply(photo(), headers=AGAIN)) for n in range(2)]
    strange = [origin.on(f"/strange/{n}", Reply(photo(), headers=AGAIN)) for n in range(6)]
    assert all(is_good(service, source) for source in [mine[0], *strange])
    for n in range(6):
        origin.on(f"/strange/{n}", Reply(photo(), gate=origin.gate()))
    with service.crowd(6) as crowd:
        answers = [crowd.ask(f"/fill/30/20/{source}") for source in strange]
        assert {answer.result().error for answer in answers} <= {
            (504, "origin_timeout"),
            (502, "origin_failed"),
        }
    assert all(is_good(service, source) for source in mine)


def test_a_client_that_asks_for_paths_that_hang_takes_no_other_clients_place(
    start_service: StartService, origin: Origin
) -> None:
    service = start_service(SOURCE_MAX_PER_ORIGIN="8", PROXY_TRUSTED="127.0.0.0/8")
    owl = origin.on("/img/owl", Reply(photo(), headers=AGAIN))
    cat = origin.on("/img/cat", Reply(photo(), headers=AGAIN))
    assert is_good(service, owl)
    assert all(is_good(service, f"{cat}?{n}") for n in range(130))
    gate = origin.gate()
    origin.fallback = Reply(photo(), gate=gate)
    new = origin.on("/img/new", Reply(photo()))
    with service.crowd(40) as crowd:
        hanging = [
            crowd.ask(f"/fill/30/20/{origin.authority}/{n}/x", {"X-Forwarded-For": "192.0.2.1"})
            for n in range(40)
        ]
        wait_until(lambda: Scrape(service).value("micropic_fetches_in_flight") >= 23)
        for source in (owl, new):
            target = f"/fill/30/20/{source}"
            assert service.get(target, {"X-Forwarded-For": "192.0.2.2"}).status == 200
        gate.open()
        assert {answer.result().status for answer in hanging} <= {200, 503, 504}


def test_paths_that_hang_do_not_take_all_the_fetches(
    start_service: StartService, origin: Origin
) -> None:
    service = start_service(SOURCE_MAX_IN_FLIGHT="4")
    gate = origin.gate()
    origin.fallback = Reply(photo(), gate=gate)
    with service.crowd(6) as crowd, Origin() as other:
        hanging = [crowd.ask(f"/fill/30/20/{origin.authority}/{n}") for n in range(6)]
        wait_until(lambda: Scrape(service).value("micropic_fetches_waiting") == 3)
        good = other.on("/good", Reply(photo(), headers=AGAIN))
        assert all(is_good(service, good) for _ in range(5))
        gate.open()
        assert {answer.result().status for answer in hanging} <= {200, 503, 504}


def test_an_origin_whose_good_paths_all_hang_is_left_alone(
    start_service: StartService, origin: Origin
) -> None:
    service = start_service(**SETTINGS)
    good = [origin.on(f"/good/{n}", Reply(photo(), headers=AGAIN)) for n in range(6)]
    assert all(is_good(service, source) for source in good)
    gate = origin.gate()
    for n in range(6):
        origin.on(f"/good/{n}", Reply(photo(), gate=gate))
    for source in good[:5]:
        assert service.get(f"/fill/30/20/{source}").error == (504, "origin_timeout")
    refused = service.get(f"/fill/30/20/{good[5]}")
    assert refused.error == (502, "origin_failed")
    assert int(refused.headers["Retry-After"]) >= 1
    gate.open()
    wait_until(lambda: is_good(service, good[0]))
