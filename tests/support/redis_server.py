"""A Redis server of the tests' own, from the Debian package; nothing of it outlives them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Protocol, Self

import pytest

from tests.support.ports import answers, free_ports
from tests.support.process import OwnProcess
from tests.support.waiting import wait_until


class RedisServer(OwnProcess):
    """One server on loopback that keeps everything in memory; `options` are those of its file."""

    def __init__(self, directory: Path, **options: str) -> None:
        self._directory = directory
        self._options = {
            "bind": "127.0.0.1",
            "save": "",
            "dir": str(directory),
            **{name.replace("_", "-"): value for name, value in options.items()},
        }
        (self.port,) = free_ports(1)

    @property
    def url(self) -> str:
        """How a cache finds it."""
        return f"redis://127.0.0.1:{self.port}"

    def start(self) -> Self:
        """Start, and wait until it answers; it is empty then."""
        server = shutil.which("redis-server")
        if server is None:
            pytest.skip("Redis is missing: apt-get install redis-server")
        options = [part for item in self._options.items() for part in (f"--{item[0]}", item[1])]
        with (self._directory / "redis-output").open("ab") as output:
            self._process = subprocess.Popen(
                [server, "--port", str(self.port), *options], stdout=output, stderr=output
            )
        wait_until(self._started)
        return self

    def _started(self) -> bool:
        assert self._process.poll() is None, (self._directory / "redis-output").read_text()
        return answers(self.port, b"PING\r\n")


class StartRedis(Protocol):
    """Starts a Redis server with options, given as in its file."""

    def __call__(self, **options: str) -> RedisServer:
        """Give a server that is ready."""
        ...
