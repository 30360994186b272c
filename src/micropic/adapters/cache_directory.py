"""A directory that one process owns, with folders for entries and for what is being written."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Sequence
from pathlib import Path


class CacheDirectoryInUseError(Exception):
    """Another process owns the cache directory."""


class CacheDirectory:
    """Makes `folders` and owns the directory until it is closed.

    Raises:
        CacheDirectoryInUseError: another process owns the directory.
        OSError: the directory cannot be made or written.

    """

    def __init__(self, directory: Path, folders: Sequence[Path]) -> None:
        self._directory = directory
        self._folders = folders
        self._make_folders()
        self._lock = _own(directory)

    def restore(self) -> None:
        """Make anew what somebody has removed, and own it again.

        Raises:
            CacheDirectoryInUseError: another process has taken it over.

        """
        self._make_folders()
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat((self._directory / "lock").stat(), os.fstat(self._lock)):
                return
        lock = _own(self._directory)
        os.close(self._lock)
        self._lock = lock

    def close(self) -> None:
        """Give it up."""
        os.close(self._lock)

    def _make_folders(self) -> None:
        for folder in self._folders:
            folder.mkdir(parents=True, exist_ok=True)


def _own(directory: Path) -> int:
    lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        msg = f"{directory} belongs to another micropic process"
        raise CacheDirectoryInUseError(msg) from None
    return lock
