from __future__ import annotations

import math

import pytest

from micropic.domain.errors import Overloaded
from micropic.domain.waiting import Backlog, Door, Line, ResponseRoom, Room

MOST, SHORT, SHORT_AFAR = 2.5, 0.1, 0.25
EACH = 0.01
NEVER = math.inf


def enters(door: Door, now: float, wait: float, deadline: float = NEVER) -> bool:
    try:
        door.enter(now, deadline, wait, each=EACH)
    except Overloaded:
        return False
    return True


def busy_line(waiting: int = 0, seconds: float = 0.1) -> Line:
    """Give a line for two servers, both at work, that take so long."""
    line = Line(2, MOST)
    line.busy = 2
    for _ in range(500):
        line.served(0.0, seconds)
    for _ in range(waiting):
        line.join(0.0)
    return line


def test_a_burst_may_wait_long_and_what_is_more_is_refused() -> None:
    door = Door(MOST)
    assert enters(door, 0.0, MOST)
    assert not enters(door, 0.0, MOST + EACH)
    assert door.refused == 1


def test_once_it_was_too_much_the_queue_is_kept_short() -> None:
    door = Door(MOST)
    door.seen(0.0, waiting=True)
    enters(door, 1.0, MOST + EACH)
    assert not enters(door, 2.0, SHORT + EACH)
    assert enters(door, 2.0, SHORT)
    for now in range(3, 100):
        door.seen(now, waiting=True)
        assert not enters(door, now, SHORT + EACH)


def test_a_queue_where_nobody_had_to_be_refused_for_a_while_takes_bursts_again() -> None:
    door = Door(MOST)
    door.seen(0.0, waiting=True)
    enters(door, 1.0, MOST + EACH)
    assert enters(door, 2.0, SHORT)
    assert not enters(door, 3.0, MOST)
    assert enters(door, 3.0 + MOST, MOST)


def test_a_queue_that_was_empty_for_a_moment_takes_bursts_again() -> None:
    door = Door(MOST)
    door.seen(0.0, waiting=True)
    enters(door, 1.0, MOST + EACH)
    door.seen(1.5, waiting=False)
    door.seen(1.5 + SHORT / 2, waiting=True)
    assert not enters(door, 2.0, MOST)
    door.seen(3.0, waiting=False)
    assert enters(door, 3.2, MOST)
    door.seen(3.2, waiting=True)
    assert enters(door, 3.3, MOST)


def test_who_would_come_too_late_is_refused_and_who_would_not_wait_is_never() -> None:
    door = Door(MOST)
    assert not enters(door, 10.0, 1.0, deadline=10.9)
    assert enters(door, 10.0, 1.0, deadline=11.1)
    assert enters(door, 10.0, 0.0, deadline=9.0)
    assert enters(door, 10.0, MOST)  # one who is in a hurry is no sign of too much


def test_those_refused_are_told_to_come_one_after_the_other() -> None:
    door, told = Door(MOST), []
    for _ in range(400):
        with pytest.raises(Overloaded) as refused:
            door.enter(0.0, NEVER, 3.0, each=EACH)
        told.append(refused.value.retry_after)
    assert (told[0], told[100], told[399]) == (4, 5, 7)
    with pytest.raises(Overloaded) as late:
        door.enter(0.0, NEVER, 1e6, each=EACH)
    assert late.value.retry_after == 30


def test_a_refusal_is_for_a_second_at_least() -> None:
    with pytest.raises(Overloaded) as refused:
        Door(SHORT).enter(0.0, NEVER, 0.2, each=EACH)
    assert refused.value.retry_after == 1


def test_nobody_waits_for_a_server_that_is_free() -> None:
    line = busy_line()
    line.busy = 1
    line.check(0.0, 0.01)


def test_the_wait_follows_from_how_long_the_work_takes() -> None:
    # Two servers at 0.1 s are done with 20 a second: 49 and oneself are 2.5 s.
    busy_line(49).check(0.0, NEVER)
    with pytest.raises(Overloaded):
        busy_line(51).check(0.0, NEVER)
    busy_line(51, seconds=0.05).check(0.0, NEVER)


