"""Guessing the token of the purge, and purging around the limit of the client's rate."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.client import Answer
from tests.support.service import Service
from tests.support.shape import running

TOKEN = "a-token-for-purging"  # for the test alone
PREVIEW = "/fill/30/20/sample:cat.jpg"
ROUTES = [("DELETE", PREVIEW, b""), ("POST", "/purge", b'{"sources": ["sample:cat.jpg"]}')]
GUESSES = 10
"""What an address may send at once."""


@pytest.fixture(scope="module", params=["embedded", "distributed"])
def service(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    settings = {"PROXY_PURGE_TOKEN": TOKEN, "PROXY_TRUSTED": "127.0.0.0/8"}
    yield from running(request, tmp_path_factory.mktemp("guessing"), **settings)


@pytest.fixture(scope="module", params=["embedded", "distributed"])
def limited(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    settings = {"PROXY_PURGE_TOKEN": TOKEN, "PROXY_TRUSTED": "127.0.0.0/8"}
    settings |= {"PROXY_RATE": "0.01", "PROXY_BURST": "3"}
    yield from running(request, tmp_path_factory.mktemp("limited"), **settings)


def purge(
    service: Service, route: tuple[str, str, bytes], client: str, token: str = TOKEN
) -> Answer:
    method, target, body = route
    fields = {"X-Forwarded-For": client, "Authorization": f"Bearer {token}"}
    return service.get(target, fields, method, body=body)


@pytest.mark.parametrize(("route", "client"), [(ROUTES[0], "192.0.2.1"), (ROUTES[1], "192.0.2.2")])
def test_an_address_may_guess_a_few_times(
    service: Service, route: tuple[str, str, bytes], client: str
) -> None:
    statuses = [purge(service, route, client, f"guess {n}").status for n in range(GUESSES + 20)]
    assert statuses[:GUESSES] == [403] * GUESSES
    assert statuses.count(429) >= 15  # one more may be sent every ten seconds
    refused = purge(service, route, client)
    assert refused.error == (429, "too_many_requests"), "the right token may not show itself"
    assert 1 <= int(refused.headers["Retry-After"] or 0) <= 10
    assert refused.headers["Cache-Control"] == "no-store"


def test_both_routes_count_together(service: Service) -> None:
    statuses = [
        purge(service, ROUTES[n % 2], "192.0.2.3", f"guess {n}").status for n in range(GUESSES + 2)
    ]
    assert statuses == [403] * GUESSES + [429] * 2


def test_a_network_of_ipv6_is_one_guesser(service: Service) -> None:
    statuses = [
        purge(service, ROUTES[0], f"2001:db8::{n + 1:x}", f"guess {n}").status
        for n in range(GUESSES + 2)
    ]
    assert statuses == [403] * GUESSES + [429] * 2
    assert purge(service, ROUTES[0], "2001:db8:0:1::1").status == 200


@pytest.mark.parametrize("route", ROUTES)
def test_who_knows_the_token_is_not_locked_out_by_others(
    service: Service, route: tuple[str, str, bytes]
) -> None:
    for number in range(60):
        purge(service, route, f"198.51.100.{number % 4}", f"guess {number}")
    answers = [purge(service, route, "192.0.2.9") for _ in range(2 * GUESSES)]
    assert {answer.status for answer in answers} == {200}


def test_a_guesser_may_go_on_asking_for_previews(service: Service) -> None:
    for number in range(GUESSES + 1):
        purge(service, ROUTES[0], "192.0.2.4", f"guess {number}")
    assert service.get(PREVIEW, {"X-Forwarded-For": "192.0.2.4"}).status == 200


@pytest.mark.parametrize("token", [TOKEN, "guess"])
@pytest.mark.parametrize("route", ROUTES, ids=["delete", "post"])
def test_purges_count_as_requests_of_the_client(
    limited: Service, route: tuple[str, str, bytes], token: str
) -> None:
    client = f"203.0.113.{ROUTES.index(route) + 2 * len(token)}"
    answers = [purge(limited, route, client, token) for _ in range(5)]
    allowed = 200 if token == TOKEN else 403
    assert [answer.status for answer in answers] == [allowed] * 3 + [429] * 2
    assert answers[0].headers["RateLimit-Policy"] == '"client";q=3;w=300'
    assert int(answers[3].headers["Retry-After"] or 0) > 50
    assert limited.get(PREVIEW, {"X-Forwarded-For": client}).status == 429
