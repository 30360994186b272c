from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from micropic.domain.lru import LruIndex


def test_the_least_recently_used_goes_first() -> None:
    index: LruIndex[str] = LruIndex(30)
    assert [index.add(key, 10) for key in "abc"] == [[], [], []]
    assert index.touch("a")
    assert index.add("d", 10) == ["b"]
    assert index.add("e", 20) == ["c", "a"]
    assert ("d" in index, "e" in index, "a" in index) == (True, True, False)
    assert (index.bytes, len(index), index.max_bytes) == (30, 2, 30)


def test_adding_again_gives_a_new_size_and_a_new_place() -> None:
    index: LruIndex[str] = LruIndex(30)
    for key in "ab":
        index.add(key, 10)
    assert index.add("a", 15) == []
    assert index.bytes == 25
    assert index.add("c", 10) == ["b"]


def test_what_does_not_fit_comes_back_and_the_others_stay() -> None:
    index: LruIndex[str] = LruIndex(30)
    index.add("a", 30)
    assert index.fits(30)
    assert not index.fits(31)
    assert index.add("b", 31) == ["b"]
    assert ("a" in index, "b" in index, index.bytes) == (True, False, 30)


def test_an_entry_that_outgrew_the_cache_is_forgotten() -> None:
    index: LruIndex[str] = LruIndex(30)
    index.add("a", 10)
    assert index.add("a", 31) == ["a"]
    assert (len(index), index.bytes) == (0, 0)


def test_what_goes_first_makes_room_on_demand() -> None:
    index: LruIndex[str] = LruIndex(30)
    for key in "abc":
        index.add(key, 10)
    index.touch("a")
    assert index.shrink(11) == ["b", "c"]
    assert index.shrink(99) == ["a"]
    assert (index.shrink(1), index.bytes) == ([], 0)


def test_the_count_is_bounded_too() -> None:
    index: LruIndex[str] = LruIndex(1000, max_entries=2)
    assert [index.add(key, 1) for key in "abc"] == [[], [], ["a"]]
    assert len(index) == 2


def test_a_cache_of_no_entries_takes_nothing() -> None:
    index: LruIndex[str] = LruIndex(1000, max_entries=0)
    assert not index.fits(0)
    assert index.add("a", 0) == ["a"]
    assert len(index) == 0


def test_removing_frees_the_room_and_tells_whether_it_was_there() -> None:
    index: LruIndex[str] = LruIndex(30)
    index.add("a", 10)
    index.add("empty", 0)
    assert [index.remove(key) for key in ("a", "a", "empty")] == [True, False, True]
    assert (index.bytes, len(index)) == (0, 0)


def test_touching_what_is_not_there_tells_so() -> None:
    index: LruIndex[str] = LruIndex(30)
    assert not index.touch("a")
    assert "a" not in index


_verbs = st.sampled_from(["add", "touch", "remove"])
_steps = st.tuples(_verbs, st.integers(0, 5), st.integers(0, 9))


@given(st.integers(0, 20), st.none() | st.integers(0, 4), st.lists(_steps, max_size=60))
def test_it_behaves_like_a_list_from_old_to_new(
    max_bytes: int, max_entries: int | None, steps: list[tuple[str, int, int]]
) -> None:
    index: LruIndex[int] = LruIndex(max_bytes, max_entries)
    model: list[tuple[int, int]] = []
    for verb, key, size in steps:
        held = dict(model)
        rest = [pair for pair in model if pair[0] != key]
        if verb == "add":
            model = [*rest, (key, size)] if index.fits(size) else rest
            gone = [] if index.fits(size) else [key]
            while sum(dict(model).values()) > max_bytes or len(model) > (max_entries or 99):
                gone.append(model.pop(0)[0])
            assert index.add(key, size) == gone
        elif verb == "touch":
            model = [*rest, (key, held[key])] if key in held else model
            assert index.touch(key) == (key in held)
        else:
            model = rest
            assert index.remove(key) == (key in held)
        assert {key for key in range(6) if key in index} == set(dict(model))
        assert index.bytes == sum(dict(model).values()) <= max_bytes
        assert len(index) == len(model)


def test_keys_come_least_recently_used_first() -> None:
    index: LruIndex[str] = LruIndex(30)
    for key in "abc":
        index.add(key, 10)
    index.touch("a")
    assert list(index) == ["b", "c", "a"]
