"""The service as its users start it: a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Protocol, Self

from tests.support import launcher
from tests.support.client import Answer, Crowd, Fields, ask
from tests.support.process import OwnProcess
from tests.support.waiting import wait_until

_DEFAULTS = {
    "PROXY_HOST": "127.0.0.1",
    "PROXY_PORT": "0",
    "HEALTH_HOST": "127.0.0.1",
    "HEALTH_PORT": "0",
    "SOURCE_ALLOW_NETWORKS": "127.0.0.0/8",
    "RENDER_SLOTS": "2",
}


def micropic(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "micropic", *arguments],
        env=os.environ | environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


class Service(OwnProcess):
    """`micropic serve` on free ports, with everything it writes in `directory`."""

    command = "serve"
    patience = 60.0
    """Seconds after which it will not start any more; one that has ended is noticed at once.

    It takes one second of CPU time, and on a machine with much else to do twenty by the clock.
    """

    def __init__(self, directory: Path, **settings: str) -> None:
        self.directory = directory
        self.cache = directory / "cache"
        self._log = directory / "log"
        self.settings = {
            **_DEFAULTS,
            "CACHE_DIRNAME": str(self.cache),
            "LOG_FILE": str(self._log),
            **settings,
        }
        self.port = self.health_port = 0

    def start(self) -> Self:
        """Start, and wait until it is ready."""
        self.begin()
        wait_until(self._ready, self.patience)
        return self

    def begin(self) -> None:
        """Start, and wait until it listens."""
        self._log.unlink(missing_ok=True)
        self._process = launcher.start(self.command, self.settings, self.directory / "output")
        started = wait_until(self._started, self.patience)
        self.port, self.health_port = started.get("port", 0), started["health_port"]

    def stop(self) -> int:
        """Stop as an operator does; give the exit code."""
        self._process.terminate()
        return self._process.wait(30)

    @property
    def pid(self) -> int:
        """The id of its process."""
        return self._process.pid

    @property
    def output(self) -> str:
        """What it wrote to the terminal."""
        return (self.directory / "output").read_text()

    @property
    def log(self) -> list[dict[str, Any]]:
        """The log since the last start."""
        whole, _, _ = self._log.read_bytes().rpartition(b"\n") if self._log.exists() else (b"",) * 3
        return [json.loads(line) for line in whole.splitlines()]

    def events(self, name: str) -> list[dict[str, Any]]:
        """Give the log lines of one kind."""
        return [line for line in self.log if line["event"] == name]

    def get(
        self, target: str, headers: Fields = (), method: str = "GET", body: bytes = b""
    ) -> Answer:
        """Send one request."""
        return ask(self.port, target, headers, method, body=body)

    def crowd(self, clients: int) -> Crowd:
        """Have many clients."""
        return Crowd(self.port, clients)

    def renderers(self) -> list[int]:
        """Give the process ids of the render processes that live."""
        assert self._process.poll() is None, "the service has ended"
        children: set[int] = set()
        for task in Path(f"/proc/{self._process.pid}/task").iterdir():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                children.update(map(int, (task / "children").read_text().split()))
        return sorted(pid for pid in children if _is_renderer(pid))

    def _started(self) -> dict[str, Any] | None:
        assert self._process.poll() is None, self.output
        return next(iter(self.events("started")), None)

    def _ready(self) -> bool:
        try:
            return ask(self.health_port, "/readyz").status == 200
        except ConnectionError:
            return False

    def close(self) -> None:
        """Let nothing of it outlive the test."""
        if self._process.poll() is None:
            self.resume()
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(15)
            except subprocess.TimeoutExpired:
                self.kill()
                raise


class StartService(Protocol):
    """Starts a service with settings, given as in the environment."""

    def __call__(self, **settings: str) -> Service:
        """Give a service that is ready."""
        ...


def _is_renderer(pid: int) -> bool:
    try:
        return b"micropic.imaging.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False
