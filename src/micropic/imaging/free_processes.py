"""Render processes that have nothing to do, and who waits for one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from micropic.imaging.render_process import RenderProcess


class FreeProcesses:
    """Hands processes on to who waits for one: first come, first served."""

    def __init__(self) -> None:
        self._idle: list[RenderProcess] = []
        self._waiting: deque[asyncio.Future[RenderProcess]] = deque()

    def add(self, process: RenderProcess) -> None:
        """Give a process to who has waited longest, or keep it for who comes next."""
        while self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.done():
                waiting.set_result(process)
                return
        self._idle.append(process)

    def drop(self, process: RenderProcess) -> None:
        """Hand a process out no more."""
        if process in self._idle:
            self._idle.remove(process)

    async def get(self, timeout: float) -> RenderProcess:
        """Give a process that takes pictures; the one that worked last, whose caches are warm.

        Raises:
            TimeoutError: there was none within `timeout`, in seconds.

        """
        if process := self._pop():
            return process
        async with asyncio.timeout(timeout):
            process = await self._next(self._waiting.append)
            while not process.usable:  # it has died on its way
                process = self._pop() or await self._next(self._waiting.appendleft)
            return process

    def _pop(self) -> RenderProcess | None:
        while self._idle:
            if (process := self._idle.pop()).usable:
                return process
        return None

    async def _next(self, join: Callable[[asyncio.Future[RenderProcess]], None]) -> RenderProcess:
        while self._waiting and self._waiting[0].done():
            self._waiting.popleft()  # who has left
        turn: asyncio.Future[RenderProcess] = asyncio.get_running_loop().create_future()
        join(turn)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.add(turn.result())  # it came as its caller left
            raise