def test_a_deadline_that_cannot_be_kept_is_refused_at_once() -> None:
    line = busy_line(9)  # and oneself: 0.5 s
    line.check(0.0, 0.6)
    for check in (line.check, line.check_in_time):
        with pytest.raises(Overloaded):
            check(0.0, 0.4)
    assert line.door.refused == 2


def test_who_comes_from_far_is_refused_for_its_deadline_alone() -> None:
    line = busy_line(1000)
    line.check_in_time(0.0, NEVER)


def test_one_for_each_server_may_wait_however_long_the_work_takes() -> None:
    line = busy_line(1, seconds=60.0)
    line.check(0.0, NEVER)
    line.join(0.0)
    with pytest.raises(Overloaded):
        line.check(0.0, NEVER)


def test_those_on_their_way_count_for_those_who_set_out_after_them() -> None:
    line = busy_line()
    for _ in range(60):
        line.come(0.0)
    line.check(0.0, NEVER)
    with pytest.raises(Overloaded):
        line.check_coming(0.0, NEVER)


def test_those_whose_way_takes_too_long_do_not_count() -> None:
    line = busy_line()
    for _ in range(60):
        line.come(0.0)
    line.come(1.0)
    line.check_coming(1.0, NEVER)
    assert line.coming == 61


def test_nobody_waits_while_on_the_way() -> None:
    line = busy_line(55)  # and oneself: 2.8 s
    for _ in range(500):
        line.came(line.come(0.0), 0.5, here=True)
    for _ in range(500):
        line.came(line.come(0.0), 60.0, here=False)  # from there nothing came
    line.come(0.0)
    line.check_coming(0.0, NEVER)
    with pytest.raises(Overloaded):
        line.check(0.0, NEVER)


def test_a_line_that_is_empty_for_a_moment_takes_bursts_again() -> None:
    line = busy_line(51)
    with pytest.raises(Overloaded):
        line.check(0.0, NEVER)
    for _ in range(41):
        line.leave(1.0)
    with pytest.raises(Overloaded):
        line.check(1.0, NEVER)
    for _ in range(10):
        line.leave(2.0)
    for _ in range(10):
        line.join(3.0)
    line.check(3.0, NEVER)


def test_those_who_need_not_wait_do_not_keep_a_line_short() -> None:
    line = busy_line(51)
    with pytest.raises(Overloaded):
        line.check(0.0, NEVER)
    for _ in range(51):
        line.leave(1.0)
    line.busy = 0
    for now in (1.03, 1.06, 1.09):
        line.join(now)
        line.leave(now)
    for _ in range(20):
        line.join(1.0 + SHORT)
    line.busy = 2
    line.check(1.0 + SHORT, NEVER)


def test_how_long_the_work_took_is_forgotten_after_a_while_without_any() -> None:
    line = busy_line(seconds=3.0)
    line.busy = 0
    line.served(10.0, 3.0)
    page = [line.come(14.0) for _ in range(30)]
    with pytest.raises(Overloaded):
        line.check_coming(14.0, 14.0 + 5)
    line.check_coming(15.1, 15.1 + 5)
    assert line.coming == len(page)


def test_work_has_to_be_done_in_time_not_only_begun() -> None:
    line = busy_line(seconds=1.0)
    line.check(0.0, 1.6)
    with pytest.raises(Overloaded):
        line.check(0.0, 1.4)


def test_work_that_was_cut_short_makes_none_seem_quicker() -> None:
    line = busy_line(seconds=1.0)
    for _ in range(100):
        line.served(0.0, 0.1, whole=False)
    with pytest.raises(Overloaded):
        line.check(0.0, 1.4)


def learned(each: float, worked: float = 0.02) -> Backlog:
    """Give a backlog of which one more waits so long for each that is ahead of it."""
    backlog = Backlog(MOST)
    for _ in range(500):
        backlog.answered(0.0, 10, 10 * each, worked)
    return backlog


def enter(backlog: Backlog, times: int, now: float = 0.0) -> list[int]:
    return [backlog.enter(now, NEVER) for _ in range(times)]


def test_a_backlog_that_is_not_known_to_wait_takes_all() -> None:
    assert enter(Backlog(MOST), 1000) == list(range(1000))


