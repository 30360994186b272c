"""A cache on disk that outlives the process.

```
{dirname}/CACHEDIR.TAG            the mark of our own directories
{dirname}/lock                    held while a process owns the directory
{dirname}/tmp/micropic-entry-{}   an entry that is being written
{dirname}/v4/{ab}/{abcdef...}     an entry; v4: its format
```

An entry's modification time is when it was last used: the order is found again after a
restart, but for the last second before a crash (of S3-FIFO's, how often something was used is not:
all enter the small queue by their last use). The index lives on the event loop; files are read in
threads of the cache's own, unless the kernel has them in memory, and written by one thread in the
order in which the index was told: so what is on disk never passes the bounds by more than one entry
(beside the folders, about 1 MiB).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import math
import os
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import structlog

from micropic.adapters import cache_directory, entry
from micropic.adapters.cache_directory import CacheDirectory, CacheDirectoryInUseError
from micropic.adapters.cached_read import read_cached
from micropic.adapters.entry import (
    HEAD,
    LARGE,
    VERSION,
    Blocks,
    CorruptEntryError,
    head_of,
    key_of,
    pack,
    unpack,
    unpack_head,
)
from micropic.adapters.file_body import FileBody, OpenFile
from micropic.adapters.file_threads import FileThreads
from micropic.domain.lru import LruIndex
from micropic.domain.model import BodyLostError, Preview
from micropic.domain.purge import Purge
from micropic.domain.s3fifo import S3FifoIndex
from micropic.domain.usage import Usage

log = structlog.get_logger()

_BLOCK = 4096
_READERS = 4
_LARGE_READERS = 2
"""Threads for large bodies, apart from the others: what is small does not wait for them."""
_FULL = (errno.ENOSPC, errno.EDQUOT)
_SHARE_AT_ONCE = 100
"""On a full disk a hundredth of all goes at once, so that not every write has to fail first."""
_MOST_UNWRITTEN = 64 * 1024**2
"""Bytes of entries that may wait for the writer: a second or so of a slow disk.

