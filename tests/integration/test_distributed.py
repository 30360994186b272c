"""The distributed shape: what is shared, and what it does without."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable

import aio_pika

from tests.support.client import ask
from tests.support.cluster import Cluster, StartCluster
from tests.support.origin import Origin, Reply
from tests.support.pictures import photo
from tests.support.waiting import wait_until


def ready(cluster: Cluster) -> dict[str, object]:
    """Give what the proxy says of itself on its health port."""
    answer: dict[str, object] = json.loads(ask(cluster.health_port, "/readyz").body)
    return answer


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
    wait_until(lambda: ready(cluster)["status"] == "ready")  # without another request for it
    assert not degraded()


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


def test_through_many_proxies_and_workers_equal_requests_are_one_fetch(
    start_cluster: StartCluster, origin: Origin
) -> None:
    cluster = start_cluster(workers=2, PROXY_TIMEOUT="20", SOURCE_TIMEOUT="20")
    second = cluster.add_proxy()
    gate = origin.gate()
    target = f"/fill/40/30/{origin.on('/a', Reply(photo(), gate=gate))}"
    with cluster.crowd(50) as crowd, second.crowd(50) as other:
        asked = [one.ask(target) for _ in range(50) for one in (crowd, other)]
        wait_until(lambda: origin.requests)
        gate.open()
    assert len({one.result().body for one in asked}) == 1
    assert origin.targets == ["/a"]


def leave(cluster: Cluster, target: str, once: Callable[[], object]) -> None:
    """Ask, and hang up when something has come about."""
    with socket.create_connection(("127.0.0.1", cluster.port)) as connection:
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
        wait_until(once)


async def queued(cluster: Cluster) -> int:
    """Give how many requests no worker has taken yet."""
    port = int(cluster.settings["AMQP_PORT"])
    async with await aio_pika.connect(host="127.0.0.1", port=port) as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue(cluster.settings["AMQP_QUEUE"], passive=True)
        return queue.declaration_result.message_count or 0


def not_wanted(cluster: Cluster) -> int:
    outcomes = [line["outcome"] for line in cluster.workers[0].events("request")]
    return outcomes.count("not_wanted")


def test_what_nobody_waits_for_any_more_is_given_up_or_not_begun(
    start_cluster: StartCluster, origin: Origin
) -> None:
    cluster = start_cluster(AMQP_PREFETCH="1", PROXY_TIMEOUT="20", SOURCE_TIMEOUT="20")
    held = origin.on("/held", Reply(photo(), gate=origin.gate()))
    leave(cluster, f"/fill/30/20/{held}", lambda: origin.targets == ["/held"])
    wait_until(lambda: not_wanted(cluster) == 1)
    gate = origin.gate()
    first, second = (origin.on(path, Reply(photo(), gate=gate)) for path in ("/1", "/2"))
    with cluster.crowd(1) as crowd:
        waits = crowd.ask(f"/fill/30/20/{first}")
        wait_until(lambda: "/1" in origin.targets)
        leave(cluster, f"/fill/30/20/{second}", lambda: asyncio.run(queued(cluster)) == 1)
        wait_until(lambda: [line["status"] for line in cluster.events("request")].count(499) == 2)
        gate.open()
        assert waits.result().status == 200
    wait_until(lambda: not_wanted(cluster) == 2)
    assert origin.targets == ["/held", "/1"]


def test_a_full_queue_is_a_503_at_once(start_cluster: StartCluster, origin: Origin) -> None:
    """A quorum queue may take some more at the same moment, but none once it is known full."""
    cluster = start_cluster(AMQP_QUEUE_LENGTH="1", PROXY_TIMEOUT="30")
    cluster.workers[0].stop()
    source = origin.on("/a", Reply(photo()))
    with cluster.crowd(10) as crowd:
        waiting = [crowd.ask(f"/fill/{side}/30/{source}") for side in (20, 21)]
        wait_until(lambda: asyncio.run(queued(cluster)))
        refused = wait_until(
            lambda: [a for a in [cluster.get(f"/fill/30/30/{source}")] if a.status == 503]
        )
        cluster.add_worker()
        answers = [one.result() for one in waiting]
    assert refused[0].error == (503, "overloaded")
    assert refused[0].headers["Retry-After"] == "1"
    assert 200 in {answer.status for answer in answers}
