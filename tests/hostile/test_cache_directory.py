"""A cache directory that is not empty, not ours or a trap: no file of others is touched."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from micropic.adapters.cache_directory import (
    MARK,
    SUBDIRECTORY,
    CacheDirectoryError,
    CacheDirectoryInUseError,
    locate,
)
from micropic.adapters.disk_cache import DiskCache
from micropic.adapters.entry import VERSION
from micropic.domain.model import Preview
from tests.support.origin import Origin, Reply
from tests.support.pictures import photo
from tests.support.service import StartService, micropic

KEY = "/fill/1/1//http://h/a"
PREVIEW = Preview(b"x" * 1000, "image/jpeg", 1e9, 60.0)
NOBODY = 65534
IS_ROOT = os.geteuid() == 0
as_root = pytest.mark.skipif(not IS_ROOT, reason="only root can give files away")

Tree = dict[str, tuple[int, bytes | str]]


def tree(directory: Path) -> Tree:
    """Return every path below a directory, with its mode and its content or target."""
    found: Tree = {}
    for path in sorted(directory.rglob("*")):
        mode = path.lstat().st_mode
        if path.is_symlink():
            found[str(path.relative_to(directory))] = mode, str(path.readlink())
        else:
            content = path.read_bytes() if path.is_file() else b""
            found[str(path.relative_to(directory))] = mode, content
    return found


def foreign(directory: Path) -> None:
    """Fill a directory with what an earlier version removed, as /var has it, and more."""
    for folder in ("tmp/systemd-private", "v1/ab", "v2/00", "v3/ff", "lost+found", "lib"):
        (directory / folder).mkdir(parents=True)
    for file in ("tmp/0", "tmp/notes", f"v1/ab/{'ab' * 32}", "v2/00/x", "v3/ff/y", "lib/z"):
        (directory / file).write_bytes(b"precious")


def earlier_cache(directory: Path, entries: int = 3) -> list[Path]:
    """Make what the version before the mark has left; return its entries."""
    cache = DiskCache(directory, 2**20)

    async def put() -> None:
        for number in range(entries):
            await cache.put(f"{KEY}{number}", PREVIEW)

    asyncio.run(put())
    cache.close()
    (directory / MARK).unlink()
    for path in [directory, *directory.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    return [path for path in (directory / f"v{VERSION}").glob("*/*") if path.is_file()]


@contextmanager
def opened(directory: Path) -> Iterator[DiskCache]:
    cache = DiskCache(directory, 2**20)
    try:
        yield cache
    finally:
        cache.close()


def stores(directory: Path) -> bool:
    """Return True if a cache in a directory stores what it gets, and finds it after a restart."""
    with opened(directory) as cache:
        asyncio.run(cache.put(KEY, PREVIEW))
    with opened(directory) as cache:
        return cache.has(KEY)


def test_a_directory_with_files_of_others_keeps_them_all(tmp_path: Path) -> None:
    foreign(tmp_path)
    before = tree(tmp_path)
    assert stores(tmp_path)
    shutil.rmtree(tmp_path / SUBDIRECTORY)
    assert tree(tmp_path) == before


def test_a_service_starts_beside_files_of_others_and_is_a_cache(
    start_service: StartService, origin: Origin, tmp_path: Path
) -> None:
    directory = tmp_path / "var"
    directory.mkdir()
    foreign(directory)
    before = tree(directory)
    target = f"/fill/30/20/{origin.on('/a', Reply(photo()))}"
    service = start_service(CACHE_DIRNAME=str(directory), CACHE_MEMORY="0")
    assert service.get(target).cache_status == "micropic; fwd=miss"
    (told,) = service.events("cache_in_subdirectory")
    assert told["directory"] == str(directory / SUBDIRECTORY)
    second = micropic("serve", **service.settings | {"LOG_FILE": ""})
    assert second.returncode == 1
    assert "belongs to another micropic process" in second.stderr
    service.stop()
    assert service.start().get(target).cache_status == "micropic; hit"
    service.stop()
    done = micropic("doctor", "--for", "cache", "--json", CACHE_DIRNAME=str(directory))
    assert str(directory / SUBDIRECTORY) in done.stdout
    shutil.rmtree(directory / SUBDIRECTORY)
    assert tree(directory) == before


@pytest.mark.parametrize("name", ["tmp", f"v{VERSION}", "sources", "lock", MARK, f"v{VERSION}/ab"])
@pytest.mark.parametrize("marked", [True, False], ids=["our directory", "an empty directory"])
def test_a_symbolic_link_in_the_place_of_what_is_ours_is_not_followed(
    tmp_path: Path, name: str, *, marked: bool
) -> None:
    victim, directory = tmp_path / "victim", tmp_path / "cache"
    foreign(victim)
    (victim / "tmp/micropic-entry-0a1b2c3d-1").write_bytes(b"MPIC")
    if marked:
        stores(directory)
    link = directory / name
    link.parent.mkdir(parents=True, exist_ok=True)
    if link.is_dir():
        shutil.rmtree(link)
    link.unlink(missing_ok=True)
    target = victim / "tmp/notes" if name in {"lock", MARK} else victim / "tmp"
    link.symlink_to(target)
    before = tree(victim)
    assert stores(directory)
    assert tree(victim) == before
    assert link.readlink() == target
    assert locate(directory) == directory / SUBDIRECTORY


@pytest.mark.parametrize(
    "name", ["v1", "v2/00", f"v3/ab/{'ab' * 32}", "tmp/micropic-entry-0a1b2c3d-0"]
)
def test_a_symbolic_link_among_what_is_cleared_away_leads_nowhere(
    tmp_path: Path, name: str
) -> None:
    victim, directory = tmp_path / "victim", tmp_path / "cache"
    stores(directory)
    (victim / "ab").mkdir(parents=True)
    for file in (victim / "ab" / ("ab" * 32), victim / ("00" * 32)):
        file.write_bytes(b"MPIC")
    link = directory / name
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(victim)
    before = tree(victim)
    assert stores(directory)
    assert tree(victim) == before


def test_an_entry_that_is_a_symbolic_link_is_none(tmp_path: Path) -> None:
    directory, victim = tmp_path / "cache", tmp_path / "victim"
    stores(directory)
    (entry,) = [path for path in directory.glob("v*/*/*") if path.is_file()]
    victim.write_bytes(entry.read_bytes())
    entry.unlink()
    entry.symlink_to(victim)
    with opened(directory) as cache:
        assert not cache.has(KEY)
        asyncio.run(cache.put(KEY, PREVIEW))
    assert not entry.is_symlink()
    assert victim.exists()


def test_the_directory_itself_may_be_a_symbolic_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "cache").symlink_to(tmp_path / "disk")
    assert stores(tmp_path / "cache")
    assert (tmp_path / "disk" / MARK).exists()


def test_files_of_others_in_our_own_directory_stay(tmp_path: Path) -> None:
    stores(tmp_path)
    strays = ["tmp/0", "tmp/upload", "tmp/micropic-entry-x", "v1/ab/notes", f"v2/ab/{'cd' * 32}",
              f"v3/ab/{'ab' * 32}", "backup/x"]  # fmt: skip
    for stray in strays:
        (tmp_path / stray).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / stray).write_bytes(b"precious")
    old = tmp_path / "v3/cd" / ("cd" * 32)
    old.parent.mkdir()
    old.write_bytes(b"MPIC\0\3")
    assert stores(tmp_path)
    assert all((tmp_path / stray).read_bytes() == b"precious" for stray in strays)
    assert not old.parent.exists()


def test_a_cache_of_an_earlier_version_is_adopted_with_its_entries(tmp_path: Path) -> None:
    entries = earlier_cache(tmp_path)
    (tmp_path / "lost+found").mkdir()
    (tmp_path / "tmp/0").write_bytes(b"MPIC half an entry")
    with opened(tmp_path) as cache:
        assert cache.usage.entries == len(entries) == 3
    assert (tmp_path / MARK).exists()
    assert not (tmp_path / "tmp/0").exists()
    assert {stat.S_IMODE(path.stat().st_mode) for path in entries} == {0o600}


def remove_the_lock(directory: Path) -> None:
    (directory / "lock").unlink()


def add_a_folder(directory: Path) -> None:
    (directory / f"v{VERSION}" / "include").mkdir()


def lack_a_folder(directory: Path) -> None:
    next(path for path in (directory / f"v{VERSION}").iterdir() if not list(path.iterdir())).rmdir()


def replace_an_entry(directory: Path) -> None:
    next(path for path in directory.glob("v*/*/*")).write_bytes(b"precious")


def add_the_mark_of_another_program(directory: Path) -> None:
    (directory / MARK).write_text("Signature: 8a477f597d28d172789f06886806bc55\n# by cargo\n")


@pytest.mark.parametrize(
    "change",
    [
        add_the_mark_of_another_program,
        remove_the_lock,
        add_a_folder,
        lack_a_folder,
        replace_an_entry,
    ],
)
def test_what_only_resembles_an_earlier_cache_is_not_adopted(
    tmp_path: Path, change: Callable[[Path], None]
) -> None:
    earlier_cache(tmp_path)
    change(tmp_path)
    before = tree(tmp_path)
    assert stores(tmp_path)
    shutil.rmtree(tmp_path / SUBDIRECTORY)
    assert tree(tmp_path) == before


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_directories_and_files_are_private_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        assert stores(tmp_path / "a/b")
    finally:
        os.umask(before)
    modes = {(path.is_dir(), stat.S_IMODE(path.stat().st_mode)) for path in tmp_path.rglob("*")}
    assert modes == {(True, 0o700), (False, 0o600)}


def test_a_directory_that_is_open_to_all_is_closed_or_left(tmp_path: Path) -> None:
    ours, shared = tmp_path / "ours", tmp_path / "shared"
    ours.mkdir()
    ours.chmod(0o777)
    shared.mkdir()
    shared.chmod(0o1777)
    assert stores(ours)
    assert stores(shared)
    assert stat.S_IMODE(ours.stat().st_mode) == 0o700
    assert stat.S_IMODE(shared.stat().st_mode) == 0o1777
    assert [path.name for path in shared.iterdir()] == [SUBDIRECTORY]


def test_what_cannot_be_used_is_said_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    (tmp_path / SUBDIRECTORY).mkdir()
    (tmp_path / SUBDIRECTORY / "precious").touch()
    done = micropic("serve", CACHE_DIRNAME=str(tmp_path), PROXY_PORT="0", HEALTH_PORT="0")
    (line,) = done.stderr.splitlines()
    assert done.returncode == 1
    assert f"{tmp_path / SUBDIRECTORY} contains files of others" in line
    assert "Traceback" not in done.stderr


def as_nobody(directory: Path) -> str:
    """Use a directory as a user without privileges; return what it came to."""
    reading, writing = os.pipe()
    child = os.fork()  # this very process: the user may not reach the interpreter
    if not child:
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            came_to = f"stored: {stores(directory)}"
        except BaseException as error:  # noqa: BLE001 # whatever it is
            came_to = f"{type(error).__name__}: {error}"
        os.write(writing, came_to.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as file:
        told = file.read()
    os.waitpid(child, 0)
    return told


@pytest.fixture
def reachable() -> Iterator[Path]:
    """Give a directory that a user without privileges can reach."""
    directory = Path("/tmp") / f"micropic-test-{os.getpid()}"
    directory.mkdir(mode=0o755)
    directory.chmod(0o755)
    try:
        yield directory
    finally:
        shutil.rmtree(directory)


@as_root
def test_the_root_of_a_volume_that_belongs_to_root_is_used_in_part(reachable: Path) -> None:
    """As Kubernetes has it with fsGroup: the root is root's, the group may write."""
    (reachable / "lost+found").mkdir(mode=0o700)
    os.chown(reachable, 0, NOBODY)
    reachable.chmod(0o2775)
    for _ in range(2):
        assert as_nobody(reachable) == "stored: True"
    assert sorted(path.name for path in reachable.iterdir()) == ["lost+found", SUBDIRECTORY]
    assert (reachable / SUBDIRECTORY).stat().st_uid == NOBODY


