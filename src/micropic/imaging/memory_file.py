"""The memory file through which pictures and previews pass between processes."""

from __future__ import annotations

import os

KEPT = 4 * 1024 * 1024
"""Bytes of a memory file that stay allocated between two pictures."""
_ZEROS = bytes(KEPT)
"""Takes no memory: it is never written to."""


def write(descriptor: int, data: bytes | bytearray | memoryview) -> None:
    """Write all of `data` from the beginning of the file on."""
    view, offset = memoryview(data), 0
    while offset < len(view):
        offset += os.pwrite(descriptor, view[offset:], offset)


def clear(descriptor: int, used: int) -> None:
    """Leave nothing of `used` bytes, and not more memory than is worth having for the next ones.

    To write zeros costs a fifth of giving pages back and taking new ones (21 and 100 us for 350 kB,
    of some 8 ms for the render), and a process that still maps the file reads zeros.
    """
    if os.fstat(descriptor).st_size > KEPT:  # a hijacked process may add to it
        os.ftruncate(descriptor, KEPT)
    write(descriptor, memoryview(_ZEROS)[: min(used, KEPT)])
