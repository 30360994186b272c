from __future__ import annotations

from micropic.domain.recent import Recent


def test_a_value_is_remembered_for_its_time() -> None:
    recent: Recent[str] = Recent(10, 5)
    recent.add("a", "x", 100)
    assert [recent.get("a", now) for now in (100, 109.9, 110)] == ["x", "x", None]
    assert recent.get("b", 100) is None


def test_the_oldest_goes_first_and_a_new_one_takes_its_place() -> None:
    recent: Recent[int] = Recent(10, 2)
    for number, key in enumerate("abac"):
        recent.add(key, number, 100)
    assert [recent.get(key, 100) for key in "abc"] == [2, None, 3]


def test_what_is_of_no_use_any_more_takes_no_room() -> None:
    recent: Recent[int] = Recent(10, 1000)
    for now in range(100):
        recent.add(f"{now}", now, now)
    assert len(recent) == 10
    assert recent.get("90", 99) == 90


def test_what_is_to_be_remembered_for_no_time_is_not() -> None:
    recent: Recent[int] = Recent(0, 1000)
    recent.add("a", 1, 100)
    assert len(recent) == 0


def test_those_are_forgotten_that_are_named() -> None:
    recent: Recent[int] = Recent(10, 3)
    for number, key in enumerate("abc"):
        recent.add(key, number, 100)
    recent.forget_those(lambda key: key in "ac")
    assert [recent.get(key, 100) for key in "abc"] == [None, 1, None]


def test_values_are_found_by_their_keys() -> None:
    recent: Recent[int] = Recent(10, 3)
    for number, key in enumerate("abc"):
        recent.add(key, number, 100)
    assert recent.values_of(lambda key: key in "ac") == [0, 2]


def test_what_is_forgotten_is_not_remembered() -> None:
    recent: Recent[int] = Recent(10, 2)
    recent.add("a", 1, 100)
    recent.forget("a")
    recent.forget("b")
    assert recent.get("a", 100) is None