def test_a_backlog_learns_from_answers_how_long_one_more_would_wait() -> None:
    backlog = learned(0.01)
    assert enter(backlog, 250) == list(range(250))
    enter(backlog, 1)  # behind 250 who wait 0.01 s each
    with pytest.raises(Overloaded):
        enter(backlog, 1)
    for _ in range(225):
        backlog.left(0.0)
    backlog.answered(0.0, 20, 0.2, 0.02)
    with pytest.raises(Overloaded):
        enter(backlog, 1)
    for _ in range(2):
        backlog.left(0.0)
    enter(backlog, 1)


def test_a_backlog_that_is_waited_for_no_more_takes_bursts_again() -> None:
    backlog = learned(0.01)
    enter(backlog, 251)
    with pytest.raises(Overloaded):
        enter(backlog, 1)
    for _ in range(500):
        backlog.answered(0.1, 10, 0.0, 0.02)
    for _ in range(500):
        backlog.answered(0.4, 10, 0.1, 0.02)
    for _ in range(51):
        backlog.left(0.4)
    assert enter(backlog, 50, now=0.5) == list(range(200, 250))


def test_a_backlog_of_long_work_is_as_long_as_the_work_at_least() -> None:
    backlog = learned(0.3, worked=1.0)
    enter(backlog, 9)
    with pytest.raises(Overloaded):
        enter(backlog, 1)
    for _ in range(6):
        backlog.left(0.0)
    enter(backlog, 1)
    with pytest.raises(Overloaded):
        enter(backlog, 1)


def test_one_alone_says_nothing_of_how_long_others_wait() -> None:
    backlog = Backlog(MOST)
    backlog.answered(0.0, 0, 60.0)
    assert enter(backlog, 100) == list(range(100))


def test_a_backlog_that_seemed_endless_is_found_to_be_short() -> None:
    """As after workers were away: who is alone then is answered at once, and that tells enough."""
    backlog = learned(60.0)
    for now in range(200):
        (ahead,) = enter(backlog, 1, now)
        backlog.answered(now, ahead, 0.0, 0.02)
        backlog.left(now)
    assert enter(backlog, 50, now=200.0) == list(range(50))


def test_a_backlog_in_which_nobody_is_left_takes_bursts_again() -> None:
    backlog = learned(0.05)
    enter(backlog, 51)
    with pytest.raises(Overloaded):
        enter(backlog, 1)
    for _ in range(51):
        backlog.answered(1.0, 10, 0.5, 0.02)
        backlog.left(1.0)
    assert enter(backlog, 50, now=1.0 + SHORT_AFAR) == list(range(50))


def test_room_is_taken_and_given_back_as_a_whole() -> None:
    room = Room(10)
    with room.share() as take, room.share() as other:
        take(4)
        other(3)
        take(3)
        with pytest.raises(Overloaded):
            other(1)
        assert (room.held, room.refused) == (10, 1)
    assert room.held == 0
    with room.share() as take:
        take(10)


def test_responses_beyond_the_budget_are_rejected_until_some_are_sent() -> None:
    room = ResponseRoom(100)
    token = room.hold(90, 0.0, lambda: None)
    room.check(10, 1.0)
    with pytest.raises(Overloaded) as refused:
        room.check(11, 1.0)
    assert refused.value.retry_after
    assert (room.held, room.refused, room.dropped) == (90, 1, 0)
    room.release(token)
    room.release(token)
    assert room.held == 0
    room.check(100, 1.0)


def test_large_bodies_leave_half_of_the_budget_to_others() -> None:
    room = ResponseRoom(100)
    room.check(1000, 0.0, large=True)
    room.hold(40, 0.0, lambda: None)
    room.check(10, 0.0, large=True)
    with pytest.raises(Overloaded):
        room.check(11, 0.0, large=True)
    room.check(60, 0.0)


def test_clients_that_hold_the_budget_for_too_long_are_dropped_when_others_need_it() -> None:
    room = ResponseRoom(100, patience=10.0)
    dropped: list[str] = []
    tokens = {
        name: room.hold(50, since, lambda name=name: dropped.append(name))  # type: ignore[misc]
        for name, since in {"old": 0.0, "new": 5.0}.items()
    }
    room.check(0, 100.0)
    assert not dropped, "nobody else needs it"
    with pytest.raises(Overloaded):
        room.check(1, 10.5)
    assert dropped == ["old"]
    assert room.dropped == 1
    room.release(tokens["old"])
    room.check(50, 10.5)
