from __future__ import annotations

import pytest

from micropic.domain.errors import TooManyRequests
from micropic.web.rate_limit import GuessLimit, RateLimit


def test_an_answer_tells_the_policy_and_what_is_left() -> None:
    fields, refusal = RateLimit(0.3, 5).take("192.0.2.1")
    assert refusal is None
    assert fields == [
        (b"ratelimit-policy", b'"client";q=5;w=17'),
        (b"ratelimit", b'"client";r=4;t=4'),
    ]


def test_who_asks_too_much_is_told_when_to_come_back() -> None:
    limit = RateLimit(0.01, 1)
    limit.take("192.0.2.1")
    fields, refusal = limit.take("192.0.2.1")
    assert refusal
    assert refusal.retry_after == 100
    assert fields[1] == (b"ratelimit", b'"client";r=0;t=100')


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::2:3", True),
        ("2001:db8::1", "2001:db8:0:0:ffff::", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("", "", True),
        ("", "192.0.2.1", False),
    ],
)
def test_clients_are_told_apart_by_address_or_network(one: str, other: str, *, same: bool) -> None:
    limit = RateLimit(0.01, 1)
    limit.take(one)
    assert bool(limit.take(other)[1]) is same


def test_who_guessed_too_often_is_refused_and_others_are_not() -> None:
    guesses = GuessLimit(0.01, 2)
    for _ in range(2):
        guesses.check("2001:db8::1")
        guesses.failed("2001:db8::1")
    with pytest.raises(TooManyRequests) as caught:
        guesses.check("2001:db8::2")
    assert caught.value.retry_after == 100
    guesses.check("2001:db8:0:1::1")


def test_those_who_guess_from_everywhere_take_no_memory() -> None:
    guesses = GuessLimit()
    for number in range(20_000):
        guesses.failed(f"10.0.{number // 256}.{number % 256}")
    assert len(guesses._buckets) == 10_000
