"""Render slots: processes that can be killed, one picture at a time each.

Nothing is shared between slots. A process that dies costs the request it was at, if any, and a new
process takes its place. One that has rendered its share is replaced, too, before it leaves: what a
picture has done to it, and what it remembers of pictures, does not last.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Self

import structlog

from micropic.domain import cost
from micropic.domain.errors import DeadlineExceeded, RenderTimeout, too_late
from micropic.domain.fairness import Turn
from micropic.domain.model import Rendered, Transform
from micropic.domain.render_line import RenderLine
from micropic.domain.waiting import Room
from micropic.imaging import glance
from micropic.imaging.free_processes import FreeProcesses
from micropic.imaging.kinds import Limits, check_cost
from micropic.imaging.render_process import RenderProcess, Reply

log = structlog.get_logger()

_LEAST_TIME = 0.1
"""Seconds that a request must have left when its render begins."""
_LONGEST_BACKOFF = 1.0
_LEAST_SHARE = 0.8
"""Of `most_renders`: that not all processes are replaced at once, each has another number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotOptions:
    """Bounds for one render."""

    timeout: float = 5.0
    """Seconds."""
    max_memory: int = 1024**3
    """Bytes of address space."""
    limits: Limits = field(default_factory=Limits)
    sandbox: bool = True
    """Whether the kernel is to keep the processes from all but their work."""
    longest_wait: float = math.inf
    """Seconds that a picture may wait for a process."""
    smart_faces: bool = True
    """Whether `smart` looks for faces, where the extra for them is installed."""
    most_renders: int = 5000
    """Pictures after which a process is replaced; 0: never."""
    when_needed: bool = False
    """Whether a process is started only once a picture waits for it."""


