"""The cache outlives the process, whatever became of the process."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from micropic.adapters.cache_directory import MARK
from micropic.adapters.disk_cache import DiskCache
from micropic.adapters.entry import VERSION
from micropic.domain.s3fifo import S3FifoIndex
from tests.support import full_disk
from tests.support.disk_writer import LARGEST, MAX_BYTES, DiskWriter
from tests.support.origin import Origin, Reply
from tests.support.pictures import photo
from tests.support.service import Service, StartService, micropic
from tests.support.waiting import wait_until


def entries(service: Service) -> list[Path]:
    return [path for path in (service.cache / f"v{VERSION}").rglob("*") if path.is_file()]


def previews(service: Service, origin: Origin, names: str) -> list[str]:
    """Ask for a preview by each name; give where each came from."""
    for name in names:
        origin.on(f"/{name}", Reply(photo(seed=ord(name))))
    return [
        service.get(f"/fill/30/20/{origin.authority}/{name}").headers["Test-PreviewLocation"]
        for name in names
    ]


def test_a_preview_outlives_a_restart(start_service: StartService, origin: Origin) -> None:
    target = f"/fill/30/20/{origin.on('/a', Reply(photo()))}"
    service = start_service()
    before = service.get(target)
    assert service.stop() == 0
    after = service.start().get(target)
    assert after.cache_status == "micropic; hit"
    assert after.body == before.body
    assert origin.targets == ["/a"]


def test_a_preview_that_is_stale_after_a_restart_is_fetched_anew(
    start_service: StartService, origin: Origin
) -> None:
    target = (
        f"/fill/30/20/{origin.on('/a', Reply(photo(), headers={'Cache-Control': 'max-age=1'}))}"
    )
    service = start_service(CACHE_STALE_WHILE_REVALIDATE="0")
    service.get(target)
    service.stop()
    service.start()
    wait_until(lambda: "fwd=stale" in service.get(target).cache_status)


def test_a_damaged_entry_is_dropped_and_made_anew(
    start_service: StartService, origin: Origin
) -> None:
    service = start_service(CACHE_MEMORY="0")
    names = "abcdefgh"
    previews(service, origin, names)
    whole = {name: service.get(f"/fill/30/20/{origin.authority}/{name}").body for name in names}
    assert len(entries(service)) == len(names)
    spot = random.Random(7)
    for path in entries(service):
        data = bytearray(path.read_bytes())
        data[spot.randrange(len(data))] ^= 0x10
        path.write_bytes(data)
    for name in names:
        answer = service.get(f"/fill/30/20/{origin.authority}/{name}")
        assert answer.cache_status == "micropic; fwd=miss"
        assert answer.body == whole[name]
    assert len(service.events("cache_entry_corrupt")) == len(names)
    assert previews(service, origin, names) == ["cache"] * len(names)


def test_what_was_being_written_is_cleared_away(
    start_service: StartService, origin: Origin
) -> None:
    service = start_service()
    service.stop()
    tmp = service.cache / "tmp"
    leftovers = {
        "micropic-entry-0a1b2c3d-7": b"half",
        "0": b"MPIC an earlier version's",
        "1": b"MP",
    }
    for name, body in leftovers.items():
        (tmp / name).write_bytes(body)
    service.start()
    assert list(tmp.iterdir()) == []
    assert previews(service, origin, "ab") == ["previewer"] * 2
    assert previews(service, origin, "ab") == ["cache"] * 2


def test_the_order_of_use_outlives_a_restart(start_service: StartService, origin: Origin) -> None:
    service = start_service(CACHE_ENTRIES="4", CACHE_MEMORY="0")
    previews(service, origin, "abcd")
    assert previews(service, origin, "a") == ["cache"]
    service.stop()
    service.start()
    previews(service, origin, "e")
    assert previews(service, origin, "cdae") == ["cache"] * 4
    assert previews(service, origin, "b") == ["previewer"]


def test_a_directory_has_one_owner(start_service: StartService) -> None:
    owner = start_service()
    second = micropic("serve", **owner.settings | {"LOG_FILE": ""})
    assert second.returncode == 1
    (line,) = second.stderr.splitlines()
    assert str(owner.cache) in line
    assert owner.get("/fill/30/20/sample:cat.jpg").status == 200


def test_the_cache_stays_within_its_bytes(start_service: StartService, origin: Origin) -> None:
    limit = 100 * 1024
    service = start_service(CACHE_SIZE="100KiB", CACHE_MEMORY="0")
    source = origin.on("/a", Reply(photo()))
    for side in range(40, 90):
        assert service.get(f"/fill/{side}/{side}/{source}").status == 200
        taken = sum(path.stat().st_blocks * 512 for path in entries(service))
        assert 0 < taken <= limit
    assert len(entries(service)) > 10
    assert service.get(f"/fill/89/89/{source}").cache_status == "micropic; hit"


@pytest.mark.slow
def test_kills_while_it_works_leave_whole_previews(
    start_service: StartService, origin: Origin
) -> None:
    service = start_service(CACHE_MEMORY="0")
    source = origin.on("/a", Reply(photo()))
    sizes = [f"/fill/{width}/{height}" for width in range(16, 41) for height in range(16, 56)]
    assert len(sizes) == 1000
    under_way = 0
    for least in (50, 250, 450, 650, 850):
        with service.crowd(60) as crowd:
            answers = [crowd.ask(f"{size}/{source}") for size in sizes]
            wait_until(lambda least=least: len(entries(service)) > least)  # type: ignore[misc]
            service.kill()
        under_way += sum(answer.exception() is not None for answer in answers)
        service.start()
    assert under_way > 100, "nothing was under way any more"
    kept = len(entries(service))
    with service.crowd(8) as crowd:
        again = [crowd.ask(f"{size}/{source}") for size in sizes]
        # Under another name the same picture is rendered afresh.
        twin = origin.on("/twin", Reply(photo()))
        fresh = [crowd.ask(f"{size}/{twin}") for size in sizes]
    for one, other in zip(again, fresh, strict=True):
        assert one.result().body == other.result().body
    assert sum(answer.result().cache_status == "micropic; hit" for answer in again) == kept
    assert service.events("cache_entry_corrupt") == []
    assert list((service.cache / "tmp").iterdir()) == []


@pytest.mark.slow
async def test_a_restart_finds_100_000_entries_in_the_order_of_their_use(tmp_path: Path) -> None:
    """What is found is taken by name and time alone: no file is read."""
    DiskCache(tmp_path, 2**33).close()
    names = [hashlib.sha256(b"%d" % number).hexdigest() for number in range(100_000)]
    for number, name in enumerate(names):
        path = tmp_path / f"v{VERSION}" / name[:2] / name
        path.touch()
        os.utime(path, ns=(number * 1000, number * 1000))
    cache = DiskCache(tmp_path, 2**33, policy=S3FifoIndex[bytes])
    try:
        assert [name.hex() for name in cache._index] == names
        assert await cache.get("/fill/3/2/q=80/http://h/x") is None
    finally:
        cache.close()


@pytest.mark.slow
def test_what_is_killed_while_it_writes_leaves_whole_entries_alone(tmp_path: Path) -> None:
    found = 0
    for seed in range(50):
        with DiskWriter(tmp_path / "cache", seed) as writer:
            found += writer.found
            writer.write_some()
    assert found > 500


@pytest.mark.slow
def test_32_writers_at_once_stay_within_the_bytes_on_disk(tmp_path: Path) -> None:
    """Each of the two levels may be beyond its bound by the entry that is being written."""
    with DiskWriter(tmp_path / "cache", 0) as writer:
        with writer.paused():  # it has begun already
            folders, taken = on_disk(tmp_path) - in_files(tmp_path), [0]
        while len(taken) < 50 or max(taken) < 0.9 * MAX_BYTES:
            writer.write_some()
            with writer.paused():  # else `du` would count what moves twice
                taken.append(on_disk(tmp_path) - folders)
    assert 0.9 * MAX_BYTES < max(taken) <= MAX_BYTES + LARGEST


@pytest.mark.parametrize("policy", full_disk.POLICIES)
def test_on_a_full_disk_what_is_old_makes_room(tmp_path: Path, policy: str) -> None:
    if not full_disk.is_possible():
        pytest.skip("this machine lets nobody mount a disk of their own")
    counts = full_disk.fill(tmp_path, policy)
    assert counts["kept"] == full_disk.PUTS
    assert counts["files"] == counts["entries"] > full_disk.PUTS / 4
    assert counts["half written"] == 0


def test_a_directory_that_is_removed_comes_back_and_has_its_owner_still(
    start_service: StartService, origin: Origin
) -> None:
    service = start_service(CACHE_MEMORY="0")
    target = f"/fill/30/20/{origin.on('/a', Reply(photo()))}"
    service.get(target)
    shutil.rmtree(service.cache)
    assert service.get(target).cache_status == "micropic; fwd=miss"
    assert service.get(target).cache_status == "micropic; hit"
    assert service.events("cache_write_failed") == []
    other = micropic("serve", **service.settings | {"LOG_FILE": ""})
    assert other.returncode == 1
    assert "belongs to another micropic process" in other.stderr


def test_a_part_of_it_that_is_removed_comes_back(
    start_service: StartService, origin: Origin
) -> None:
    service = start_service(CACHE_MEMORY="0")
    shutil.rmtree(service.cache / "tmp")
    target = f"/fill/30/20/{origin.on('/a', Reply(photo()))}"
    assert [service.get(target).cache_status for _ in range(2)] == [
        "micropic; fwd=miss",
        "micropic; hit",
    ]


def test_a_write_that_finds_the_directory_taken_over_costs_no_answer(
    start_service: StartService, origin: Origin
) -> None:
    service = start_service(CACHE_MEMORY="0")
    shutil.rmtree(service.cache)
    usurper = DiskCache(service.cache, 2**20)
    try:
        target = f"/fill/30/20/{origin.on('/a', Reply(photo()))}"
        (service.cache / "tmp").rmdir()
        assert service.get(target).picture.size == (30, 20)
        assert "another micropic process" in service.events("cache_write_failed")[0]["error"]
    finally:
        usurper.close()


def in_files(directory: Path) -> int:
    """Give the bytes that the entries below a directory take up."""
    return sum(
        path.stat().st_blocks * 512
        for path in directory.rglob("*")
        if path.is_file() and path.name != MARK
    )


def on_disk(directory: Path) -> int:
    """Give the bytes that a directory takes up, with all that is in it."""
    du = subprocess.run(["du", "-s", "-B1", directory], capture_output=True, text=True, check=True)
    return int(du.stdout.split()[0])
