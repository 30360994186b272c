"""The memory file through which pictures and previews pass between processes."""

from __future__ import annotations

import os


def write(descriptor: int, data: bytes | bytearray) -> None:
    """Write all of `data` from the beginning of the file on."""
    view, offset = memoryview(data), 0
    while offset < len(view):
        offset += os.pwrite(descriptor, view[offset:], offset)