@as_root
def test_a_volume_that_cannot_be_written_to_is_an_error(reachable: Path) -> None:
    told = as_nobody(reachable)
    assert f"CacheDirectoryError: The cache directory {reachable / SUBDIRECTORY} cannot be" in told


@as_root
@pytest.mark.parametrize("marked", [True, False])
def test_the_directory_of_another_user_is_not_taken_over(tmp_path: Path, *, marked: bool) -> None:
    if marked:
        stores(tmp_path)
    for path in [tmp_path, *tmp_path.rglob("*")]:
        os.chown(path, NOBODY, NOBODY)
    before = tree(tmp_path)
    assert stores(tmp_path)
    assert locate(tmp_path) == tmp_path / SUBDIRECTORY
    shutil.rmtree(tmp_path / SUBDIRECTORY)
    assert tree(tmp_path) == before


def test_a_directory_that_is_replaced_by_a_link_while_it_is_used_is_not_followed(
    tmp_path: Path,
) -> None:
    victim, directory = tmp_path / "victim", tmp_path / "cache"
    foreign(victim)
    before = tree(victim)
    with opened(directory) as cache:
        shutil.rmtree(directory / "tmp")
        shutil.rmtree(directory / f"v{VERSION}")
        (directory / f"v{VERSION}").symlink_to(victim)
        asyncio.run(cache.put(KEY, PREVIEW))
        assert not cache.has(KEY)
    assert tree(victim) == before


