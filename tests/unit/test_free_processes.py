"""Who gets the next free render process."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass
from typing import cast

import pytest

from micropic.domain.fairness import Turn
from micropic.imaging.free_processes import FreeProcesses
from micropic.imaging.render_process import RenderProcess

_LONG = 60.0
_MOST_LONG = 1
_NUMBERS = itertools.count()


@dataclass(eq=False)
class Process:
    """All that is asked of a process while nobody works with it."""

    usable: bool = True


def process(*, usable: bool = True) -> RenderProcess:
    """Give one that is nobody's."""
    return cast("RenderProcess", Process(usable))


def turn(tag: float = 0.0, *, is_long: bool = False) -> Turn:
    """Give the next turn of those with a tag."""
    return Turn(tag, next(_NUMBERS), "", 0.0, is_long)


async def waiting(
    free: FreeProcesses, tag: float = 0.0, *, is_long: bool = False
) -> asyncio.Task[RenderProcess]:
    """Have somebody wait for a process."""
    task = asyncio.create_task(free.get(_LONG, turn(tag, is_long=is_long)))
    await asyncio.sleep(0)
    return task


async def test_who_has_worked_last_is_asked_first() -> None:
    """Its caches are warm."""
    free, cold, warm = FreeProcesses(_MOST_LONG), process(), process()
    free.add(cold)
    free.add(warm)
    assert [await free.get(_LONG, turn()), await free.get(_LONG, turn())] == [warm, cold]


async def test_who_comes_just_then_does_not_go_before_who_waits() -> None:
    """Under load somebody comes in each turn of the loop."""
    free, one, two = FreeProcesses(_MOST_LONG), process(), process()
    first = await waiting(free)
    free.add(one)
    late = asyncio.create_task(free.get(_LONG, turn()))
    assert await first is one
    assert not late.done()
    free.add(two)
    assert await late is two


async def test_what_comes_as_its_caller_leaves_is_for_the_next() -> None:
    """No process is lost."""
    free, only = FreeProcesses(_MOST_LONG), process()
    first, second = await waiting(free), await waiting(free)
    free.add(only)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert await second is only


async def test_one_that_has_died_is_passed_over() -> None:
    """It has died while it was idle, or on its way to who waited."""
    free, good = FreeProcesses(_MOST_LONG), process()
    free.add(good)
    free.add(process(usable=False))
    assert await free.get(_LONG, turn()) is good
    waiter = await waiting(free)
    free.add(process(usable=False))
    free.add(good)
    assert await waiter is good


async def test_who_was_handed_a_dead_one_stays_first() -> None:
    """It has waited longest."""
    free, good, other = FreeProcesses(_MOST_LONG), process(), process()
    first, second = await waiting(free), await waiting(free)
    free.add(process(usable=False))
    await asyncio.sleep(0)
    free.add(good)
    free.add(other)
    assert [await first, await second] == [good, other]


async def test_a_wait_ends_and_leaves_nothing_behind() -> None:
    """What is free later goes to somebody else."""
    free, late = FreeProcesses(_MOST_LONG), process()
    for _ in range(5):
        with pytest.raises(TimeoutError):
            await free.get(0.01, turn())
    assert not free._waiting
    free.add(late)
    assert await free.get(_LONG, turn()) is late


async def test_the_smallest_tag_comes_first() -> None:
    """That is what makes shares fair."""
    free, one, two = FreeProcesses(_MOST_LONG), process(), process()
    last, first = await waiting(free, 2.0), await waiting(free, 1.0)
    free.add(one)
    free.add(two)
    assert [await first, await last] == [one, two]


async def test_long_renders_leave_a_process_for_short_ones() -> None:
    """Whatever their turn."""
    free, one, two = FreeProcesses(_MOST_LONG), process(), process()
    free.add(one)
    free.add(two)
    begun = turn(is_long=True)
    assert await free.get(_LONG, begun) is two
    long = await waiting(free, 1.0, is_long=True)
    short = turn(2.0)
    assert await free.get(_LONG, short) is one
    free.done(short)
    free.add(one)
    await asyncio.sleep(0)
    assert not long.done()
    free.done(begun)
    assert await long is one


async def test_a_long_one_that_leaves_lets_the_next_go() -> None:
    """Before it has a process, and as it gets one."""
    free, one = FreeProcesses(_MOST_LONG), process()
    free.add(one)
    begun = turn(is_long=True)
    await free.get(_LONG, begun)
    leaver, unlucky, long = [await waiting(free, is_long=True) for _ in range(3)]
    leaver.cancel()
    free.done(begun)
    free.add(one)
    unlucky.cancel()
    assert await long is one
