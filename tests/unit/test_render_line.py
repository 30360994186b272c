from __future__ import annotations

import math

import pytest

from micropic.domain.errors import Overloaded
from micropic.domain.fairness import Turn
from micropic.domain.render_line import RenderLine

MOST, NEVER = 2.5, math.inf
SHORT, LONG = 0.01, 1.0


def begun(line: RenderLine, client: str, seconds: float) -> Turn:
    turn = line.join(0.0, client, seconds)
    line.leave(turn, 0.0)
    line.begin(turn)
    return turn


def rendered(line: RenderLine, seconds: float, took: float) -> None:
    """Have the line learn how long such renders take."""
    for _ in range(200):
        line.end(begun(line, "", seconds), 0.0, took, whole=True)


def test_long_renders_make_no_short_one_wait() -> None:
    line = RenderLine(3, MOST)
    rendered(line, SHORT, SHORT)
    rendered(line, LONG, LONG)
    for _ in range(2):
        begun(line, "greedy", LONG)
    for _ in range(100):
        line.join(0.0, "greedy", LONG)
    assert (line.waiting, line.long_waiting, line.busy) == (100, 100, 2)
    line.check(0.0, 0.001, "other", SHORT)
    begun(line, "other", SHORT)
    line.check(0.0, 0.1, "other", SHORT)
    with pytest.raises(Overloaded):
        line.check(0.0, NEVER, "greedy", LONG)
    line.check(0.0, 0.1, "other", SHORT)  # that it was too much says nothing of short ones
    assert line.refused == 1


def test_what_others_wait_for_beyond_their_share_counts_for_nobody_else() -> None:
    line = RenderLine(2, MOST)
    rendered(line, SHORT, 0.1)
    for _ in range(2):
        begun(line, "greedy", SHORT)
    for _ in range(100):
        line.join(0.0, "greedy", SHORT)
    with pytest.raises(Overloaded):
        line.check(0.0, NEVER, "greedy", SHORT)
    line.check(0.0, NEVER, "other", SHORT)
    line.check_in_time(0.0, 0.5, "other", SHORT)
    with pytest.raises(Overloaded):
        line.check_in_time(0.0, 0.5, "greedy", SHORT)


def test_those_on_their_way_take_turns_too() -> None:
    line = RenderLine(2, MOST)
    rendered(line, SHORT, 0.1)
    for _ in range(2):
        begun(line, "greedy", SHORT)
    coming = [line.come(0.0, "greedy", SHORT) for _ in range(100)]
    coming.append(line.come(0.0, "other", SHORT))
    assert line.coming == 101
    line.check_coming(0.0, NEVER, "other", SHORT)
    with pytest.raises(Overloaded):
        line.check_coming(0.0, NEVER, "greedy", SHORT)
    for each in coming:
        line.came(each, 0.0, here=False)
    assert line.coming == 0


def test_with_one_process_there_is_one_line() -> None:
    line = RenderLine(1, MOST)
    turn = begun(line, "a", LONG)
    assert not turn.is_long
    line.join(0.0, "a", LONG)
    assert line.long_waiting == 0


def test_who_gives_up_leaves_nothing_behind() -> None:
    line = RenderLine(2, MOST)
    turn = line.join(0.0, "a", LONG)
    line.leave(turn, 0.0)
    line.give_up(turn)
    assert (line.waiting, line.busy, len(line.shares)) == (0, 0, 0)
