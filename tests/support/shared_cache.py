"""The shared cache as its operators start it: a process of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, Self

from micropic.adapters.grpc_cache import GrpcCache
from tests.support.service import Service


class SharedCache(Service):
    """`micropic cache` on a free port, which it keeps when it is started again."""

    command = "cache"

    def __init__(self, directory: Path, **settings: str) -> None:
        super().__init__(directory, **{"GRPC_HOST": "127.0.0.1", "GRPC_PORT": "0"} | settings)

    def start(self) -> Self:
        """Start, and wait until it is ready."""
        super().start()
        self.settings["GRPC_PORT"] = str(self.port)
        return self

    def client(self, timeout: float = 10.0) -> GrpcCache:
        """Give a client; a `get` may take `timeout` seconds."""
        return GrpcCache("127.0.0.1", self.port, timeout)


class StartSharedCache(Protocol):
    """Starts a shared cache with settings, given as in the environment."""

    def __call__(self, **settings: str) -> SharedCache:
        """Give a cache that is ready."""
        ...
