"""A cache on disk that outlives the process.

```
{dirname}/lock                    held while a process owns the directory
{dirname}/tmp/{n}                 an entry that is being written
{dirname}/v1/{ab}/{abcdef...}     an entry, named by the SHA-256 of its key
```

An entry's modification time is when it was last used: the order is found again after a
restart. The index lives on the event loop, files are touched in threads of the cache's own.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import itertools
import os
import re
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import structlog

from micropic.adapters.entry import VERSION, CorruptEntryError, pack, unpack
from micropic.adapters.file_threads import FileThreads
from micropic.domain.lru import LruIndex
from micropic.domain.model import Preview

log = structlog.get_logger()

_BLOCK = 4096
_THREADS = 4
_FOLDERS = [f"{n:02x}" for n in range(256)]
_FILE_NAME = re.compile(r"[0-9a-f]{64}")


class CacheDirectoryInUseError(Exception):
    """Another process owns the cache directory."""


class DiskCache:
    """Keeps previews as files; `max_bytes` bounds what they take up on disk.

    Raises:
        CacheDirectoryInUseError: another process owns the directory.
        OSError: the directory cannot be made or written.

    """

    def __init__(self, directory: Path, max_bytes: int, max_entries: int | None = None) -> None:
        self._root = directory / f"v{VERSION}"
        self._tmp = directory / "tmp"
        self._names = itertools.count()
        self._puts: set[asyncio.Task[None]] = set()
        for folder in (self._tmp, *(self._root / folder for folder in _FOLDERS)):
            folder.mkdir(parents=True, exist_ok=True)
        self._lock = _own(directory)
        self._index: LruIndex[bytes] = LruIndex(max_bytes, max_entries)
        self._recover()
        self._threads = FileThreads(_THREADS)

    async def get(self, key: str) -> Preview | None:
        """Give the preview as it was put, or None."""
        name = _name(key)
        if not self._index.touch(name):
            return None
        try:
            stored_key, preview = await self._threads.run(self._read, name)
        except CorruptEntryError:
            log.warning("cache_entry_corrupt", file=str(self._path(name)))
            await self._drop(name)
            return None
        except FileNotFoundError:
            self._index.remove(name)  # evicted, or removed by hand, a moment ago
            return None
        except OSError as error:
            log.warning("cache_read_failed", error=str(error))
            return None
        return preview if stored_key == key else None

    async def put(self, key: str, preview: Preview) -> None:
        """Keep a preview, in the place of an older one.

        A caller that leaves does not stop it half-way: a file must not stay without its entry.
        """
        task = asyncio.create_task(self._put(key, preview))
        self._puts.add(task)
        task.add_done_callback(self._puts.discard)
        await asyncio.shield(task)

    async def _put(self, key: str, preview: Preview) -> None:
        head, body = pack(key, preview)
        size = _on_disk(len(head) + len(body))
        name = _name(key)
        if not self._index.fits(size):
            await self._drop(name)  # what lay there before is out of date
            return
        try:
            await self._threads.run(self._write, name, head, body)
        except OSError as error:
            log.warning("cache_write_failed", error=str(error))
            return
        # Only what is whole on disk is in the index: an eviction always finds its file.
        evicted = self._index.add(name, size)
        if evicted:
            await self._threads.run(self._unlink, evicted)

    async def delete(self, key: str) -> None:
        """Forget a preview, if it is here."""
        await self._drop(_name(key))

    def close(self) -> None:
        """Finish what is being written and give up the directory."""
        self._threads.close()
        os.close(self._lock)

    async def _drop(self, name: bytes) -> None:
        self._index.remove(name)
        await self._threads.run(self._unlink, [name])

    # --- at the start ------------------------------------------------------------------------

    def _recover(self) -> None:
        """Find the entries of an earlier run, in the order of their last use."""
        for leftover in self._tmp.iterdir():
            with contextlib.suppress(OSError):
                leftover.unlink()
        for _, name, size in sorted(self._entries()):
            self._unlink(self._index.add(name, _on_disk(size)))

    def _entries(self) -> Iterator[tuple[int, bytes, int]]:
        """Give last use (ns of the Unix epoch), name and size (bytes) of each file."""
        for folder in _FOLDERS:
            for file in os.scandir(self._root / folder):
                if _FILE_NAME.fullmatch(file.name) and file.name.startswith(folder):
                    stat = file.stat()
                    yield stat.st_mtime_ns, bytes.fromhex(file.name), stat.st_size

    # --- in threads --------------------------------------------------------------------------

    def _path(self, name: bytes) -> str:
        digits = name.hex()
        return f"{self._root}/{digits[:2]}/{digits}"

    def _read(self, name: bytes) -> tuple[str, Preview]:
        path = self._path(name)
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            data = _read_all(descriptor)
            with contextlib.suppress(OSError):  # read-only by now: the order is not worth a miss
                _mark_used(descriptor)
        finally:
            os.close(descriptor)
        return unpack(data)

    def _write(self, name: bytes, *pieces: bytes) -> None:
        temporary = f"{self._tmp}/{next(self._names)}"
        try:
            with open(temporary, "xb", buffering=0) as file:  # noqa: PTH123 # half the time of Path
                for piece in pieces:
                    _write_all(file.fileno(), piece)
                _mark_used(file.fileno())
            os.rename(temporary, self._path(name))  # noqa: PTH104
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(temporary)  # noqa: PTH108
            raise

    def _unlink(self, names: Iterable[bytes]) -> None:
        for name in names:
            with contextlib.suppress(OSError):
                os.unlink(self._path(name))  # noqa: PTH108


def _own(directory: Path) -> int:
    lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        msg = f"{directory} belongs to another micropic process"
        raise CacheDirectoryInUseError(msg) from None
    return lock


def _name(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


def _on_disk(size: int) -> int:
    """Round up to the blocks that a file of `size` bytes takes up."""
    return -(-size // _BLOCK) * _BLOCK


def _mark_used(descriptor: int) -> None:
    # The kernel's own time stamps are some milliseconds coarse: too coarse for an order.
    now = time.time_ns()
    os.utime(descriptor, ns=(now, now))


def _read_all(descriptor: int) -> bytes:
    size = os.fstat(descriptor).st_size
    data = os.read(descriptor, size)
    while len(data) < size and (more := os.read(descriptor, size - len(data))):
        data += more
    return data


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
