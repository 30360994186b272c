"""Origins that take their time: each is a 504 within the request's time, and is then left."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hostile.cases.base import PHOTO, stays, whole
from tests.support.origin import Answering, Origin, Received, Reply, redirect
from tests.support.pictures import photo
from tests.support.rude_origin import Act, RudeOrigins
from tests.support.service import Service
from tests.support.shape import running
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

SOURCE_TIMEOUT, PROXY_TIMEOUT = 1.0, 4.0
LONG = {"X-Long": "a" * 1000}


@pytest.fixture(scope="module", params=["embedded", "distributed"])
def hasty(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """Give a service that is soon out of patience."""
    settings = {"SOURCE_TIMEOUT": str(SOURCE_TIMEOUT), "PROXY_TIMEOUT": str(PROXY_TIMEOUT)}
    yield from running(request, tmp_path_factory.mktemp("hasty"), **settings)


@pytest.mark.parametrize("shape", ["embedded", "distributed"])
@pytest.mark.parametrize(
    "act",
    [pytest.param(stays(b""), id="all"), pytest.param(stays(whole(PHOTO)[:-9]), id="the end")],
)
def test_silence_is_not_waited_out(
    request: pytest.FixtureRequest, tmp_path: Path, shape: str, act: Act
) -> None:
    """An origin that has gone to sleep is left before all the time is up that it may take."""
    request.param = shape
    settings = {"SOURCE_READ_TIMEOUT": "0.5", "SOURCE_TIMEOUT": "40", "PROXY_TIMEOUT": "50"}
    with RudeOrigins({}) as origins:
        (authority,) = origins.serve([act])
        for service in running(request, tmp_path, **settings):
            began = time.monotonic()
            assert service.get(f"/fill/30/20/{authority}/a").error == (504, "origin_timeout")
            assert time.monotonic() - began < 40
        wait_until(lambda: not origins.visits)


def assert_given_up(service: Service, source: str) -> None:
    began = time.monotonic()
    assert service.get(f"/fill/30/20/{source}").error == (504, "origin_timeout")
    assert time.monotonic() - began < PROXY_TIMEOUT


def slow_redirects(request: Received) -> Reply:
    return Reply(status=302, headers={"Location": f"{request.target}a"}, trickle_head=True)


@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param(Reply(photo(), headers=LONG, trickle_head=True), id="header, byte by byte"),
        pytest.param(Reply(photo(), trickle=True), id="body, byte by byte"),
        pytest.param(Reply(photo(), trickle=True, chunked=True), id="chunks of a byte"),
        pytest.param(slow_redirects, id="redirects, byte by byte"),
    ],
)
def test_an_origin_that_is_slow_is_given_up(
    hasty: Service, origin: Origin, behaviour: Answering
) -> None:
    origin.fallback = behaviour
    assert_given_up(hasty, f"{origin.authority}/a")
    wait_until(lambda: not origin.connections)


def test_an_origin_that_says_nothing_is_given_up(hasty: Service, origin: Origin) -> None:
    assert_given_up(hasty, origin.on("/a", Reply(photo(), gate=origin.gate())))


def test_a_redirect_to_an_origin_that_is_slow_is_given_up(hasty: Service, origin: Origin) -> None:
    with Origin() as slow:
        there = slow.on("/a", Reply(photo(), trickle=True))
        assert_given_up(hasty, origin.on("/start", redirect(f"http://{there}")))
        wait_until(lambda: not slow.connections)


def test_an_origin_that_takes_no_connection_is_given_up(hasty: Service) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)  # noqa: FBT003 # as the socket has it
            each.connect_ex(full.getsockname())
        assert_given_up(hasty, f"127.0.0.1:{full.getsockname()[1]}/a")
        for each in waiting:
            each.close()
