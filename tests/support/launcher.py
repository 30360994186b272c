"""Starts services by fork, from a process that has imported them.

A service that is started by exec takes half a second of CPU for its imports alone, and the tests
start hundreds. What it does from then on is the same: `micropic.cli.main` with arguments and an
environment of its own. Render processes are started by exec, as ever.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import json
import os
import select
import selectors
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

_READ_AT_IMPORT = ("COVERAGE_", "GRPC_", "OTEL_", "PYTHON", "SSL_", "TMPDIR")
"""Variables, by the beginnings of their names, that a service which is forked would not heed."""
_LONGEST = 256 * 1024
"""Bytes of a message."""


class Process(Protocol):
    """What tests use of `subprocess.Popen`."""

    @property
    def pid(self) -> int:
        """Its id."""
        ...

    def poll(self) -> int | None:
        """Return the exit code, or None while it runs."""
        ...

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code once it has ended."""
        ...

    def send_signal(self, sig: int) -> None:
        """Send a signal, unless it has ended."""
        ...

    def terminate(self) -> None:
        """Send SIGTERM."""
        ...

    def kill(self) -> None:
        """Send SIGKILL."""
        ...


def start(command: str, settings: Mapping[str, str], output: Path) -> Process:
    """Start `micropic` with a command and settings; what it prints goes to `output`."""
    environ = {**os.environ, **settings}
    request = {"command": command, "environ": environ, "output": str(output)}
    if _read_at_import(environ) == _AT_IMPORT and "COVERAGE_PROCESS_CONFIG" not in environ:
        # Else we are in a network namespace that the launcher is not in.
        with contextlib.suppress(ConnectionRefusedError):
            return _Forked(_launcher(), json.dumps(request).encode())
    with output.open("wb") as file:
        return subprocess.Popen(
            [sys.executable, "-m", "micropic", command], env=environ, stdout=file, stderr=file
        )


def _read_at_import(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: environ[name] for name in environ if name.startswith(_READ_AT_IMPORT)}


_AT_IMPORT = _read_at_import(os.environ)


class _Forked:
    """A service that the launcher has forked; the launcher says how it ended."""

    def __init__(self, launcher: str, request: bytes) -> None:
        self._connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._code: int | None = None
        self._connection.connect(launcher)
        self._connection.send(request)
        self.pid = int(self._connection.recv(_LONGEST))

    def __del__(self) -> None:
        self._connection.close()  # no test has waited for it

    def poll(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self._code

    def wait(self, timeout: float | None = None) -> int:
        if self._code is None:
            ready, _, _ = select.select([self._connection], [], [], timeout)
            if not ready:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
            self._code = int(self._connection.recv(_LONGEST))
            self._connection.close()
        return self._code

    def send_signal(self, sig: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, sig)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


@functools.cache
def _launcher() -> str:
    """Start the launcher, once in each test process; return its address, an abstract one."""
    name = f"micropic-tests-{os.getpid()}"
    process = subprocess.Popen(
        [sys.executable, "-m", __name__, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin
    assert process.stdout
    process.stdout.readline()  # it listens
    process.stdout.close()
    atexit.register(process.wait)
    atexit.register(process.stdin.close)  # by which it ends; before the other, since last
    return f"\0{name}"


def _serve(address: str) -> dict[str, Any] | None:
    """Fork a service for each request; return its request in the service, None in the launcher."""
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening,
        selectors.DefaultSelector() as selector,
    ):
        listening.bind(address)
        listening.listen()
        selector.register(listening, selectors.EVENT_READ)
        selector.register(sys.stdin, selectors.EVENT_READ)
        print("listens", flush=True)  # noqa: T201 # to who started it
        while True:
            for key, _ in selector.select():
                if key.fileobj is sys.stdin:
                    return None
                if key.fileobj is not listening:
                    _report_end(selector, key)
                    continue
                connection, _ = listening.accept()
                request: dict[str, Any] = json.loads(connection.recv(_LONGEST))
                if not (pid := os.fork()):
                    for open_one in selector.get_map().values():
                        if open_one.data:
                            os.close(open_one.fd)
                            open_one.data[1].close()
                    connection.close()
                    return request
                connection.send(str(pid).encode())
                ended = os.pidfd_open(pid)
                selector.register(ended, selectors.EVENT_READ, (pid, connection))


def _report_end(selector: selectors.BaseSelector, key: selectors.SelectorKey) -> None:
    pid, connection = key.data
    selector.unregister(key.fileobj)
    os.close(key.fd)
    _, status = os.waitpid(pid, 0)
    with contextlib.suppress(OSError), connection:  # the test process may have ended
        connection.send(str(os.waitstatus_to_exitcode(status)).encode())


def main() -> None:
    """Run the launcher, and in each process that it forks a service."""
    import micropic.cli.serve  # noqa: PLC0415
    import micropic.wiring.distributed  # noqa: PLC0415

    gc.collect()
    gc.freeze()  # else each service would copy the pages of what it collects
    request = _serve(f"\0{sys.argv[1]}")
    if request is None:
        return
    output = os.open(request["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    for descriptor in (1, 2):
        os.dup2(output, descriptor)
    os.close(output)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ.clear()
    os.environ.update(request["environ"])
    sys.argv[1:] = [request["command"]]
    micropic.cli.main()


if __name__ == "__main__":
    main()
