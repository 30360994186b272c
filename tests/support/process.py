"""A server that a test runs as a process of its own."""

from __future__ import annotations

import signal

from tests.support.launcher import Process


class OwnProcess:
    """What may become of such a process while it runs."""

    _process: Process

    def kill(self) -> None:
        """End it without a warning."""
        self._process.kill()
        self._process.wait(30)

    def pause(self) -> None:
        """Let it do nothing, as a machine that hangs."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._process.send_signal(signal.SIGCONT)
