"""Render processes that have nothing to do, and who waits for one."""

from __future__ import annotations

import asyncio
from bisect import insort
from typing import NamedTuple

from micropic.domain.fairness import Turn
from micropic.imaging.render_process import RenderProcess


class _Waiting(NamedTuple):
    turn: Turn
    process: asyncio.Future[RenderProcess]


class FreeProcesses:
    """Hands processes on to those who wait for one, in the order of their turns.

    At most `most_long` of them are with long renders at a time: the next short one waits for none
    of these.
    """

    def __init__(self, most_long: int) -> None:
        self._most_long = most_long
        self._long = 0
        self._idle: list[RenderProcess] = []
        self._waiting: list[_Waiting] = []

    def add(self, process: RenderProcess) -> None:
        """Hand a process to the next turn, or keep it idle."""
        self._idle.append(process)
        self._hand_out()

    def done(self, turn: Turn) -> None:
        """Take note that who had a process needs it no more; it comes back by `add`, if at all."""
        self._long -= turn.is_long
        self._hand_out()

    def drop(self, process: RenderProcess) -> None:
        """Hand a process out no more."""
        if process in self._idle:
            self._idle.remove(process)

    async def get(self, timeout: float, turn: Turn) -> RenderProcess:
        """Give a process that takes pictures; the one that worked last, whose caches are warm.

        `done` is to be called once it is not needed any more.

        Raises:
            TimeoutError: there was none within `timeout`, in seconds.

        """
        if self._may_go(turn) and (process := self._pop()):
            self._long += turn.is_long
            return process
        async with asyncio.timeout(timeout):
            while not (process := await self._next(turn)).usable:  # it has died on its way
                self.done(turn)
        return process

    def _may_go(self, turn: Turn) -> bool:
        return not turn.is_long or self._long < self._most_long

    def _may_have_one(self, waiting: _Waiting) -> bool:
        is_leaving = waiting.process.done()  # cancelled, and about to take itself off the list
        return not is_leaving and self._may_go(waiting.turn)

    def _pop(self) -> RenderProcess | None:
        while self._idle:
            if (process := self._idle.pop()).usable:
                return process
        return None

    def _hand_out(self) -> None:
        while waiting := next(filter(self._may_have_one, self._waiting), None):
            if (process := self._pop()) is None:
                return
            self._waiting.remove(waiting)
            self._long += waiting.turn.is_long
            waiting.process.set_result(process)

    async def _next(self, turn: Turn) -> RenderProcess:
        loop = asyncio.get_running_loop()
        waiting = _Waiting(turn, loop.create_future())
        insort(self._waiting, waiting, key=lambda each: each.turn)
        self._hand_out()
        try:
            return await waiting.process
        except asyncio.CancelledError:
            if waiting.process.done() and not waiting.process.cancelled():
                self.done(turn)
                self.add(waiting.process.result())  # it came as its caller left
            else:
                self._waiting.remove(waiting)
            raise
