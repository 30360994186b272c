"""Servers that several test processes share: the first one that needs a server starts it."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, Self

import pytest


class Server(Protocol):
    """A server that can be started, found by others, and stopped."""

    def start(self) -> Self:
        """Start, and wait until it is ready."""
        ...

    def close(self) -> None:
        """Stop it."""
        ...

    @property
    def address(self) -> dict[str, Any]:
        """Return how others find it, as JSON can hold it."""
        ...


def common_directory(factory: pytest.TempPathFactory) -> Path:
    """Return the directory that all processes of this test run share."""
    base = factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@contextmanager
def shared(directory: Path, name: str, server: Server) -> Iterator[dict[str, Any]]:
    """Yield the address of the one server called `name`; start `server` unless it runs.

    The process that started it stops it, once the last user has left. A user that dies leaves too:
    the kernel releases its lock.
    """
    address = directory / f"{name}.json"
    with (directory / f"{name}.start").open("w") as start, (directory / name).open("w") as users:
        fcntl.flock(start, fcntl.LOCK_EX)
        is_owner = not address.exists()
        if is_owner:
            try:
                server.start()
            except BaseException:
                server.close()
                raise
            address.write_text(json.dumps(server.address))
        found: dict[str, Any] = json.loads(address.read_text())
        fcntl.flock(users, fcntl.LOCK_SH)
        fcntl.flock(start, fcntl.LOCK_UN)
        try:
            yield found
        finally:
            if is_owner:
                fcntl.flock(start, fcntl.LOCK_EX)
                address.unlink()  # a new user starts a server of its own
                fcntl.flock(start, fcntl.LOCK_UN)
                fcntl.flock(users, fcntl.LOCK_EX)
                server.close()
