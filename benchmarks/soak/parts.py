"""A part of the service, what may befall it, and what it complains of."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import time
from collections.abc import Callable

from tests.support.client import ask
from tests.support.service import Service
from tests.support.waiting import wait_until

_HUNG = 6.0
"""Seconds after which a process that hangs is taken to have nothing to do, and ended."""
_BRIEFLY = 1.0
_PATIENCE = 120.0
"""Seconds in which a part has to start, on a machine that may be busy with other things."""
_TOLD = {"aiormq.connection": "", "grpc._cython.cygrpc": "ExecuteBatchError"}
"""Loggers of libraries that call it an error that the broker, or a client, has gone, as it was made
to; and how these lines begin."""


class Part:
    """A service, started again and again; its first render process is never ended alone."""

    def __init__(
        self,
        name: str,
        service: Service,
        *,
        start: Callable[[], object] | None = None,
        links: int = 0,
    ) -> None:
        self.name = name
        self.service = service
        service.patience = _PATIENCE
        self._start = start or service.start
        self.links = links
        """Connections to and from the shared cache, which may be made only once it is ready."""
        self.places: dict[str, int] = {}
        """The processes to be judged now, by their place."""
        self.complaints: list[str] = []

    def watch(self) -> None:
        """Take note of the processes of a new life."""
        pids = [self.service.pid, *self.service.renderers()[:1]]
        self.places = dict(zip(("service", "render process"), pids, strict=False))

    def restart(self, *, kill: bool) -> None:
        """End it, as an operator does or without a warning, and start it again."""
        self.end(kill=kill)
        self._start()
        self.watch()

    def end(self, *, kill: bool = False) -> None:
        """End it, and note what it had to complain of."""
        self.places = {}
        if kill:
            self.service.kill()
        elif code := self.service.stop():
            self.complaints.append(f"{self.name} ended with {code}")
        self._listen()

    def is_ready(self) -> bool:
        """Tell whether it says that it lacks nothing."""
        answer = ask(self.service.health_port, "/readyz")
        return bool(json.loads(answer.body)["status"] == "ready")

    def end_a_renderer(self, chance: random.Random) -> None:
        """Kill a render process."""
        if others := self._expendable():
            with contextlib.suppress(ProcessLookupError):
                os.kill(chance.choice(others), signal.SIGKILL)

    def hang_a_renderer(self, chance: random.Random) -> None:
        """Stop a render process, until the service has found out or has no work for it."""
        if not (others := self._expendable()):
            return
        victim = chance.choice(others)
        os.kill(victim, signal.SIGSTOP)
        try:
            wait_until(lambda: victim not in self.service.renderers(), _HUNG)
        except AssertionError:
            os.kill(victim, signal.SIGKILL)

    def hang(self) -> None:
        """Stop it for a second, as a machine does that is short of time."""
        self.service.pause()
        try:
            wait_until(_passed(_BRIEFLY))
        finally:
            self.service.resume()

    def _expendable(self) -> list[int]:
        lasting = self.places.values()
        return [pid for pid in self.service.renderers() if pid not in lasting]

    def _listen(self) -> None:
        for line in self.service.log:
            told = _TOLD.get(line.get("logger", ""))
            expected = told is not None and line["event"].startswith(told)
            if line["level"] in {"error", "critical"} and not expected:
                self.complaints.append(f"{self.name} logged {line}")
        lines = self.service.output.splitlines()
        said = [line for line in lines if not line.startswith(("micropic ", "Try "))]
        if said:
            self.complaints.append(f"{self.name} said {said[-20:]}")


def _passed(seconds: float) -> Callable[[], bool]:
    until = time.monotonic() + seconds
    return lambda: time.monotonic() > until
