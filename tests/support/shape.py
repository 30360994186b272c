"""The ways to run micropic, which are to behave the same."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.cluster import Cluster
from tests.support.service import Service, StartService

DEPLOYED_PORT = "TEST_DEPLOYED_PORT"
"""Names the variable with the port of a service that runs already (scripts/compose_check)."""
SHAPES = ["deployed"] if DEPLOYED_PORT in os.environ else ["embedded", "distributed"]


class Deployed(Service):
    """A service that somebody else has started on this machine; all it does here is to answer."""

    def __init__(self, port: int) -> None:
        super().__init__(Path())
        self.port = port


@dataclass(frozen=True)
class Shape:
    """One way to run micropic: how to get a shared service, and one with settings."""

    shared: Callable[[], Service]
    start: StartService


def running(request: pytest.FixtureRequest, directory: Path, **settings: str) -> Iterator[Service]:
    """Run a service of the shape that a fixture's parameter names, for as long as that lives."""
    if request.param == "embedded":
        service = Service(directory, **settings)
    else:
        service = Cluster(directory, request.getfixturevalue("rabbitmq"), workers=2, **settings)
    try:
        yield service.start()
    finally:
        service.close()
