"""Processes that end with the block that started them."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The repository."""

_START_TIMEOUT = 30.0
_STOP_TIMEOUT = 15.0
_POLL = 0.05


class NotStartedError(Exception):
    """A process ended, or did not answer, before it was of any use."""


@contextlib.contextmanager
def running(
    command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run `command` from the repository's root, its output in `log`, until the block ends.

    It has a session of its own, so that Ctrl-C reaches us alone and we stop it in order.
    """
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process,
    ):
        try:
            yield process
        finally:
            _stop(process)


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until `url` answers 200.

    Raises:
        NotStartedError: the process ended first, or the time is up.

    """
    deadline = time.monotonic() + _START_TIMEOUT
    while not _answers(url):
        if process.poll() is not None or time.monotonic() > deadline:
            output = log.read_text(errors="replace")[-2000:]
            msg = f"{url} does not answer; its process said: {output or 'nothing'}"
            raise NotStartedError(msg)
        time.sleep(_POLL)


def free_port() -> int:
    """Give a TCP port of 127.0.0.1 that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def cores() -> int:
    """Give how many cores this process may use."""
    return len(os.sched_getaffinity(0))


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
