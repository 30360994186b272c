"""Damaged pictures of every kind, by the thousand: each gets an answer that was foreseen.

`MICROPIC_TEST_FUZZ` says how many of each kind; what became of them is printed (`pytest -rA`).
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from typing import NamedTuple

import pytest
import pytest_asyncio

from micropic.adapters.entry import VERSION
from micropic.domain.errors import (
    BrokenImage,
    NotAnImage,
    RenderCrashed,
    RenderTimeout,
    TooManyPixels,
    TooMuchMemory,
)
from micropic.domain.model import Mode, Size, Transform
from micropic.domain.options import Defaults, read, transform
from micropic.imaging.slots import RenderSlots, SlotOptions
from tests.support.mutations import mutants, samples
from tests.support.origin import Origin, Received, Reply
from tests.support.service import Service, StartService

pytestmark = pytest.mark.slow

INPUTS = int(os.environ.get("MICROPIC_TEST_FUZZ", "2000"))
"""Of each kind, to the render processes; over HTTP it is one in twenty."""
FORESEEN = (NotAnImage, BrokenImage, TooManyPixels, TooMuchMemory, RenderTimeout, RenderCrashed)
STATUSES = {200, 413, 415, 422, 504}
OPTIONS = (
    *[""] * 8,
    "anim=1", "anim=webp", "trim=8", "f=webp", "f=png", "rot=90,flip=h", "blur=1,bg=f00",
)  # fmt: skip
SIZES = ((60, 40), (60, 40), (16, 16), (8, 40))
SLOTS = 2


class Asked(NamedTuple):
    mode: Mode
    size: tuple[int, int]
    options: str

    def transform(self) -> Transform:
        values = read(self.options.encode())
        return transform(self.mode, Size(*self.size), values, Defaults())

    def path(self, source: str) -> str:
        width, height = self.size
        return "/" + "/".join(filter(None, (self.mode, f"{width}/{height}", self.options, source)))


def inputs(kind: str, count: int) -> list[tuple[bytes, Asked]]:
    chance = random.Random(kind)
    asked = [
        Asked(chance.choice(list(Mode)), chance.choice(SIZES), chance.choice(OPTIONS))
        for _ in range(count)
    ]
    return list(zip(mutants(kind, count), asked, strict=True))


# --- in render processes ---------------------------------------------------------------------


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def slots() -> AsyncIterator[RenderSlots]:
    async with RenderSlots(SLOTS, SlotOptions()) as slots:
        yield slots


@pytest.mark.parametrize("kind", samples())
@pytest.mark.asyncio(loop_scope="module")
async def test_every_damaged_picture_is_a_preview_or_an_error_foreseen(
    slots: RenderSlots, kind: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """A crash in a codec costs its request only; an exception of Python's is a defect of ours."""
    outcomes: Counter[str] = Counter()
    crashed: list[int] = []
    work = enumerate(inputs(kind, INPUTS))

    async def render_one_after_the_other() -> None:
        for number, (body, asked) in work:
            try:
                await slots.render(body, asked.transform(), time.monotonic() + 60)
                outcomes["preview"] += 1
            except FORESEEN as error:
                outcomes[error.code] += 1
                if isinstance(error, RenderCrashed):
                    crashed.append(number)

    started = time.monotonic()
    await asyncio.gather(*(render_one_after_the_other() for _ in range(SLOTS)))
    took = time.monotonic() - started
    written = "".join(capfd.readouterr())  # the log, with the last words of processes that died
    print(f"{kind}: {dict(outcomes.most_common())}, {took:.1f} s, crashed: {crashed}")  # noqa: T201 # for -rA
    assert outcomes.total() == INPUTS
    assert "Traceback" not in written, written


# --- over HTTP -------------------------------------------------------------------------------


def test_no_damaged_picture_is_a_500_and_no_error_is_cached(
    start_service: StartService, origin: Origin
) -> None:
    bodies: dict[str, bytes] = {}
    paths: dict[str, str] = {}
    for number, kind in enumerate(samples()):
        for n, (body, asked) in enumerate(inputs(kind, INPUTS // 20)):
            target = f"/{number}-{n}"
            bodies[target] = body or b"\x00"  # no body at all is the origin's fault: a 502
            paths[target] = asked.path(origin.authority + target)

    def answer(request: Received) -> Reply:
        return Reply(bodies[request.target])

    origin.fallback = answer
    service = start_service(CACHE_SIZE="1GiB", CACHE_NEGATIVE_AGE="0")
    statuses = ask_all(service, paths)
    print(Counter(statuses.values()).most_common())  # noqa: T201 # for -rA
    assert set(statuses.values()) <= STATUSES
    assert service.events("defect") == []
    failed = {target for target, status in statuses.items() if status != 200}
    assert ask_all(service, {target: paths[target] for target in failed}).keys() == failed
    assert origin.counts == {target: 1 + (target in failed) for target in paths}
    cached = [path for path in (service.cache / f"v{VERSION}").rglob("*") if path.is_file()]
    assert len(cached) == len(paths) - len(failed)


def ask_all(service: Service, paths: dict[str, str]) -> dict[str, int]:
    with service.crowd(4) as crowd:
        answers = {target: crowd.ask(path) for target, path in paths.items()}
    return {target: answer.result().status for target, answer in answers.items()}