def test_a_second_process_finds_the_directory_taken(tmp_path: Path) -> None:
    foreign(tmp_path)
    with opened(tmp_path), pytest.raises(CacheDirectoryInUseError):
        DiskCache(tmp_path, 2**20)


def test_a_file_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CacheDirectoryError, match="cannot be opened as a directory"):
        locate(tmp_path / "file")


def entry_file(directory: Path) -> Path:
    """Return the one entry that `KEY` has in a directory."""
    (path,) = (path for path in (directory / f"v{VERSION}").glob("*/*") if not path.is_dir())
    return path


def of_fifo(path: Path, _: Path) -> None:
    os.mkfifo(path)


def of_link(path: Path, victim: Path) -> None:
    path.symlink_to(victim)


@pytest.mark.parametrize("replace", [of_fifo, of_link])
@pytest.mark.parametrize("size", [1000, 2 * 1024**2], ids=["small", "large"])
def test_what_takes_the_place_of_an_entry_is_not_read(
    tmp_path: Path, replace: Callable[[Path, Path], None], size: int
) -> None:
    directory, victim = tmp_path / "cache", tmp_path / "victim"
    cache = DiskCache(directory, 2**23)
    try:
        asyncio.run(cache.put(KEY, Preview(b"x" * size, "image/jpeg", 1e9, 60.0)))
        path = entry_file(directory)
        path.rename(victim)
        replace(path, victim)
        assert asyncio.run(cache.get(KEY)) is None
        assert victim.is_file()
    finally:
        cache.close()


