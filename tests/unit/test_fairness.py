from __future__ import annotations

import pytest

from micropic.domain.fairness import FairShares, Turn


def begun(shares: FairShares, client: str, cost: float) -> Turn:
    """Bring work whose turn it is at once."""
    turn = shares.take(client, cost)
    shares.left(turn)
    return turn


def served(shares: FairShares, turns: list[Turn]) -> list[str]:
    """Serve one after the other as long as it was estimated; return whose turn it was."""
    order = sorted(turns)
    for turn in order:
        shares.left(turn)
        shares.settled(turn, turn.cost, contended=turn is not order[-1])
    return [turn.client for turn in order]


def test_clients_take_turns_however_much_one_brings() -> None:
    shares = FairShares(1)
    turns = [shares.take("a", 1.0) for _ in range(6)]
    turns += [shares.take("b", 1.0) for _ in range(2)]
    assert served(shares, turns) == list("abab" + "aaaa")


def test_shares_are_of_work_and_not_of_numbers() -> None:
    shares = FairShares(1)
    turns = [shares.take("long", 1.0) for _ in range(2)]
    turns += [shares.take("short", 0.1) for _ in range(20)]
    order = served(shares, turns)
    assert 9 <= order.index("long") <= 10
    assert 19 <= len(order) - order[::-1].index("long") <= 22


def test_equal_tags_are_served_in_the_order_of_their_arrival() -> None:
    shares = FairShares(1)
    turns = [shares.take(client, 1.0) for client in "cab"]
    assert served(shares, turns) == list("cab")


def test_nobody_saves_up_what_it_has_not_used() -> None:
    shares = FairShares(1)
    for _ in range(50):
        shares.settled(begun(shares, "busy", 1.0), 1.0, contended=False)
    busy = [shares.take("busy", 1.0) for _ in range(2)]
    late = [shares.take("late", 1.0) for _ in range(2)]
    assert served(shares, busy + late) == ["busy", "late", "busy", "late"]


def test_what_nobody_else_wanted_costs_nothing_later() -> None:
    shares = FairShares(2)
    light = shares.take("light", 0.01)
    for _ in range(50):
        shares.settled(begun(shares, "heavy", 1.0), 1.0, contended=False)
    assert shares.tag("heavy", 1.0) == pytest.approx(shares.tag("new", 1.0))
    shares.settled(light, 0.01, contended=False)


def test_what_took_longer_than_estimated_is_charged() -> None:
    shares = FairShares(1)
    honest, liar = shares.take("honest", 0.1), shares.take("liar", 0.1)
    for _ in range(200):  # the machine is as fast as the estimates
        shares.settled(begun(shares, "honest", 0.1), 0.1, contended=True)
        shares.settled(begun(shares, "liar", 0.1), 0.1, contended=True)
    shares.settled(liar, 3.0, contended=True)
    assert shares.tag("liar", 0.1) > shares.tag("honest", 0.1) + 0.5
    shares.settled(honest, 0.1, contended=True)


def test_a_machine_that_is_slower_than_the_estimates_changes_nothing() -> None:
    shares = FairShares(1)
    for _ in range(500):
        shares.settled(begun(shares, "a", 0.01), 0.5, contended=False)
    greedy = [shares.take("greedy", 0.01) for _ in range(20)]
    shares.settled(greedy.pop(0), 0.5, contended=True)
    late = shares.take("late", 0.01)
    assert sorted([*greedy, late]).index(late) <= 1


def test_what_came_to_nothing_is_given_back() -> None:
    shares = FairShares(1)
    kept, given_back = shares.take("a", 1.0), shares.take("a", 1.0)
    shares.given_back(given_back)
    assert shares.tag("a", 1.0) == 2.0
    shares.given_back(kept)
    assert len(shares) == 0


def test_no_stream_of_newcomers_passes_by_for_ever() -> None:
    shares = FairShares(2)
    waiting = shares.take("a", 1.0)
    crowd = [shares.take(f"c{number}", 0.01) for number in range(1000)]
    for number, turn in enumerate(crowd):
        assert shares.tag("new", 0.01) < waiting.tag or number > 100
        shares.settled(turn, 0.01, contended=True)
    assert shares.tag("new", 0.01) > waiting.tag


def test_a_debt_has_a_bound() -> None:
    shares = FairShares(1)
    for _ in range(100):
        begun(shares, "a", 4.0)
    assert shares.tag("a", 1.0) - shares.tag("b", 1.0) == 10.0


def test_clients_without_work_and_without_debt_are_forgotten() -> None:
    shares = FairShares(1)
    for number in range(100):
        shares.settled(begun(shares, f"c{number}", 0.1), 0.1, contended=False)
    assert len(shares) == 0


def test_debtors_are_remembered_up_to_a_bound() -> None:
    shares = FairShares(1, most=10)
    turns = [shares.take(f"c{number}", 1.0) for number in range(30)]
    assert len(shares) == 10
    for turn in turns:
        shares.settled(turn, 60.0, contended=True)
    assert len(shares) <= 10


def test_what_a_client_brings_does_not_overtake_what_it_has_waiting() -> None:
    """Each estimate was ten times too high for it, but not for the others."""
    shares = FairShares(1)
    for _ in range(100):
        shares.settled(begun(shares, "other", 1.0), 1.0, contended=True)
    turns = [shares.take("a", 1.0) for _ in range(4)]
    first = turns.pop(0)
    shares.left(first)
    shares.settled(first, 0.1, contended=True)
    turns += [shares.take("a", 1.0) for _ in range(2)]
    turns += [shares.take("a", 0.1)]
    assert sorted(turns) == turns


def test_what_a_client_did_not_have_is_no_debt_once_nothing_waits() -> None:
    shares = FairShares(1)
    turns = [shares.take("a", 1.0) for _ in range(4)]
    before = shares.tag("a", 1.0)
    for turn in turns:
        shares.left(turn)
        shares.given_back(turn)
    assert shares.tag("a", 1.0) == shares.tag("new", 1.0) < before
