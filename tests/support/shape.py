"""The ways to run micropic, which are to behave the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.support.service import Service, StartService


@dataclass(frozen=True)
class Shape:
    """One way to run micropic: how to get a shared service, and one with settings."""

    shared: Callable[[], Service]
    start: StartService
