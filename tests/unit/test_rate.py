from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from micropic.domain.rate import Quota, TokenBuckets


def test_a_burst_goes_through_then_one_for_each_new_token() -> None:
    buckets = TokenBuckets(rate=0.5, burst=3)
    assert [buckets.take("a", 100.0) for _ in range(5)] == [
        Quota(wait=0, left=2, full_in=2),
        Quota(wait=0, left=1, full_in=4),
        Quota(wait=0, left=0, full_in=6),
        Quota(wait=2, left=0, full_in=6),
        Quota(wait=2, left=0, full_in=6),
    ]
    assert buckets.take("a", 101.0) == Quota(wait=1, left=0, full_in=5)
    assert buckets.take("a", 102.0) == Quota(wait=0, left=0, full_in=6)
    assert buckets.take("a", 102.0).wait == 2
    assert buckets.take("a", 999.0) == Quota(wait=0, left=2, full_in=2)


def test_to_look_takes_no_token() -> None:
    buckets = TokenBuckets(rate=0.5, burst=2)
    assert [buckets.wait("a", 100.0) for _ in range(5)] == [0] * 5
    assert len(buckets) == 0
    buckets.take("a", 100.0)
    assert buckets.wait("a", 100.0) == 0
    buckets.take("a", 100.0)
    assert buckets.wait("a", 100.0) == buckets.take("a", 100.0).wait == 2
    assert buckets.wait("a", 101.0) == 1
    assert buckets.wait("a", 102.0) == buckets.wait("b", 100.0) == 0


def test_each_client_has_a_bucket_of_its_own() -> None:
    buckets = TokenBuckets(rate=1, burst=1)
    assert buckets.take("a", 0.0).wait == 0
    assert buckets.take("b", 0.0).wait == 0
    assert buckets.take("a", 0.0).wait == 1


def test_only_so_many_clients_are_remembered_and_the_busy_ones_are() -> None:
    buckets = TokenBuckets(rate=1, burst=2, most=10)
    for number in range(100):
        buckets.take("busy", 0.0)
        buckets.take(f"client {number}", 0.0)
    assert len(buckets) == 10
    assert buckets.take("busy", 0.0).wait == 1


@given(
    st.floats(0.01, 1000),
    st.integers(1, 50),
    st.lists(st.floats(0, 10), min_size=1, max_size=200),
)
def test_no_client_gets_more_than_burst_and_rate_allow(
    rate: float, burst: int, pauses: list[float]
) -> None:
    buckets, now, passed = TokenBuckets(rate, burst), 50.0, []
    for pause in pauses:
        now += pause
        quota = buckets.take("a", now)
        assert 0 <= quota.left < burst
        if not quota.wait:
            passed.append(now)
    for first, began in enumerate(passed):
        for count, at in enumerate(passed[first:], 1):
            assert count <= burst + rate * (at - began) + 1e-3


@pytest.mark.parametrize(("rate", "burst"), [(0.1, 1), (3, 7), (1000, 3)])
def test_who_waits_as_told_is_let_through(rate: float, burst: int) -> None:
    buckets, now = TokenBuckets(rate, burst), 1000.3
    for _ in range(20):
        while not (quota := buckets.take("a", now)).wait:
            pass
        now += quota.wait
        assert buckets.take("a", now).wait == 0


def test_the_tokens_that_are_left_are_there() -> None:
    buckets = TokenBuckets(7, 20)
    lefts = [buckets.take("a", 12.25).left for _ in range(20)]
    assert all(first - second == 1 for first, second in pairwise(lefts))
    assert (lefts[0], lefts[-1]) == (19, 0)
