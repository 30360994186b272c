"""Faults of each part under 200 requests: none is answered wrongly.

A wrong answer is a broken body, another one's picture (each request asks for a size of its own),
a status that does not fit, or none within the time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import cycle

import pytest

from tests.support.client import Answer, ask
from tests.support.cluster import Cluster, StartCluster
from tests.support.origin import Origin, Reply
from tests.support.pictures import photo
from tests.support.rabbitmq import RabbitMQServer
from tests.support.service import Service
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

SIDES = range(20, 220)
AT_ONCE = 30
ROOMY = {"PROXY_TIMEOUT": "30", "SOURCE_TIMEOUT": "20", "PROXY_MAX_WAIT": "30"}
"""Settings under which nothing fails by its time, nor by the wait for it."""

Asked = dict[int, Future[Answer]]


@pytest.fixture
def source(origin: Origin) -> str:
    return origin.on("/a", Reply(photo()))


def under_requests(cluster: Cluster, source: str, fault: Callable[[], object]) -> list[Answer]:
    """Have a fault happen with 200 requests under way, give what they came to."""
    with cluster.crowd(AT_ONCE) as crowd:
        asked = {side: crowd.ask(f"/fill/{side}/{side}/{source}") for side in SIDES}
        wait_until(lambda: any(one.done() for one in asked.values()))
        fault()
        return answers(asked)


def answers(asked: Asked) -> list[Answer]:
    """Give all answers; each preview is the one that was asked for, whole."""
    for side, one in asked.items():
        assert one.result().status != 200 or one.result().picture.size == (side, side)
    return [one.result() for one in asked.values()]


def statuses(answers: list[Answer]) -> set[int]:
    return {answer.status for answer in answers}


def test_a_worker_that_is_killed_costs_no_request(start_cluster: StartCluster, source: str) -> None:
    cluster = start_cluster(workers=2, **ROOMY)
    assert statuses(under_requests(cluster, source, cluster.workers[0].kill)) == {200}


def test_a_worker_that_dies_while_it_fetches_for_all_keeps_nobody_waiting(
    start_cluster: StartCluster, origin: Origin
) -> None:
    """The lease on a source ends with its holder, not with its time."""
    gate = origin.gate()
    source = origin.on("/slow", Reply(photo(), gate=gate))
    cluster = start_cluster(workers=2, **ROOMY)
    with cluster.crowd(AT_ONCE) as crowd:
        asked = {side: crowd.ask(f"/fill/{side}/{side}/{source}") for side in SIDES}
        wait_until(lambda: origin.requests)
        for worker in list(cluster.workers):  # one of the two fetches
            worker.kill()
            cluster.add_worker()
        wait_until(lambda: len(origin.requests) > 1)
        gate.open()
        assert statuses(answers(asked)) == {200}


def test_the_cache_that_is_killed_and_comes_back_costs_no_request(
    start_cluster: StartCluster, source: str
) -> None:
    cluster = start_cluster(workers=2, **ROOMY)

    def dies_and_comes_back() -> None:
        cluster.shared_cache.kill()
        cluster.shared_cache.start()

    assert statuses(under_requests(cluster, source, dies_and_comes_back)) == {200}


def test_a_cache_that_hangs_costs_no_request(start_cluster: StartCluster, source: str) -> None:
    cluster = start_cluster(workers=2, PROXY_TIMEOUT="7")
    try:
        made = under_requests(cluster, source, cluster.shared_cache.pause)
    finally:
        cluster.shared_cache.resume()
    assert statuses(made) == {200}


def test_a_worker_that_hangs_costs_only_what_it_has(
    start_cluster: StartCluster, source: str
) -> None:
    cluster = start_cluster(workers=2, PROXY_TIMEOUT="3")
    try:
        made = under_requests(cluster, source, cluster.workers[0].pause)
    finally:
        cluster.workers[0].resume()
    assert statuses(made) <= {200, 504}
    assert sum(answer.status == 200 for answer in made) >= len(SIDES) // 2


@pytest.fixture
def own_rabbitmq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMQServer]:
    """Give a broker that the test may stop."""
    broker = RabbitMQServer(tmp_path_factory.mktemp("own-rabbitmq"))
    try:
        yield broker.start()
    finally:
        broker.close()


def test_a_broker_that_stops_and_comes_back_is_found_again(
    own_rabbitmq: RabbitMQServer, start_cluster: StartCluster, source: str
) -> None:
    settings = own_rabbitmq.settings | ROOMY
    cluster = start_cluster(workers=2, **settings)
    kept = f"/fill/300/300/{source}"
    assert cluster.get(kept).status == 200
    made = under_requests(cluster, source, own_rabbitmq.stop)
    assert statuses(made) <= {200, 503}
    assert {answer.headers["Retry-After"] for answer in made if answer.status == 503} == {"1"}
    assert cluster.get(kept).cache_status == "micropic; hit"
    assert cluster.get(f"/fill/301/300/{source}").error == (503, "overloaded")
    own_rabbitmq.start()
    wait_until(lambda: cluster.get(f"/fill/302/300/{source}").status == 200)
    assert statuses(under_requests(cluster, source, lambda: None)) == {200}


def test_a_request_that_kills_workers_is_a_422(start_cluster: StartCluster, origin: Origin) -> None:
    source = origin.on("/a", Reply(photo(), gate=origin.gate()))
    cluster = start_cluster(PROXY_TIMEOUT="60", SOURCE_TIMEOUT="60")
    worker = cluster.workers[0]
    with cluster.crowd(1) as crowd:
        asked = crowd.ask(f"/fill/30/20/{source}")
        for deaths in range(3):
            wait_until(partial(_asked_more_than, origin, deaths))
            worker.kill()
            if deaths < 2:
                worker.start()
        assert asked.result().error == (422, "render_crashed")


def _asked_more_than(origin: Origin, times: int) -> bool:
    return len(origin.requests) > times


def test_a_roll_of_the_workers_costs_no_request(start_cluster: StartCluster, source: str) -> None:
    cluster = start_cluster(workers=2, **ROOMY)

    def roll() -> None:
        for worker in list(cluster.workers):
            assert worker.stop() == 0
            worker.start()

    assert statuses(under_requests(cluster, source, roll)) == {200}


def test_a_roll_of_the_cache_costs_no_request(start_cluster: StartCluster, source: str) -> None:
    cluster = start_cluster(workers=2, **ROOMY)

    def roll() -> None:
        assert cluster.shared_cache.stop() == 0
        cluster.shared_cache.start()

    assert statuses(under_requests(cluster, source, roll)) == {200}


def test_a_roll_of_the_proxies_costs_nobody_who_tries_the_next_one(
    start_cluster: StartCluster, source: str
) -> None:
    cluster = start_cluster(workers=2, **ROOMY)
    proxies = [cluster, cluster.add_proxy()]

    def get(first: Service, second: Service, target: str) -> Answer:
        try:
            return ask(first.port, target)
        except ConnectionRefusedError:
            return ask(second.port, target)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        pairs = cycle([proxies, proxies[::-1]])
        asked = {
            side: pool.submit(get, first, second, f"/fill/{side}/{side}/{source}")
            for side, (first, second) in zip(SIDES, pairs, strict=False)
        }
        wait_until(lambda: any(one.done() for one in asked.values()))
        assert proxies[0].stop() == 0
        cluster.start_proxy()
        assert proxies[1].stop() == 0
        proxies[1].start()
        assert statuses(answers(asked)) == {200}
