"""A large body in a file of the cache, read in parts by threads."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from micropic.adapters.entry import Blocks, CorruptEntryError
from micropic.adapters.file_threads import FileThreads
from micropic.domain.model import PIECE, BodyLostError

READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
"""How an entry is opened: a FIFO or a link in its place would keep the reader, or lead astray."""
_KEPT_OPEN = 60.0
"""Seconds for which a file that the cache has removed stays readable.

It takes up space on disk beyond the cache's bounds until it is closed: slow clients may not keep
it for as long as they like.
"""


class OpenFile:
    """A descriptor that is closed with its last user."""

    def __init__(self, path: str) -> None:
        self.descriptor = -1
        self.descriptor = os.open(path, READ)
        self._opened = time.monotonic()

    def __del__(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)

    @property
    def inode(self) -> int:
        """The file's number, which another file in its place does not have."""
        return os.fstat(self.descriptor).st_ino

    @property
    def size(self) -> int:
        """Length in bytes."""
        return os.fstat(self.descriptor).st_size

    def read(self, length: int, offset: int) -> bytes:
        """Read `length` bytes.

        Raises:
            OSError: they cannot be read, or the file was removed some time ago.
            CorruptEntryError: there are fewer.

        """
        if time.monotonic() - self._opened > _KEPT_OPEN and not os.fstat(self.descriptor).st_nlink:
            msg = "the file was removed"
            raise OSError(msg)
        data = os.pread(self.descriptor, length, offset)
        if len(data) != length:
            raise CorruptEntryError
        return data


class FileBody:
    """The body that begins at `start` of a file; each block is checked whenever it is read.

    `lost` is called on the event loop if the entry turns out to be damaged.
    """

    def __init__(
        self,
        file: OpenFile,
        start: int,
        blocks: Blocks,
        threads: FileThreads,
        lost: Callable[[], None],
    ) -> None:
        self._file = file
        self._start = start
        self._blocks = blocks
        self._threads = threads
        self._lost = lost

    @property
    def length(self) -> int:
        """Length in bytes."""
        return self._blocks.length

    async def read(self, first: int, last: int) -> bytes:
        """Return part of the body.

        Raises:
            BodyLostError: it is damaged or gone.

        """
        return await self._run(self._read, first, last)

    async def check(self, first: int, last: int) -> None:
        """Check part of the body, one block at a time.

        Raises:
            BodyLostError: it is damaged or gone.

        """
        await self._run(self._check, first, last)

    async def _run(self, function: Callable[[int, int], bytes], first: int, last: int) -> bytes:
        try:
            return await self._threads.run_alone(function, first, last)
        except CorruptEntryError:
            self._lost()
        except OSError:
            pass
        raise BodyLostError

    # --- in threads --------------------------------------------------------------------------

    def _read(self, first: int, last: int) -> bytes:
        start = first - first % PIECE
        data = self._whole_blocks(start, last)
        if len(data) == last + 1 - first:
            return data
        return data[first - start : last + 1 - start]

    def _check(self, first: int, last: int) -> bytes:
        for start in range(first - first % PIECE, last + 1, PIECE):
            self._whole_blocks(start, start)
        return b""

    def _whole_blocks(self, start: int, last: int) -> bytes:
        end = min((last // PIECE + 1) * PIECE, self.length)
        data = self._file.read(end - start, self._start + start)
        self._blocks.check(start, memoryview(data))
        return data
