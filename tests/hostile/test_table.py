"""The table of bad origins, in both shapes: each client is told what stands there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.hostile import table
from tests.hostile.table import ROWS
from tests.support.service import Service
from tests.support.shape import running
from tests.support.waiting import wait_until


class Run(NamedTuple):
    service: Service
    renderers: int
    """How many render processes there were before."""
    told: dict[str, str]


@pytest.fixture(scope="module", params=["embedded", "distributed"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Run the whole table once, many rows at a time."""
    with table.names() as names:
        settings = {**table.SETTINGS, "SOURCE_NAMESERVERS": names.authority}
        for service in running(request, tmp_path_factory.mktemp("table"), **settings):
            renderers = len(service.renderers())
            yield Run(service, renderers, table.run(service))


@pytest.mark.parametrize("name", ROWS)
def test_a_client_is_told_what_an_origin_did(run: Run, name: str) -> None:
    assert run.told[name] == ROWS[name].expected


def test_nothing_of_it_is_a_defect_or_stays(run: Run) -> None:
    """No trace in the log, no render process more or fewer, and the next client is served."""
    assert run.service.get("/fill/30/20/sample:cat.jpg").picture.size == (30, 20)
    assert run.service.events("defect") == []
    wait_until(lambda: len(run.service.renderers()) == run.renderers)
