"""A RabbitMQ server of the tests' own, from the Debian package; nothing of it is shared."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Self

import pytest

from tests.support.ports import answers, free_ports
from tests.support.waiting import wait_until

SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
"""What the Debian package's wrapper starts, which would change to another user first."""
_START_TIMEOUT = 90.0
_STOP_TIMEOUT = 60.0


class RabbitMQ:
    """A broker on loopback."""

    def __init__(self, port: int) -> None:
        self.port = port

    @property
    def settings(self) -> dict[str, str]:
        """How a service finds it."""
        return {"AMQP_HOST": "127.0.0.1", "AMQP_PORT": str(self.port)}


class RabbitMQServer(RabbitMQ):
    """One node on loopback, with a port mapper, a database and a name of its own."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        port, self._distribution, self._mapper = free_ports(3)
        super().__init__(port)
        self._node: subprocess.Popen[bytes] | None = None
        # The node would start this itself, and leave it behind.
        self._epmd: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> dict[str, int]:
        """How other processes find it."""
        return {"port": self.port}

    def start(self) -> Self:
        """Start, and wait until it takes connections; what it kept is there again."""
        if not SERVER.exists():
            pytest.skip("RabbitMQ is missing: apt-get install rabbitmq-server")
        self._write_configuration()
        if self._epmd is None:
            self._epmd = self._run(shutil.which("epmd") or "epmd", "-port", str(self._mapper))
            wait_until(lambda: answers(self._mapper))
        self._node = self._run(str(SERVER))
        wait_until(self._started, _START_TIMEOUT)
        return self

    def stop(self) -> None:
        """Stop as an operator does."""
        if self._node is not None:
            _end(self._node)
            self._node = None

    def close(self) -> None:
        """Let nothing of it outlive the tests."""
        self.stop()
        if self._epmd is not None:
            _end(self._epmd)

    def _started(self) -> bool:
        assert self._node is not None
        assert self._node.poll() is None, (self._directory / "output").read_text()
        return answers(self.port, b"AMQP\x00\x00\x09\x01")

    def _run(self, *command: str) -> subprocess.Popen[bytes]:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self._directory),  # for the cookie
            "LANG": "C.UTF-8",
            "ERL_EPMD_PORT": str(self._mapper),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"micropic-{self.port}@localhost",
            "RABBITMQ_CONFIG_FILE": str(self._directory / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self._directory / "plugins"),
            "RABBITMQ_MNESIA_BASE": str(self._directory / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self._directory),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_PID_FILE": str(self._directory / "pid"),
            "RABBITMQ_DIST_PORT": str(self._distribution),
            "RABBITMQSERVER_ADDITIONAL_ERL_ARGS": (
                "-kernel inet_dist_use_interface {127,0,0,1} +S 2:2 +sbwt none"
            ),
        }
        with (self._directory / "output").open("ab") as output:
            return subprocess.Popen(
                command, env=environment, stdout=output, stderr=output, start_new_session=True
            )

    def _write_configuration(self) -> None:
        (self._directory / "plugins").write_text("[].\n")
        (self._directory / "rabbitmq.conf").write_text(
            f"listeners.tcp.default = 127.0.0.1:{self.port}\n"
            "log.console.level = warning\n"
            "disk_free_limit.absolute = 50MB\n"
        )


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise
