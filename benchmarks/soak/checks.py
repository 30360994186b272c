"""What a soak has to show in the end, as rows of a table."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import add
from pathlib import Path

from benchmarks.soak.accounts import Holdings, files_below, holdings, processes_with
from benchmarks.soak.clients import Tally
from benchmarks.soak.faults import Faults
from benchmarks.soak.memory import MIB, Growth
from benchmarks.soak.parts import Part
from benchmarks.soak.shapes import CACHE_MIB, Plan, Shape
from micropic.services import metrics
from tests.support.scrape import Scrape
from tests.support.waiting import wait_until

_UNTIL_IDLE = 60.0
"""Seconds: connections that nobody uses are closed after a while, by their own rules."""
_POOLS = 10
"""Threads for files, which are started as they are needed."""
_LEAST_MEASURED = 60.0
"""Seconds below which a slope is noise."""
_MOST_GROWTH = 1.0
"""MiB a minute."""
_AT_WORK = (
    metrics.IN_FLIGHT,
    metrics.JOBS_IN_FLIGHT,
    metrics.RENDER_BUSY,
    metrics.RENDER_WAITING,
    metrics.LEASES,
)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    shape: str
    what: str
    found: str
    wanted: str = ""
    good: bool = True

    def cells(self) -> tuple[str, ...]:
        """Give the columns."""
        verdict = ("met" if self.good else "MISSED") if self.wanted else ""
        return self.shape, self.what, self.found, self.wanted, verdict


def answers(shape: str, tally: Tally) -> Iterator[Check]:
    """Tell how each kind of request was answered."""
    kinds = sorted({*tally.right, *tally.wrong, *tally.left, *(kind for kind, _ in tally.excused)})
    for kind in kinds:
        excused = {reply: n for (of, reply), n in tally.excused.items() if of == kind}
        found = f"{tally.right[kind]} right"
        if tally.left[kind]:
            found += f", {tally.left[kind]} gone before"
        for (status, code), number in excused.items():
            found += f", {number} {status or ''} {code} by a fault".replace("  ", " ")
        wrong = tally.wrong[kind]
        found += f", {wrong} wrong" if wrong else ""
        yield Check(shape, f"answers, {kind}", found, "0 wrong", not wrong)


def memory(shape: str, grown: Mapping[str, Mapping[str, Growth]]) -> Iterator[Check]:
    """Tell how memory went: of each part, the sum over its processes that last."""
    for part, places in grown.items():
        total = reduce(add, places.values())
        of = " + ".join(f"{growth.rss:+.2f} {place}" for place, growth in places.items())
        found = (
            f"{total.rss:+.2f} MiB/min RSS ({of}), {total.own:+.2f} of its own "
            f"in {total.measured:.0f} s; "
            f"now {total.last.rss / MIB:.0f} MiB RSS, {total.last.own / MIB:.0f} of its own"
        )
        if total.measured < _LEAST_MEASURED:
            yield Check(shape, f"memory, {part}", f"{found}; too short to judge")
            continue
        flat = max(total.rss, total.own) < _MOST_GROWTH
        yield Check(shape, f"memory, {part}", found, f"< {_MOST_GROWTH:g} MiB/min", flat)


async def held(shape: Shape, before: Mapping[str, Holdings]) -> list[Check]:
    """Compare what each part holds with what it held before it was asked for anything."""

    def over(part: Part) -> Holdings:
        allowed = Holdings(sockets=part.links, threads=_POOLS)
        # Processes for private images are started when the first one comes, and stay: as many as
        # there are for public ones.
        renders = before[part.name]["children"]
        allowed += Holdings({kind: renders * number for kind, number in _RENDER_PROCESS.items()})
        return holdings(part.service.pid) - before[part.name] - allowed

    await _until(lambda: not any(map(over, shape.parts)))
    checks = []
    for part in shape.parts:
        now, more = holdings(part.service.pid), over(part)
        found = ", ".join(f"{number} {kind}" for kind, number in sorted(now.items()))
        if more:
            found += f"; that is more {dict(more)}"
        checks.append(
            Check(shape.name, f"held, {part.name}", found, "no more than before", not more)
        )
    return checks


async def at_work(shape: Shape) -> list[Check]:
    """See that no part has anything in hand any more."""

    def busy() -> dict[str, float]:
        scrapes = {part.name: Scrape(part.service) for part in shape.parts}
        counts = {
            f"{part} {metric.name}": scrape.value(metric.name)
            for part, scrape in scrapes.items()
            for metric in _AT_WORK
        }
        counts["messages"] = shape.queued()
        return {what: count for what, count in counts.items() if count}

    await _until(lambda: not busy())
    left = await asyncio.to_thread(busy)
    return [Check(shape.name, "work left", str(left or "none"), "none", not left)]


def kept(shape: Shape) -> Iterator[Check]:
    """See that the cache's directory holds its entries and nothing else, within its bound."""
    scrape, name = Scrape(shape.parts[-1].service), metrics.CACHE_ENTRIES.name
    entries = scrape.value(name) - scrape.value(name, level="memory")
    files = files_below(shape.cache)
    half_written = [path for path in files if path.parent.name == "tmp"]
    whole = [path for path in files if len(path.name) == 64]
    size = sum(path.stat().st_blocks * 512 for path in whole) / MIB
    yield Check(
        shape.name,
        "cache, files",
        f"{len(whole)} for {entries:.0f} entries, {len(half_written)} half written",
        "one each, 0 half written",
        len(whole) == entries and not half_written,
    )
    yield Check(
        shape.name, "cache, on disk", f"{size:.2f} MiB", f"<= {CACHE_MIB} MiB", size <= CACHE_MIB
    )


def complaints(shape: Shape) -> Iterator[Check]:
    """Tell what the parts logged as errors, and said on their standard error."""
    said = [line for part in shape.parts for line in part.complaints]
    yield Check(shape.name, "complaints", str(len(said)), "0", not said)


def left_behind(shape: str, variable: str, scratch: Path) -> Iterator[Check]:
    """See that nothing is there any more once all has ended: no process, no temporary file."""
    processes = processes_with(variable)
    yield Check(shape, "processes left", str(len(processes)), "0", not processes)
    files = files_below(scratch)
    yield Check(shape, "temporary files left", str(len(files)), "0", not files)


def faults(shape: str, faults: Faults, plan: Plan) -> Iterator[Check]:
    """Tell what befell the parts, and whether they got over it."""
    told = ", ".join(f"{name} {number}x" for name, number in sorted(faults.happened.items()))
    yield Check(shape, f"faults in {plan.seconds:.0f} s", told)
    lasting = "; ".join(faults.lasting)
    yield Check(shape, "faults that last", lasting or "none", "none", not lasting)


async def _until(condition: Callable[[], bool]) -> None:
    """Wait until `condition` is true, or it has been given its time."""

    def wait() -> None:
        with contextlib.suppress(AssertionError):
            wait_until(condition, _UNTIL_IDLE)

    await asyncio.to_thread(wait)


_RENDER_PROCESS = {"children": 1, "memory files": 3, "sockets": 1}
"""What a render process adds to what its service holds."""
