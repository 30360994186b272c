"""The service behind a server of another kind, which changes paths and hides addresses."""

from __future__ import annotations

import pytest

from tests.support.origin import Origin, Reply
from tests.support.pictures import photo
from tests.support.service import Service, StartService


def test_a_prefix_stands_before_every_path_but_those_of_health(start_service: StartService) -> None:
    service = start_service(PROXY_PREFIX="/img")
    assert service.get("/img/fill/30/20/sample:cat.jpg").status == 200
    assert service.get("/fill/30/20/sample:cat.jpg").error == (404, "not_found")
    assert service.get("/img/").status == 200
    assert service.get("/").status == 404
    assert service.get("/healthz").status == service.get("/img/readyz").status == 200


@pytest.mark.parametrize("trusted", ["127.0.0.0/8", ""])
def test_the_clients_address_is_that_which_a_trusted_proxy_tells(
    start_service: StartService, origin: Origin, trusted: str
) -> None:
    service = start_service(PROXY_TRUSTED=trusted, PROXY_RELOAD_NETWORKS="203.0.113.0/24")
    target = f"/fill/30/20/{origin.on('/a', Reply(photo()))}"
    sent = {"X-Forwarded-For": "8.8.8.8, 203.0.113.9", "Cache-Control": "no-cache"}
    for _ in range(2):
        assert service.get(target, sent).status == 200
    assert len(origin.requests) == (2 if trusted else 1)
    told = {line["client"] for line in service.events("request")}
    assert told == {"203.0.113.9" if trusted else "127.0.0.1"}


def test_a_client_that_asks_for_too_much_is_429_and_the_next_one_is_not(
    start_service: StartService,
) -> None:
    service = start_service(
        PROXY_RATE="0.01", PROXY_BURST="2", PROXY_TRUSTED="127.0.0.0/8", PROXY_FALLBACK="sample:x"
    )
    target, sent = "/fill/30/20/sample:cat.jpg", {"X-Forwarded-For": "203.0.113.9"}
    answers = [service.get(target, sent) for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert answers[2].error == (429, "too_many_requests")
    assert answers[2].headers["Retry-After"] == "100"
    assert answers[2].headers["Cache-Control"] == "no-store"
    assert {answer.headers["RateLimit-Policy"] for answer in answers} == {'"client";q=2;w=200'}
    told = [answer.headers["RateLimit"] for answer in answers]
    assert [each.split(";")[1] for each in told] == ["r=1", "r=0", "r=0"]
    assert service.get(target, {"X-Forwarded-For": "203.0.113.10"}).status == 200
    assert service.get("/healthz", sent).status == 200
    assert service.get("/", sent).status == 200


def test_without_a_rate_nobody_is_counted(service: Service) -> None:
    answers = [service.get("/fill/30/20/sample:cat.jpg") for _ in range(150)]
    assert {answer.status for answer in answers} == {200}
    assert answers[0].headers["RateLimit"] is None
