"""Read a file on the event loop, but only where that takes no waiting for a disk.

Linux tells: openat2(2) with RESOLVE_CACHED (5.12) looks a path up in memory alone, and
preadv2(2) with RWF_NOWAIT (4.14) reads what the page cache has. To have a thread do it costs
more than the read, since the thread and the event loop then wait for each other's lock.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct

_OPENAT2 = 437
"""The number of the call, the same on every architecture; glibc has no function for it."""
_RESOLVE_CACHED = 0x20
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_HOW = struct.pack("=QQQ", _READ, 0, _RESOLVE_CACHED)
"""struct open_how: flags, mode, resolve. A FIFO keeps no event loop, a link is no entry."""
_LONGEST = 256 * 1024
"""Bytes; to copy and check more keeps the event loop for too long."""

_RWF_NOWAIT = getattr(os, "RWF_NOWAIT", None)
_LIBC = ctypes.PyDLL(None)  # unlike CDLL it keeps the interpreter's lock: nothing waits here
_LIBC.syscall.restype = ctypes.c_long
_LIBC.syscall.argtypes = [
    ctypes.c_long, ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t,
]  # fmt: skip


def read_cached(path: str) -> bytes | None:
    """Give the whole file if it is in memory; None if not, or if for any reason it cannot tell."""
    if _RWF_NOWAIT is None:  # not Linux
        return None
    descriptor = _LIBC.syscall(_OPENAT2, 0, os.fsencode(path), _HOW, len(_HOW))
    if descriptor < 0:
        return None
    try:
        with contextlib.suppress(OSError):  # EAGAIN; EOPNOTSUPP of some file systems
            size = os.fstat(descriptor).st_size
            if size <= _LONGEST:
                data = bytearray(size)
                if os.preadv(descriptor, [data], 0, _RWF_NOWAIT) == size:
                    return bytes(data)
        return None
    finally:
        os.close(descriptor)
