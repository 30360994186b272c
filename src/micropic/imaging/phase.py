"""How far a render process has come with an image, as its service may read it after its death.

A byte in a file in memory of its own: the service clears it before each image, the process sets it
once the image is decoded. A process that was taken over can write what it likes there; that
decides at most whether its own image is quarantined (`pipeline/quarantine.py`).
"""

from __future__ import annotations

import fcntl
import mmap
import os

_DECODING, _DECODED = b"\x00", b"\x01"


def create() -> int:
    """Return the descriptor of a new file, in which the image is being decoded."""
    descriptor = os.memfd_create("micropic-phase", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    begin(descriptor)
    # The process can neither cut it nor have it take memory.
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
    return descriptor


def begin(descriptor: int) -> None:
    """Note that the next image is being decoded."""
    os.pwrite(descriptor, _DECODING, 0)


def is_decoding(descriptor: int) -> bool:
    """Return True if the process has not said that the image is decoded."""
    return os.pread(descriptor, 1, 0) != _DECODED


class Phase:
    """The process's side."""

    def __init__(self, descriptor: int) -> None:
        self._byte = mmap.mmap(descriptor, 1)

    def decoded(self) -> None:
        """Note that the image is decoded."""
        self._byte[:] = _DECODED
