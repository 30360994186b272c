"""What Prometheus reads of a service."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from tests.support.client import ask
from tests.support.service import Service

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


class Scrape:
    """All samples of one scrape."""

    def __init__(self, service: Service, accept: str = "") -> None:
        answer = ask(service.health_port, "/metrics", {"Accept": accept} if accept else {})
        assert answer.status == 200
        self.media_type: str = answer.headers["Content-Type"]
        text = answer.body.decode()
        parse = text_string_to_metric_families
        if self.media_type.startswith("application/openmetrics-text"):
            parse = openmetrics.text_string_to_metric_families
        self.families = {family.name: family for family in parse(text)}

    def samples(self) -> Iterator[Sample]:
        """Give each of them."""
        for family in self.families.values():
            yield from family.samples

    def value(self, name: str, **labels: str) -> float:
        """Give the sum of those with this name and these labels; 0 where there is none."""
        return sum(
            sample.value
            for sample in self.samples()
            if sample.name == name and labels.items() <= sample.labels.items()
        )
