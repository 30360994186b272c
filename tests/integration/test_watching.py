"""The dashboard and the alerts ask for what the processes really tell."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from micropic.services.metrics import DECLARED
from tests.support.cluster import StartCluster
from tests.support.origin import Origin, Reply
from tests.support.pictures import photo
from tests.support.scrape import Scrape
from tests.support.service import StartService
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[2]
OF_PROMETHEUS = {"job", "instance"}
"""Labels that it adds to whatever it scrapes."""


def dashboard() -> Iterator[str]:
    board = json.loads((ROOT / "deploy/grafana/micropic.json").read_text())
    for panel in board["panels"]:
        yield from (target["expr"] for target in panel.get("targets", []))
    yield from (v["query"]["query"] for v in board["templating"]["list"] if v["type"] == "query")


def alerts() -> Iterator[str]:
    rules = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yaml").read_text())
    for group in rules["groups"]:
        yield from (rule["expr"] for rule in group["rules"])


def asked_for() -> dict[str, set[str]]:
    """Give the metrics of all expressions, each with the labels that it is chosen by."""
    asked: defaultdict[str, set[str]] = defaultdict(set)
    for expression in [*dashboard(), *alerts()]:
        for name, chosen in re.findall(r"((?:micropic|process)_\w+)(?:\{([^}]*)\})?", expression):
            asked[name] |= set(re.findall(r"(\w+)\s*[=!]~?\"", chosen))
    return asked


@pytest.fixture
def told(
    start_service: StartService, start_cluster: StartCluster, origin: Origin
) -> dict[str, set[str]]:
    """Give the samples of all processes of both shapes, each with its labels."""
    embedded, cluster = start_service(), start_cluster()
    for path, reply in {"/a": Reply(photo()), "/b": Reply(status=500)}.items():
        source = origin.on(path, reply)
        for service in (embedded, cluster):
            service.get(f"/fill/40/30/{source}")
    (worker,) = cluster.workers
    wait_until(lambda: len(worker.events("request")) == 2)
    samples: defaultdict[str, set[str]] = defaultdict(set)
    for process in (embedded, cluster, worker, cluster.shared_cache):
        for sample in Scrape(process).samples():
            samples[sample.name] |= sample.labels.keys()
    return samples


def test_what_is_asked_for_is_told(told: dict[str, set[str]]) -> None:
    asked = asked_for()
    assert len(asked) > 20
    assert asked.keys() <= told.keys()
    for name, labels in asked.items():
        assert labels <= told[name] | OF_PROMETHEUS, name


def test_all_that_is_declared_is_told_and_looked_at(told: dict[str, set[str]]) -> None:
    declared = {metric.name for metric in DECLARED}
    assert {_family(name) for name in told if name.startswith("micropic_")} == declared
    assert {_family(name) for name in asked_for()} >= declared


def _family(sample: str) -> str:
    return re.sub(r"_(bucket|count|sum)$", "", sample)