def test_a_link_that_takes_the_place_of_the_directory_is_not_followed(tmp_path: Path) -> None:
    directory, victim = tmp_path / "cache", tmp_path / "victim"
    victim.mkdir(0o755)
    with opened(directory) as cache:
        asyncio.run(cache.put(KEY, PREVIEW))
        shutil.rmtree(directory)
        directory.symlink_to(victim)
        asyncio.run(cache.put(KEY, PREVIEW))
        assert asyncio.run(cache.get(KEY)) is None
    assert tree(victim) == {}
    assert stat.S_IMODE(victim.stat().st_mode) == 0o755


def test_files_of_others_in_the_place_of_the_directory_get_no_company(tmp_path: Path) -> None:
    directory = tmp_path / "cache"
    with opened(directory) as cache:
        shutil.rmtree(directory)
        foreign(directory)
        before = tree(directory)
        asyncio.run(cache.put(KEY, PREVIEW))
    assert tree(directory) == before


def test_a_hard_link_by_the_name_of_an_entry_leaves_the_other_name_as_it_is(tmp_path: Path) -> None:
    directory, victim = tmp_path / "cache", tmp_path / "victim"
    assert stores(directory)
    victim.write_bytes(b"MPICprecious")
    victim.chmod(0o644)
    os.link(victim, directory / f"v{VERSION}/ab/{'ab' * 32}")
    before = tree(tmp_path)["victim"]
    assert stores(directory)
    assert tree(tmp_path)["victim"] == before


NO_MODES = """
import ctypes, errno, struct, sys
NUMBERS = {"x86_64": (90, 91, 268, 452), "aarch64": (52, 53, 452)}[__import__("platform").machine()]
ARGUMENTS = lambda code, yes, no, value: struct.pack("=HBBI", code, yes, no, value)
program = ARGUMENTS(0x20, 0, 0, 0)
for n, number in enumerate(NUMBERS):
    program += ARGUMENTS(0x15, len(NUMBERS) - n, 0, number)
program += ARGUMENTS(0x06, 0, 0, 0x7FFF0000) + ARGUMENTS(0x06, 0, 0, 0x50000 | errno.EPERM)
buffer = ctypes.create_string_buffer(program)
filters = ctypes.create_string_buffer(
    struct.pack("@HP", len(program) // 8, ctypes.addressof(buffer))
)
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, filters, 0, 0) == 0
import os
from pathlib import Path
try:
    Path(sys.argv[1]).parent.chmod(0o700)
except PermissionError:
    from tests.hostile.test_cache_directory import stores
    sys.exit(0 if stores(Path(sys.argv[1])) else "nothing is stored")
sys.exit("modes can be set")
"""
"""A process that can set no mode, as on vfat, SMB and some bind mounts: seccomp says EPERM."""


def test_a_mount_without_modes_is_a_cache_all_the_same(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", NO_MODES, str(tmp_path / "above" / "cache")],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
