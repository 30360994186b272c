"""A short soak: both shapes under load and faults answer rightly and leave nothing behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.soak.shapes import Distributed, Embedded, Plan
from benchmarks.soak.soak import soak
from benchmarks.table import aligned

pytestmark = pytest.mark.slow

PLAN = Plan(
    seconds=8,
    settle=6,
    rate=15,
    render_kills=1,
    render_hangs=3,
    worker_kills=4,
    cache_hangs=5,
    broker_restarts=6,
)


def test_a_short_soak_finds_nothing_wrong(tmp_path: Path) -> None:
    done = soak([Embedded, Distributed], tmp_path, PLAN)
    table = aligned(("shape", "what", "found"), [check.cells()[:3] for check in done.failed])
    assert not done.failed, "\n".join([table, *done.examples])