class RenderSlots:
    """Renders in `count` processes; an async context manager.

    What waits for one of them takes of the `room` for sources.
    """

    def __init__(self, count: int, options: SlotOptions, room: Room | None = None) -> None:
        self._count = count
        self._options = options
        self._room = room or Room()
        self._alive: set[RenderProcess] = set()
        self._keepers: list[asyncio.Task[None]] = []
        self._replacing = asyncio.Lock()
        self.line = RenderLine(count, options.longest_wait)
        """Pictures that no process is free for."""
        self._free = FreeProcesses(self.line.most_long)
        self.killed = self.died = 0
        """Processes whose time was up over a picture, and that ended by themselves."""
        self.recycled = 0
        """Processes that had rendered their share."""

    async def __aenter__(self) -> Self:
        if self._options.when_needed:
            return self
        first = await asyncio.gather(*(self.start_one() for _ in range(self._count)))
        for process in first:
            self._take_in(process)
            self._keepers.append(asyncio.create_task(self._keep(process)))
        if missing := {lack for process in first for lack in process.sandbox["missing"]}:
            log.warning("render_sandbox_incomplete", missing=sorted(missing))
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        await asyncio.gather(*(process.stop() for process in list(self._alive)))

    async def start_one(self) -> RenderProcess:
        """Start one process like those in the slots, to be asked and stopped by the caller.

        Raises:
            OSError: it cannot be started.

        """
        options = self._options
        process = await RenderProcess.start(
            options.max_memory,
            options.limits,
            sandbox=options.sandbox,
            smart_faces=options.smart_faces,
        )
        if most := options.most_renders:
            least = max(1, int(_LEAST_SHARE * most))
            process.most_renders = random.randint(least, most)  # noqa: S311 # no secret
        return process

    @property
    def ready(self) -> bool:
        """Tell whether at least one process takes pictures."""
        return self.usable > 0

    @property
    def usable(self) -> int:
        """How many processes take pictures."""
        return sum(process.usable for process in self._alive)

    async def render(
        self, body: bytes | bytearray, transform: Transform, deadline: float, client: str = ""
    ) -> Rendered:
        """Render in the first process that is free when it is this one's turn.

        Raises:
            MicropicError: what the engine raised, or TooMuchWork, Overloaded, DeadlineExceeded,
                RenderTimeout or RenderCrashed.

        """
        check_cost(cost.least(transform), self._options.limits)
        # A header may claim anything: no render takes longer than it may.
        seconds = min(glance.estimate(body, transform), self._options.timeout)
        queued = time.monotonic()
        self.line.check_in_time(queued, deadline, client, seconds)
        # Who has less left is not worth a process: it would be killed at its work, even on a
        # machine that is twice as fast as the reference core.
        left = deadline - queued - max(_LEAST_TIME, seconds / 2)
        if left <= 0:
            raise too_late()  # what took its time was something else
        with self._room.share() as take:
            take(len(body))
            turn = self.line.join(queued, client, seconds)
            process = await self._free_process(turn, left)
        started = time.monotonic()
        try:
            reply = process.send(body, transform, min(self._options.timeout, deadline - started))
        except BaseException:  # as where there is no memory for the picture
            process.kill()  # else its slot would be lost
            self._free.done(turn)
            self.line.give_up(turn)
            raise
        self.line.begin(turn)
        reply.add_done_callback(partial(self._finished, process, turn, started))
        # A caller that leaves does not break the slot: the render ends by its own time limit.
        media_type, preview = await asyncio.shield(reply)
        return Rendered(
            preview, media_type, queue=started - queued, render=time.monotonic() - started
        )

    async def _free_process(self, turn: Turn, left: float) -> RenderProcess:
        process = None
        self._start_needed()
        try:
            process = await self._free.get(left, turn)
        except TimeoutError:
            msg = "No renderer was free in time; the service is busy."
            raise DeadlineExceeded(msg) from None
        finally:
            self.line.leave(turn, time.monotonic())
            if process is None:
                self.line.give_up(turn)
        return process

    def _finished(
        self, process: RenderProcess, turn: Turn, started: float, reply: asyncio.Future[Reply]
    ) -> None:
        """Note how long it took; where the caller has left, nobody else is told what came of it."""
        whole = not isinstance(reply.exception(), RenderTimeout)
        ended = time.monotonic()
        self.line.end(turn, ended, ended - started, whole=whole)
        self._free.done(turn)
        if process.usable:
            self._free.add(process)

    def _start_needed(self) -> None:
        """Start one process more if those that there are have more to do than they can."""
        if len(self._keepers) < min(self._count, self.line.busy + self.line.waiting):
            self._keepers.append(asyncio.create_task(self._start_and_keep()))

    async def _start_and_keep(self) -> None:
        process = await self._start_again()
        self._take_in(process)
        await self._keep(process)

    def _take_in(self, process: RenderProcess) -> None:
        self._alive.add(process)
        self._free.add(process)

    async def _keep(self, process: RenderProcess) -> None:
        """Keep one slot alive: replace a process that died or is worn."""
        while True:
            try:
                await asyncio.wait(
                    [process.gone, process.worn], return_when=asyncio.FIRST_COMPLETED
                )
            finally:
                if process.gone.done():
                    self._alive.discard(process)
            if process.gone.done():
                self._note_death(process)
                fresh = await self._start_again()
                self._take_in(fresh)
            else:
                fresh = await self._replace(process)
            process = fresh

    def _note_death(self, process: RenderProcess) -> None:
        self.killed += process.killed
        self.died += not process.killed
        log.warning("render_process_died", pid=process.pid, said=process.said)

    async def _replace(self, process: RenderProcess) -> RenderProcess:
        """Start another process, then let this one leave: there are never fewer, and one more."""
        async with self._replacing:
            fresh = await self._start_again()
            self._take_in(fresh)
            if process.gone.done():
                self._note_death(process)
            else:
                self._free.drop(process)
                await process.retire()
                self.recycled += 1
                log.info("render_process_recycled", pid=process.pid, by=fresh.pid)
            self._alive.discard(process)
        return fresh

    async def _start_again(self) -> RenderProcess:
        backoff = 0.1
        while True:
            try:
                return await self.start_one()
            except OSError as error:
                log.warning("render_process_cannot_start", error=str(error))
                await asyncio.sleep(backoff)
                backoff = min(2 * backoff, _LONGEST_BACKOFF)
