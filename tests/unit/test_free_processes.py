"""Who gets the next free render process."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import cast

import pytest

from micropic.imaging.free_processes import FreeProcesses
from micropic.imaging.render_process import RenderProcess

_LONG = 60.0


@dataclass(eq=False)
class Process:
    """All that is asked of a process while nobody works with it."""

    usable: bool = True


def process(*, usable: bool = True) -> RenderProcess:
    """Give one that is nobody's."""
    return cast("RenderProcess", Process(usable))


async def waiting(free: FreeProcesses) -> asyncio.Task[RenderProcess]:
    """Have somebody wait for a process."""
    task = asyncio.create_task(free.get(_LONG))
    await asyncio.sleep(0)
    return task


async def test_who_has_worked_last_is_asked_first() -> None:
    """Its caches are warm."""
    free, cold, warm = FreeProcesses(), process(), process()
    free.add(cold)
    free.add(warm)
    assert [await free.get(_LONG), await free.get(_LONG)] == [warm, cold]


async def test_who_comes_just_then_does_not_go_before_who_waits() -> None:
    """Under load somebody comes in each turn of the loop."""
    free, one, two = FreeProcesses(), process(), process()
    first = await waiting(free)
    free.add(one)
    late = asyncio.create_task(free.get(_LONG))
    assert await first is one
    assert not late.done()
    free.add(two)
    assert await late is two


async def test_what_comes_as_its_caller_leaves_is_for_the_next() -> None:
    """No process is lost."""
    free, only = FreeProcesses(), process()
    first, second = await waiting(free), await waiting(free)
    free.add(only)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert await second is only


async def test_one_that_has_died_is_passed_over() -> None:
    """It has died while it was idle, or on its way to who waited."""
    free, good = FreeProcesses(), process()
    free.add(good)
    free.add(process(usable=False))
    assert await free.get(_LONG) is good
    waiter = await waiting(free)
    free.add(process(usable=False))
    free.add(good)
    assert await waiter is good


async def test_who_was_handed_a_dead_one_stays_first() -> None:
    """It has waited longest."""
    free, good, other = FreeProcesses(), process(), process()
    first, second = await waiting(free), await waiting(free)
    free.add(process(usable=False))
    await asyncio.sleep(0)
    free.add(good)
    free.add(other)
    assert [await first, await second] == [good, other]


async def test_a_wait_ends_and_leaves_nothing_behind() -> None:
    """What is free later goes to somebody else."""
    free, late = FreeProcesses(), process()
    for _ in range(5):
        with pytest.raises(TimeoutError):
            await free.get(0.01)
    assert len(free._waiting) == 1
    free.add(late)
    assert await free.get(_LONG) is late
