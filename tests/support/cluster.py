"""The distributed shape as its operators start it: a proxy, workers, RabbitMQ, a shared cache."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Protocol, Self

from tests.support.rabbitmq import RabbitMQ
from tests.support.service import Service
from tests.support.shared_cache import SharedCache

_numbers = itertools.count()
_RUN = os.getpid()
"""Other test processes may use the same broker."""


class Proxy(Service):
    """`micropic proxy`."""

    command = "proxy"


class Worker(Service):
    """`micropic previewer`."""

    command = "previewer"


class Cluster(Proxy):
    """A proxy, which is asked, and its workers; they have a queue of their own."""

    def __init__(
        self, directory: Path, rabbitmq: RabbitMQ, workers: int = 1, **settings: str
    ) -> None:
        number = next(_numbers)
        self._settings = {
            **rabbitmq.settings,
            "AMQP_QUEUE": f"micropic.test.{_RUN}.{number}",
            **settings,
        }
        self._directory = directory / f"cluster-{number}"
        self.shared_cache = SharedCache(_made(self._directory / "cache"))
        super().__init__(_made(self._directory / "proxy"), **self._settings)
        self.proxies: list[Proxy] = []
        """Those beside this one."""
        self.workers = [self._worker() for _ in range(workers)]

    def start(self) -> Self:
        """Start all, and wait until they are ready."""
        self._settings["GRPC_PORT"] = str(self.shared_cache.start().port)
        self._settings["GRPC_HOST"] = "127.0.0.1"
        members: list[Service] = [self, *self.workers]
        for member in members:
            member.settings.update(self._settings)
        for worker in self.workers:
            worker.start()
        return super().start()

    def start_proxy(self) -> Self:
        """Start the proxy alone, once it was stopped."""
        return super().start()

    def add_worker(self) -> Worker:
        """Start one more worker."""
        worker = self._worker()
        self.workers.append(worker)
        return worker.start()

    def add_proxy(self) -> Proxy:
        """Start one more proxy."""
        proxy = Proxy(_made(self._directory / f"proxy-{len(self.proxies)}"), **self._settings)
        self.proxies.append(proxy)
        return proxy.start()

    def close(self) -> None:
        """Let nothing of it outlive the test."""
        super().close()
        for member in [*self.proxies, *self.workers]:
            member.close()
        self.shared_cache.close()

    def _worker(self) -> Worker:
        number = len(list(self._directory.iterdir()))
        return Worker(_made(self._directory / f"worker-{number}"), **self._settings)


class StartCluster(Protocol):
    """Starts a cluster with settings, given as in the environment."""

    def __call__(self, workers: int = 1, **settings: str) -> Cluster:
        """Give a cluster that is ready."""
        ...


def _made(directory: Path) -> Path:
    directory.mkdir(parents=True)
    return directory
