"""The soak finds what it looks for: memory that grows, pictures that are others', what is left."""

from __future__ import annotations

import asyncio
import math
import mmap
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.footprint import of_process
from benchmarks.soak.accounts import holdings, processes_with
from benchmarks.soak.faults import Fault, Faults
from benchmarks.soak.memory import slope
from benchmarks.soak.sources import Versions, always, picture
from benchmarks.soak.truth import Truth
from micropic.domain.urls import Grammar, parse_path
from micropic.imaging.slots import RenderSlots, SlotOptions


def test_a_slope_is_that_of_each_life_whatever_their_heights() -> None:
    grows = [(second, 1000.0 + 3 * second) for second in range(50)]
    again = [(second, 200.0 + 3 * second) for second in range(50, 100)]
    assert slope([grows]) == pytest.approx(3)
    assert slope([grows, again]) == pytest.approx(3)
    assert slope([[(second, 7.0) for second, _ in grows], []]) == 0


def test_a_slope_of_too_little_is_none() -> None:
    assert math.isnan(slope([]))
    assert math.isnan(slope([[(1.0, 5.0)]]))


def test_what_a_process_has_of_its_own_is_told_from_what_is_of_a_file(tmp_path: Path) -> None:
    size = 8 * 1024**2
    (tmp_path / "file").write_bytes(b"x" * size)
    before = of_process(os.getpid())
    with (tmp_path / "file").open("rb") as file:
        of_file = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
    with of_file, mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as own:
        assert of_file[:: mmap.PAGESIZE]
        own[:] = bytes(size)
        after = of_process(os.getpid())
    assert after.rss - before.rss == pytest.approx(2 * size, rel=0.1)
    assert after.own - before.own == pytest.approx(size, rel=0.1)


async def test_another_picture_is_not_taken_for_the_right_one() -> None:
    async with RenderSlots(1, SlotOptions()) as renderer:
        truth = Truth(renderer)
        path = "/fill/60/40/127.0.0.1/x"
        right = await truth._preview(
            picture(1), parse_path(path.encode(), b"", Grammar()).transform
        )
        assert await truth.has(path, right, always(picture(1))(0, 0))
        assert await truth.has(path, right, [picture(2), picture(1)])
        assert not await truth.has(path, right, [picture(2)])
        assert not await truth.has(path, right[:-1], [picture(1)])
        assert not await truth.has("/fill/60/41/127.0.0.1/x", right, [picture(1)])


def test_no_two_pictures_are_alike() -> None:
    assert len({picture(number) for number in range(24)}) == 24


def test_a_picture_that_changes_was_another_one_before(now: list[float]) -> None:
    versions = Versions(5)
    versions.change()
    assert versions.number == 6
    assert versions.between(0, 999) == [picture(5)]
    assert versions.between(999, 1001) == [picture(5), picture(6)]
    assert versions.between(1001, 1002) == [picture(6)]
    now[0] += 10
    versions.change()
    assert versions.between(1001, 1002) == [picture(6)]


async def test_a_fault_excuses_what_it_may_cause_while_it_lasts() -> None:
    crashed, late = (422, "render_crashed"), (504, "timeout")
    happened = asyncio.Event()
    loop = asyncio.get_running_loop()

    def act() -> None:
        loop.call_soon_threadsafe(happened.set)
        msg = "it stays broken"
        raise AssertionError(msg)

    faults = Faults([Fault("killed", act, first=0, excused=frozenset({crashed}))])
    before = time.monotonic()
    assert not faults.excuse(crashed, before, before)
    await asyncio.gather(faults.run(0.2), happened.wait())
    after = time.monotonic()
    assert faults.excuse(crashed, before, after)
    assert faults.excuse((422, ""), before, after)
    assert not faults.excuse(late, before, after)
    assert not faults.excuse(crashed, before - 9, before - 8)
    assert not faults.excuse(crashed, after + 9, after + 10)
    assert faults.happened == {"killed": 1}
    assert "it stays broken" in faults.lasting[0]


def test_what_a_process_holds_is_counted() -> None:
    before = holdings(os.getpid())
    read, write = os.pipe()
    body = os.memfd_create("soak")
    try:
        assert holdings(os.getpid()) - before == {"pipes": 2, "memory files": 1}
    finally:
        for descriptor in (read, write, body):
            os.close(descriptor)
    assert not holdings(os.getpid()) - before


def test_a_process_is_found_by_its_environment() -> None:
    mark = f"SOAK_TEST_{os.getpid()}"
    with subprocess.Popen(
        [sys.executable, "-c", "print(flush=True); input()"],
        env=os.environ | {mark: "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout
        process.stdout.readline()
        assert processes_with(f"{mark}=1") == [process.pid]
        process.communicate(b"\n")
    assert processes_with(f"{mark}=1") == []