More would only pile up: a disk that stalls, or is slower than what comes, must not take the memory.
"""
_TOLD_EVERY = 60.0
"""Seconds between two words in the log that the disk does not keep up."""
_MARK_INTERVAL = 1.0
"""Seconds."""
_FOLDERS = [f"{n:02x}" for n in range(256)]
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


Policy = type[LruIndex[bytes]] | type[S3FifoIndex[bytes]]
"""What goes first when there is no room."""


class _LargeEntry(NamedTuple):
    """An entry whose body is still in its file."""

    key: str
    preview: Preview
    file: OpenFile
    start: int
    blocks: Blocks


class DiskCache:
    """Keeps previews as files; `max_bytes` bounds what they take up on disk.

    In a directory that has files of others it is in a subdirectory (`CacheDirectory`).
    With `leave_large` a body over 1 MiB is not read by `get` but left in its file
    (`Preview.stored`).

    Raises:
        CacheDirectoryInUseError: another process owns the directory.
        CacheDirectoryError: the directory cannot be made or written.

    """

    def __init__(
        self,
        directory: Path,
        max_bytes: int,
        max_entries: int | None = None,
        policy: Policy = LruIndex[bytes],
        *,
        leave_large: bool = False,
    ) -> None:
        self._leave_large = leave_large
        self._names = cache_directory.temporary_names()
        self._puts: set[asyncio.Task[None]] = set()
        self._unwritten = 0
        self._told_at = -math.inf
        self._writing: Counter[bytes] = Counter()
        tree, tmp = f"v{VERSION}", cache_directory.TEMPORARY
        folders = [tmp, tree, *(f"{tree}/{folder}" for folder in _FOLDERS)]
        self._directory = CacheDirectory(directory, folders)
        self._root, self._tmp = self._directory.path / tree, self._directory.path / tmp
        # What an earlier program kept, none can read any more.
        cache_directory.clear_versions(self._directory.path, range(1, VERSION))
        cache_directory.clear_temporary(self._directory.path)
        self._index = policy(max_bytes, max_entries)
        self._evictions = self._purges = self._hits = self._misses = 0
        self._used: dict[bytes, int] = {}
        self._marking: asyncio.TimerHandle | None = None
        self._recover()
        self._readers = FileThreads(_READERS)
        self._large_readers = FileThreads(_LARGE_READERS)
        self._writer = FileThreads(1)

    @property
    def usage(self) -> Usage:
        """How full it is."""
        index = self._index
        return Usage(
            len(index),
            index.bytes,
            index.max_bytes,
            self._unused(),
            self._evictions,
            self._hits,
            self._misses,
        )

    def _unused(self) -> float:
        first = next(iter(self._index), None)
        if first is None:
            return 0.0
        try:
            return max(0.0, time.time() - os.stat(self._path(first)).st_mtime)  # noqa: PTH116 # a str
        except OSError:
            return 0.0

    def has(self, key: str) -> bool:
        """Tell whether it is here, without using it."""
        return entry.name(key) in self._index

    async def get(self, key: str) -> Preview | None:
        """Give the preview as it was put, its provenance now `FROM_CACHE`; or None."""
        name = entry.name(key)
        if not self._index.touch(name):
            self._misses += 1
            return None
        try:
            data = read_cached(self._path(name))
            if data is not None:
                stored_key, preview = unpack(data)
            else:
                read = await self._readers.run(self._read, name)
                if isinstance(read, _LargeEntry):
                    read = read.key, await self._large(name, read)
                stored_key, preview = read
        except CorruptEntryError:
            self._warn_of_damage(name)
            await self._drop(name)
            return None
        except BodyLostError:
            return None
        except FileNotFoundError:
            if not self._writing[name]:
                self._index.remove(name)  # removed by hand
            return None
        except OSError as error:
            log.warning("cache_read_failed", error=str(error))
            return None
        self._hits += 1
        self._mark_soon(name)
        return preview if stored_key == key else None

    async def _large(self, name: bytes, read: _LargeEntry) -> Preview:
        lost = partial(self._lost, name, read.file.inode)
        body = FileBody(read.file, read.start, read.blocks, self._large_readers, lost)
        preview = replace(read.preview, stored=body)
        return preview if self._leave_large else await preview.whole()

    def _warn_of_damage(self, name: bytes) -> None:
        log.warning("cache_entry_corrupt", file=str(self._path(name)))

    def _lost(self, name: bytes, inode: int) -> None:
        """Drop an entry whose body turned out to be damaged, unless it was replaced meanwhile."""
        self._warn_of_damage(name)
        with contextlib.suppress(OSError):
            if os.stat(self._path(name)).st_ino == inode and self._index.remove(name):  # noqa: PTH116 # a str
                self._writer.run(self._unlink, [name])

    async def put(self, key: str, preview: Preview) -> None:
        """Keep a preview, in the place of an older one, unless too much waits to be written.

        A caller that leaves does not stop it half-way: a file must not stay without its entry.
        """
        size = _on_disk(len(preview.body))  # of the smallest, its task takes about as much
        if self._unwritten and self._unwritten + size > _MOST_UNWRITTEN:
            self._pass_over(entry.name(key))
            return
        self._unwritten += size
        task = asyncio.create_task(self._put(key, preview))
        self._puts.add(task)
        task.add_done_callback(partial(self._put_ended, size))
        await asyncio.shield(task)

    def _put_ended(self, size: int, task: asyncio.Task[None]) -> None:
        self._puts.discard(task)
        self._unwritten -= size

    def _pass_over(self, name: bytes) -> None:
        """Have nothing by this name; nobody waits for the writer, which is far behind."""
        if self._index.remove(name):  # what lay there before is out of date
            self._writer.run(self._unlink, [name])
        now = time.monotonic()
        if now - self._told_at >= _TOLD_EVERY:
            self._told_at = now
            log.warning("cache_disk_too_slow", waiting_bytes=self._unwritten)

    async def _put(self, key: str, preview: Preview) -> None:
        size = _on_disk(entry.packed_size(key, preview))
        name = entry.name(key)
        if not self._index.fits(size):
            await self._drop(name)  # what lay there before is out of date
            return
        purges = self._purges
        evicted = self._index.add(name, size)
        self._evictions += len(evicted)
        self._writing[name] += 1
        try:
            try:
                await self._writer.run(self._replace, evicted, name, key, preview)
            except OSError as error:
                room = self._mend(error, size)
                await self._writer.run(self._replace, room, name, key, preview)
        except (OSError, CacheDirectoryInUseError) as error:
            log.warning("cache_write_failed", error=str(error))
            self._index.remove(name)
        finally:
            self._writing -= Counter([name])
        # By now it may have been evicted, or be among what was to be forgotten.
        if name not in self._index or purges != self._purges:
            await self._drop(name)

    async def delete(self, key: str) -> None:
        """Forget a preview, if it is here."""
        await self._drop(entry.name(key))

    async def purge(self, what: Purge) -> int:
        """Forget all that `what` concerns, and tell how many entries that were.

        By sources alone it is a walk through the index; else every entry's key is read.
        """
        self._purges += 1
        if what.everything:
            names = list(self._index)
        elif what.prefixes:
            names = await self._readers.run(self._concerned, what, list(self._index))
        else:
            sources = {entry.source_part(source) for source in what.sources}
            names = [name for name in self._index if name[: entry.SOURCE_PART] in sources]
        forgotten = [name for name in names if self._index.remove(name)]
        await self._writer.run(self._unlink, forgotten)
        return len(forgotten)

    def close(self) -> None:
        """Finish what is being written and give up the directory."""
        if self._marking:
            self._marking.cancel()
        self._readers.close()
        self._large_readers.close()
        self._writer.close()
        self._mark(self._used)
        self._directory.close()

    def _mend(self, error: OSError, size: int) -> list[bytes]:
        """Put right what a write failed by; give what has to go for another try.

        Raises:
            OSError: nothing can be done about it.
            CacheDirectoryInUseError: another process has taken the directory over.

        """
        if isinstance(error, FileNotFoundError):  # somebody has removed the directory
            self._directory.restore()
            return []
        if error.errno in _FULL:  # there is less room than `max_bytes`, or others need it
            gone = self._index.shrink(max(size, self._index.bytes // _SHARE_AT_ONCE))
            self._evictions += len(gone)
            return gone
        raise error

    async def _drop(self, name: bytes) -> None:
        self._index.remove(name)
        await self._writer.run(self._unlink, [name])

    def _mark_soon(self, name: bytes) -> None:
        """Note that an entry was used; files are marked so together, once in a while."""
        if not self._used:
            loop = asyncio.get_running_loop()
            self._marking = loop.call_later(_MARK_INTERVAL, self._mark_used)
        # The kernel's own time stamps are some milliseconds coarse: too coarse for an order.
        self._used[name] = time.time_ns()

    def _mark_used(self) -> None:
        used, self._used = self._used, {}
        self._readers.run(self._mark, used)

    # --- at the start ------------------------------------------------------------------------

    def _recover(self) -> None:
        """Find the entries of an earlier run, in the order of their last use."""
        found = [
            (status.st_mtime_ns, bytes.fromhex(name), status.st_size)
            for name, status in cache_directory.entries(self._root)
        ]
        for _, name, size in sorted(found):
            self._unlink(self._index.add(name, _on_disk(size)))

    # --- in threads --------------------------------------------------------------------------

    def _concerned(self, what: Purge, names: Iterable[bytes]) -> list[bytes]:
        return [name for name in names if what.concerns(self._key(name))]

    def _key(self, name: bytes) -> str:
        """Give an entry's key; empty: it cannot be read."""
        try:
            return key_of(_read_head(OpenFile(self._path(name))))
        except (OSError, CorruptEntryError):
            return ""

    def _path(self, name: bytes) -> str:
        digits = name.hex()
        return f"{self._root}/{digits[:2]}/{digits}"

    def _read(self, name: bytes) -> tuple[str, Preview] | _LargeEntry:
        """Read and check an entry, or all but the body of a large one.

        Raises:
            CorruptEntryError: it is damaged.
            OSError: it cannot be read.

        """
        file = OpenFile(self._path(name))
        data = _read_head(file)
        start, length = head_of(data)
        size = file.size
        if size != start + length:
            raise CorruptEntryError
        if length <= LARGE:
            return unpack(data + file.read(size - len(data), len(data)))
        key, preview, blocks = unpack_head(data[:start])
        return _LargeEntry(key, preview, file, start, blocks)

    def _mark(self, used: Mapping[bytes, int]) -> None:
        """Set when entries were last used, in ns of the Unix epoch."""
        for name, now in used.items():
            with contextlib.suppress(OSError):  # evicted by now, or all is read-only
                os.utime(self._path(name), ns=(now, now), follow_symlinks=False)

    def _replace(self, evicted: Iterable[bytes], name: bytes, key: str, preview: Preview) -> None:
        """Make room, then write: at no time is there more on disk than one entry too much."""
        self._unlink(evicted)
        self._write(name, *pack(key, preview))  # here: to hash it takes long if it is large

    def _write(self, name: bytes, *pieces: bytes) -> None:
        temporary = f"{self._tmp}/{next(self._names)}"
        try:
            file = os.open(temporary, _NEW, 0o600)
            try:
                cache_directory.set_mode(file, 0o600)
                for piece in pieces:
                    _write_all(file, piece)
                now = time.time_ns()
                os.utime(file, ns=(now, now))
            finally:
                os.close(file)
            os.rename(temporary, self._path(name))  # noqa: PTH104
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(temporary)  # noqa: PTH108
            raise

    def _unlink(self, names: Iterable[bytes]) -> None:
        for name in names:
            with contextlib.suppress(OSError):
                os.unlink(self._path(name))  # noqa: PTH108


def _on_disk(size: int) -> int:
    """Round up to the blocks that a file of `size` bytes takes up."""
    return -(-size // _BLOCK) * _BLOCK


def _read_head(file: OpenFile) -> bytes:
    """Read at least what comes before the body.

    Raises:
        CorruptEntryError: there is no entry of this version.
        OSError: it cannot be read.

    """
    data = file.read(min(HEAD, file.size), 0)
    missing = head_of(data).size - len(data)
    return data + file.read(missing, len(data)) if missing > 0 else data


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
