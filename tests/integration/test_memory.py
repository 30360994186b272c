"""What was refused leaves nothing in memory, however large it was."""

from __future__ import annotations

import pytest

from benchmarks.footprint import of_process
from tests.support.cluster import StartCluster
from tests.support.origin import Origin, Reply
from tests.support.pictures import photo
from tests.support.service import Service, StartService

pytestmark = pytest.mark.slow

LARGE = 16 * 1024**2
TIMES = 10
ROOM = TIMES / 2 * LARGE
"""Allocators keep some of what was freed."""
REFUSED = {
    "too large": Reply(bytes(33 * 1024**2), chunked=True),
    "cut off": Reply(bytes(LARGE), cut_after=LARGE - 1),
    "no picture": Reply(bytes(LARGE)),
    "broken": Reply(photo(form="PNG")[:2000] + bytes(LARGE)),
}


def resident(services: list[Service]) -> int:
    """Give the bytes that all of them take."""
    return sum(of_process(service.pid).rss for service in services)


def grown(asked: Service, services: list[Service], origin: Origin, reply: Reply) -> int:
    """Ask for ten sources that are refused; give by how much memory grew after the first."""
    first, *others = [origin.on(f"/{number}", reply) for number in range(TIMES + 1)]
    assert asked.get(f"/fill/60/40/{first}").status in {413, 415, 422, 502}
    before = resident(services)
    for source in others:
        assert asked.get(f"/fill/60/40/{source}").status in {413, 415, 422, 502}
    return resident(services) - before


@pytest.mark.parametrize("reply", REFUSED.values(), ids=REFUSED)
def test_a_service_forgets_what_it_refused(
    start_service: StartService, origin: Origin, reply: Reply
) -> None:
    service = start_service()
    assert grown(service, [service], origin, reply) < ROOM


@pytest.mark.parametrize("kind", ["too large", "cut off"])
def test_a_worker_forgets_what_it_refused(
    start_cluster: StartCluster, origin: Origin, kind: str
) -> None:
    cluster = start_cluster()
    services = [cluster, *cluster.workers, cluster.shared_cache]
    assert grown(cluster, services, origin, REFUSED[kind]) < ROOM
