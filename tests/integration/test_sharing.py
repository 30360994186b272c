"""What many clients share: the work under way, and what was made."""

from __future__ import annotations

import http.client
import socket

import pytest

from tests.support.origin import Origin, Reply
from tests.support.pictures import photo
from tests.support.service import Service, StartService
from tests.support.waiting import wait_until


def test_equal_requests_at_once_are_one_fetch(service: Service, origin: Origin) -> None:
    gate = origin.gate()
    source = origin.on("/a.jpg", Reply(photo(), gate=gate))
    with service.crowd(40) as crowd:
        answers = [crowd.ask(f"/fill/30/20/{source}") for _ in range(40)]
        wait_until(lambda: origin.requests)
        gate.open()
    got = [answer.result() for answer in answers]
    assert {answer.body for answer in got} == {got[0].body}
    assert got[0].picture.size == (30, 20)
    assert origin.targets == ["/a.jpg"]


def test_equal_requests_share_a_failure(service: Service, origin: Origin) -> None:
    gate = origin.gate()
    source = origin.on("/a.jpg", Reply(b"no", 500, gate=gate))
    with service.crowd(8) as crowd:
        answers = [crowd.ask(f"/fill/30/20/{source}") for _ in range(8)]
        wait_until(lambda: origin.requests)
        gate.open()
    assert {answer.result().error for answer in answers} == {(502, "origin_failed")}


@pytest.mark.parametrize("leaver", ["first", "second"])
def test_one_that_leaves_does_not_stop_the_others(
    service: Service, origin: Origin, leaver: str
) -> None:
    gate = origin.gate()
    target = f"/fill/30/20/{origin.on('/a.jpg', Reply(photo(), gate=gate))}"
    marked = {"X-Request-Id": f"{leaver}:{origin.port}"}
    with service.crowd(1) as crowd:
        if leaver == "second":
            stays = crowd.ask(target)
            wait_until(lambda: origin.requests)
        leaving = http.client.HTTPConnection("127.0.0.1", service.port)
        leaving.request("GET", target, headers=marked)
        wait_until(lambda: origin.requests)
        if leaver == "first":
            stays = crowd.ask(target)
        leaving.close()
        wait_until(
            lambda: [
                line
                for line in service.events("request")
                if (line["request_id"], line["status"]) == (marked["X-Request-Id"], 499)
            ]
        )
        gate.open()
        assert stays.result().picture.size == (30, 20)


@pytest.mark.parametrize(
    "fields", [{"Cache-Control": "no-store"}, {"Cache-Control": "private"}, {"Vary": "*"}]
)
def test_what_may_not_be_kept_is_fetched_each_time(
    service: Service, origin: Origin, fields: dict[str, str]
) -> None:
    source = origin.on("/a.jpg", Reply(photo(), headers=fields))
    answers = [service.get(f"/fill/30/20/{source}") for _ in range(2)]
    assert [answer.cache_status for answer in answers] == ["micropic; fwd=miss"] * 2
    assert [answer.headers["Cache-Control"] for answer in answers] == ["no-store"] * 2
    assert len(origin.requests) == 2


def test_what_may_be_kept_tells_its_clients_for_how_long(service: Service, origin: Origin) -> None:
    source = origin.on("/a.jpg", Reply(photo(), headers={"Cache-Control": "max-age=3600"}))
    for cache_status in ("micropic; fwd=miss", "micropic; hit"):
        answer = service.get(f"/fill/30/20/{source}")
        assert answer.cache_status == cache_status
        assert 3000 < int(answer.headers["Cache-Control"].removeprefix("public, max-age=")) <= 3600


def test_equal_requests_in_other_words_share_a_preview(service: Service, origin: Origin) -> None:
    source = origin.on("/a.jpg", Reply(photo()))
    assert service.get(f"/fill/30/20/{source}").cache_status == "micropic; fwd=miss"
    for other in (f"g=smart/http://{source}", f"q=80/http:/{source}", f"q=80,g=smart/{source}"):
        assert service.get(f"/fill/30/20/{other}").cache_status == "micropic; hit", other
    assert service.get(f"/fill/30/20/q=10/{source}").cache_status == "micropic; fwd=miss"


def test_names_that_do_not_resolve_keep_nobody_else_waiting(
    start_service: StartService, origin: Origin
) -> None:
    """Hits read files, misses dial and render: none of it may stand behind a name server."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        silent.settimeout(20)
        service = start_service(
            SOURCE_NAMESERVERS=f"127.0.0.1:{silent.getsockname()[1]}",
            SOURCE_CONNECT_TIMEOUT="30",
            SOURCE_TIMEOUT="6",
            PROXY_TIMEOUT="6",
            CACHE_MEMORY="0",
        )
        hit = f"/fill/30/20/{origin.on('/a.jpg', Reply(photo()))}"
        assert service.get(hit).status == 200
        with service.crowd(32) as crowd:
            hanging = [crowd.ask(f"/fill/30/20/host{n}.example.com/a.jpg") for n in range(32)]
            asked: set[bytes] = set()
            while len(asked) < 32:
                asked.update(part for part in silent.recv(512).split(b"\x07example")[:1])
            for side in range(10, 20):
                assert service.get(hit).cache_status == "micropic; hit"
                assert service.get(f"/fill/{side}/9/sample:cat.jpg").picture.size == (side, 9)
            assert not any(answer.done() for answer in hanging)
        assert {answer.result().error for answer in hanging} == {(504, "origin_timeout")}
