from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from micropic.domain.s3fifo import S3FifoIndex


def filled(keys: str, max_bytes: int = 100, size: int = 10) -> S3FifoIndex[str]:
    index: S3FifoIndex[str] = S3FifoIndex(max_bytes)
    for key in keys:
        assert index.add(key, size) == []
    return index


def test_what_was_asked_for_once_goes_before_what_is_in_use() -> None:
    index = filled("abcdefghij")
    assert all(index.touch(key) for key in "abc")
    gone = [key for number in range(7) for key in index.add(f"once{number}", 10)]
    assert gone == list("defghij")
    assert all(key in index for key in "abc")


def test_a_scan_leaves_what_is_asked_for_often() -> None:
    index = filled("abcdefghij")
    for key in "abcdefgh":
        index.touch(key)
    for number in range(1000):
        index.add(f"once{number}", 10)
    assert all(key in index for key in "abcdefgh")


def test_what_goes_first_makes_room_on_demand() -> None:
    index = filled("abcdef")
    assert index.touch("a")
    assert index.shrink(11) == ["b", "c"]
    assert index.shrink(99) == ["d", "e", "a", "f"]
    assert (index.shrink(1), index.bytes) == ([], 0)


def test_what_comes_back_soon_is_kept_longer() -> None:
    index = filled("abcdefghij")
    assert index.add("k", 10) == ["a"]
    assert index.add("a", 10) == ["b"]
    for number in range(30):
        index.add(f"once{number}", 10)
    assert "a" in index
    assert "k" not in index


def test_what_is_not_used_any_more_leaves_the_main_queue_too() -> None:
    index = filled("abcdefghij")
    for key in "abcdefghij":
        index.touch(key)
    gone: list[str] = []
    for number in range(20):
        index.add(f"new{number}", 10)
        index.touch(f"new{number}")
        gone = [key for key in "abcdefghij" if key not in index]
    assert gone == list("abcdefghij")


def test_a_new_size_takes_the_place_of_the_old() -> None:
    index = filled("ab")
    index.touch("a")
    assert index.add("a", 25) == []
    assert (index.bytes, len(index), list(index)) == (35, 2, ["b", "a"])


def test_what_does_not_fit_comes_back_and_the_others_stay() -> None:
    index = filled("ab")
    assert index.add("c", 101) == ["c"]
    assert (index.bytes, index.max_bytes, "c" in index) == (20, 100, False)
    none: S3FifoIndex[str] = S3FifoIndex(100, max_entries=0)
    assert none.add("a", 1) == ["a"]


_verbs = st.sampled_from(["add", "add", "touch", "remove"])
_steps = st.tuples(_verbs, st.integers(0, 12), st.integers(0, 9))


@given(st.integers(0, 30), st.none() | st.integers(1, 5), st.lists(_steps, max_size=80))
def test_whatever_is_asked_the_bounds_hold_and_nothing_goes_untold(
    max_bytes: int, max_entries: int | None, steps: list[tuple[str, int, int]]
) -> None:
    index: S3FifoIndex[int] = S3FifoIndex(max_bytes, max_entries)
    held: dict[int, int] = {}
    for verb, key, size in steps:
        if verb == "add":
            held[key] = size
            for gone in index.add(key, size):
                del held[gone]
        elif verb == "touch":
            assert index.touch(key) == (key in held)
        else:
            assert index.remove(key) == (held.pop(key, None) is not None)
        assert set(index) == set(held)
        assert index.bytes == sum(held.values()) <= max_bytes
        assert len(index) == len(held) <= (max_entries or 99)
        assert all(key in index for key in held)


def test_what_is_used_in_the_main_queue_stays_for_another_round() -> None:
    index = filled("abcdefghij")
    for key in "abcdefghij":
        index.touch(key)
    assert index.add("k", 10) == ["a"]
    assert index.touch("b")
    assert index.touch("b")
    assert index.add("l", 10) == ["c"]
    assert index.remove("b")
    assert index.bytes == 90


def test_each_round_in_the_main_queue_takes_a_use() -> None:
    index = filled("abcdefghij")
    for key in "abcdefghij":
        index.touch(key)
    index.add("k", 10)
    index.touch("b")
    gone = [key for number in range(40) for key in index.add(f"{number}", 10)]
    assert "c" in gone
    assert index.add("x", 10) != ["b"]


def test_the_count_is_bounded_and_removing_gives_room_back() -> None:
    index: S3FifoIndex[str] = S3FifoIndex(100, max_entries=2)
    assert [index.add(key, 1) for key in "abc"] == [[], [], ["a"]]
    for key in "bc":
        index.touch(key)
    assert index.add("d", 1) == ["b"]
    assert index.remove("c")
    assert not index.remove("c")
    assert not index.touch("c")
    assert index.add("e", 1) == []
