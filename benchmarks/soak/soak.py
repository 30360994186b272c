"""One soak: a shape under load and faults, and what is left of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.soak import checks
from benchmarks.soak.accounts import holdings
from benchmarks.soak.checks import Check
from benchmarks.soak.clients import Client
from benchmarks.soak.faults import Faults
from benchmarks.soak.load import Load
from benchmarks.soak.memory import Memory
from benchmarks.soak.shapes import Plan, Shape
from benchmarks.soak.sources import Sources
from benchmarks.soak.truth import Truth
from micropic.imaging.slots import RenderSlots, SlotOptions

_SAMPLE = 1.0
_TIDY = 10.0
"""Seconds; longer than any service waits for an origin."""


@dataclass(frozen=True, slots=True)
class Soaked:
    """What came of it."""

    checks: list[Check]
    examples: list[str]
    """Of what was wrong, in words."""
    samples: list[str]
    """Of memory: lines of comma-separated values."""

    @property
    def failed(self) -> list[Check]:
        """What is not as it should be."""
        return [check for check in self.checks if not check.good]


def soak(kinds: list[type[Shape]], scratch: Path, plan: Plan) -> Soaked:
    """Have all shapes run at the same time, each for `plan.seconds`."""

    async def run() -> list[Soaked]:
        async with RenderSlots(1, SlotOptions(timeout=30)) as renderer:
            truth = Truth(renderer)
            return await asyncio.gather(*(_soak(kind, scratch, plan, truth) for kind in kinds))

    done = asyncio.run(run())
    return Soaked(
        [check for each in done for check in each.checks],
        [example for each in done for example in each.examples],
        [sample for each in done for sample in each.samples],
    )


async def _soak(kind: type[Shape], scratch: Path, plan: Plan, truth: Truth) -> Soaked:
    temporary = scratch / f"{kind.name}-tmp"
    temporary.mkdir()
    variable = f"TMPDIR={temporary}"
    shape = kind(scratch / kind.name, plan, TMPDIR=str(temporary))
    try:
        await asyncio.to_thread(shape.start)
        before = {part.name: holdings(part.service.pid) for part in shape.parts}
        memory = Memory()
        found, examples = await _under_load(shape, plan, truth, memory)
        # The origins are gone by now, and with them the connections that were kept for them.
        found += [*await checks.at_work(shape), *await checks.held(shape, before)]
        found += checks.kept(shape)
        await asyncio.to_thread(shape.end)
    finally:
        await asyncio.to_thread(shape.close)
    found += checks.complaints(shape)
    found += checks.left_behind(shape.name, variable, temporary)
    examples += [line for part in shape.parts for line in part.complaints]
    return Soaked(found, examples, list(_samples(shape, memory)))


async def _under_load(
    shape: Shape, plan: Plan, truth: Truth, memory: Memory
) -> tuple[list[Check], list[str]]:
    faults = Faults(shape.faults)
    with Sources() as sources:
        async with Client(shape.service, truth, faults) as client:
            load = Load(client, sources, plan)
            await load.each()
            async with _meanwhile(_sample(shape, memory), _tidy(sources)):
                await asyncio.gather(load.run(plan.seconds), faults.run(plan.seconds))
                await load.each()
    return [
        *checks.answers(shape.name, client.tally),
        *checks.faults(shape.name, faults, plan),
        *checks.memory(shape.name, memory.growth(plan.settle)),
    ], client.tally.examples


@asynccontextmanager
async def _meanwhile(*work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Have some work done until the block ends; a failure of it is one of the block."""
    tasks = [asyncio.create_task(each) for each in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    for error in ended:
        if error and not isinstance(error, asyncio.CancelledError):
            raise error


async def _sample(shape: Shape, memory: Memory) -> None:
    while True:
        for part in shape.parts:
            for place, pid in part.places.items():
                await asyncio.to_thread(memory.sample, time.monotonic(), part.name, place, pid)
        await asyncio.sleep(_SAMPLE)


def _samples(shape: Shape, memory: Memory) -> Iterator[str]:
    for now, part, place, pid, footprint in memory.rows():
        yield f"{now:.1f},{shape.name},{part},{place},{pid},{footprint.rss},{footprint.own}"


async def _tidy(sources: Sources) -> None:
    while True:
        await asyncio.sleep(_TIDY)
        sources.tidy()
