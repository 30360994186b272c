"""The distributed shape under faults: real processes, a real RabbitMQ, no wrong answer."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable

from tests.support.client import Answer, ask
from tests.support.cluster import Cluster, StartCluster
from tests.support.origin import Origin, Reply
from tests.support.pictures import photo
from tests.support.waiting import wait_until


def ready(cluster: Cluster) -> dict[str, object]:
    """Give what the proxy says of itself on its health port."""
    answer: dict[str, object] = json.loads(ask(cluster.health_port, "/readyz").body)
    return answer


def sides(answers: list[Answer]) -> list[tuple[int, int]]:
    return [answer.picture.size for answer in answers]


def test_equal_requests_are_one_fetch_and_the_cache_outlives_the_proxy(
    start_cluster: StartCluster, origin: Origin
) -> None:
    cluster = start_cluster(workers=2)
    target = f"/fill/40/30/{origin.on('/a', Reply(photo()))}"
    with cluster.crowd(20) as crowd:
        answers = [crowd.ask(target) for _ in range(40)]
    assert {answer.result().body for answer in answers} == {answers[0].result().body}
    assert origin.targets == ["/a"]
    assert cluster.stop() == 0
    cluster.start_proxy()
    again = cluster.get(target)
    assert (again.cache_status, again.body) == ("micropic; hit", answers[0].result().body)
    assert origin.targets == ["/a"]


def check_that_all_are_answered_while(
    happens: Callable[[Cluster], None], start_cluster: StartCluster, origin: Origin
) -> None:
    cluster = start_cluster(workers=2, PROXY_TIMEOUT="20", SOURCE_TIMEOUT="20")
    source = origin.on("/a", Reply(photo()))
    sizes = range(20, 120)
    with cluster.crowd(30) as crowd:
        asked = [crowd.ask(f"/fill/{side}/{side}/{source}") for side in sizes]
        wait_until(lambda: any(one.done() for one in asked))
        happens(cluster)
    assert sides([one.result() for one in asked]) == [(side, side) for side in sizes]


def test_a_worker_that_is_killed_costs_no_request(
    start_cluster: StartCluster, origin: Origin
) -> None:
    check_that_all_are_answered_while(
        lambda cluster: cluster.workers[0].kill(), start_cluster, origin
    )


def test_a_worker_that_stops_finishes_what_it_has(
    start_cluster: StartCluster, origin: Origin
) -> None:
    def stops(cluster: Cluster) -> None:
        assert cluster.workers[0].stop() == 0

    check_that_all_are_answered_while(stops, start_cluster, origin)


def test_without_the_shared_cache_it_is_degraded_and_answers(
    start_cluster: StartCluster, origin: Origin
) -> None:
    cluster = start_cluster()
    assert ready(cluster) == {"status": "ready"}
    cluster.shared_cache.kill()
    source = origin.on("/a", Reply(photo()))

    def degraded() -> bool:
        number = len(origin.targets)
        assert cluster.get(f"/fill/40/30/{source}?{number}").status == 200
        return ready(cluster)["status"] == "degraded"

    wait_until(degraded)
    cluster.shared_cache.start()
    wait_until(lambda: not degraded())


def test_without_workers_the_cache_goes_on_and_the_rest_is_in_time_a_504(
    start_cluster: StartCluster, origin: Origin
) -> None:
    cluster = start_cluster(PROXY_TIMEOUT="2")
    target = f"/fill/40/30/{origin.on('/a', Reply(photo()))}"
    assert cluster.get(target).status == 200
    cluster.workers[0].kill()
    assert cluster.get(target).cache_status == "micropic; hit"
    assert cluster.get(f"/fill/41/30/{origin.authority}/a").error == (504, "timeout")
    cluster.add_worker()
    assert cluster.get(f"/fill/42/30/{origin.authority}/a").status == 200


def test_a_hung_worker_holds_up_only_what_it_has(
    start_cluster: StartCluster, origin: Origin
) -> None:
    cluster = start_cluster(workers=2, PROXY_TIMEOUT="3")
    source = origin.on("/a", Reply(photo()))
    os.kill(cluster.workers[0].pid, signal.SIGSTOP)
    sizes = range(20, 60)
    with cluster.crowd(20) as crowd:
        asked = [crowd.ask(f"/fill/{side}/{side}/{source}") for side in sizes]
    os.kill(cluster.workers[0].pid, signal.SIGCONT)
    answers = [one.result() for one in asked]
    assert {answer.status for answer in answers} <= {200, 504}
    assert sum(answer.status == 200 for answer in answers) >= len(sizes) // 2
    for side, answer in zip(sizes, answers, strict=True):
        assert answer.status == 504 or answer.picture.size == (side, side)
