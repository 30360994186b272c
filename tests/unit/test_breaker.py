from __future__ import annotations

from micropic.adapters.breaker import Breaker


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def opened() -> tuple[Breaker, Clock]:
    clock = Clock()
    breaker = Breaker(3, 1.0, clock)
    for _ in range(3):
        breaker.failed()
    return breaker, clock


def test_faults_with_an_answer_between_them_leave_it_closed() -> None:
    breaker = Breaker(3, 1.0, Clock())
    for _ in range(9):
        breaker.failed()
        breaker.failed()
        assert breaker.in_doubt
        breaker.succeeded()
        assert not breaker.in_doubt
    assert breaker.allows()
    assert not breaker.is_open


def test_after_some_faults_in_a_row_nobody_is_let_through() -> None:
    breaker, clock = opened()
    assert breaker.is_open
    assert not breaker.allows()
    clock.now += 0.9
    assert not breaker.allows()


def test_one_try_goes_through_after_each_pause() -> None:
    breaker, clock = opened()
    for _ in range(5):
        clock.now += 1.0
        assert breaker.allows()
        assert not breaker.allows()
        breaker.failed()
        assert not breaker.allows()


def test_a_try_that_is_never_heard_of_again_does_not_keep_it_open_for_ever() -> None:
    breaker, clock = opened()
    clock.now += 1.0
    assert breaker.allows()
    clock.now += 1.0
    assert breaker.allows()


def test_the_first_answer_closes_it() -> None:
    breaker, clock = opened()
    clock.now += 1.0
    assert breaker.allows()
    breaker.succeeded()
    assert not breaker.is_open
    assert all(breaker.allows() for _ in range(9))
    breaker.failed()
    assert breaker.allows()
