"""What the logs of all processes tell of a request, and what they do not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from micropic.domain import signing
from tests.support.cluster import Cluster, Proxy, StartCluster
from tests.support.origin import Origin, Reply
from tests.support.pictures import photo
from tests.support.rabbitmq import RabbitMQ
from tests.support.service import Service
from tests.support.shape import Shape
from tests.support.waiting import wait_until


def processes(service: Service) -> list[Service]:
    """Give all processes of a shape."""
    if isinstance(service, Cluster):
        return [service, *service.workers, service.shared_cache]
    return [service]


def requests(process: Service) -> list[dict[str, Any]]:
    return process.events("request")


def test_the_id_of_a_request_is_in_the_log_of_whoever_had_to_do_with_it(
    start_cluster: StartCluster, origin: Origin
) -> None:
    cluster = start_cluster()
    target = f"/fill/40/30/{origin.on('/a', Reply(photo()))}"
    answer = cluster.get(target, {"X-Request-Id": "owl-1"})
    assert answer.headers["X-Request-Id"] == "owl-1"
    for process in (cluster, *cluster.workers):
        (line,) = wait_until(lambda: requests(process))  # noqa: B023 # asked at once
        assert line["request_id"] == "owl-1"
    broken = cluster.get(f"/fill/40/30/{origin.on('/b', Reply(b'no picture'))}")
    of_proxy = wait_until(lambda: requests(cluster)[1:])[0]
    assert broken.problem["request_id"] == of_proxy["request_id"]
    line = wait_until(lambda: requests(cluster.workers[0])[1:])[0]
    assert (line["outcome"], line["request_id"]) == ("not_an_image", broken.problem["request_id"])


def test_nothing_secret_is_in_any_log(shape: Shape, origin: Origin) -> None:
    key = "key-of-the-service-SECRET"
    service = shape.start(
        PROXY_KEYS=key, PROXY_PURGE_TOKEN="token-SECRET", SOURCE_CREDENTIAL_HOSTS="*"
    )
    source = origin.on("/a", Reply(photo())) + "?token=SECRET&b=SECRET"
    failing = origin.on("/fails", Reply(status=500)) + "?SECRET"
    encoded = source.replace(":", "%3A").replace("/", "%2F").replace("?", "%3F").replace("=", "%3D")
    private = {"Authorization": "Bearer SECRET", "Cookie": "session=SECRET"}
    for target, fields in [
        (f"/fill/40/30/{source}", {}),
        (f"/fill/40/30/{source}", private),
        (f"/fill/40/30/{encoded}", {}),
        (f"/fill/40/30/{failing}", private),
        (f"/fill/40/30/user:SECRET@{source}", {}),
    ]:
        service.get(signing.sign(target, key), fields)
    signature = signing.signature(b"/fit/40/30/sample:cat.jpg", key)
    service.get(f"/{signature}/fit/40/30/sample:owl.jpg")
    purge = {"Authorization": "Bearer token-SECRET"}
    service.get(signing.sign(f"/fill/40/30/{source}", key), purge, "DELETE")
    wait_until(lambda: len(requests(service)) == 7)
    assert [line["status"] for line in requests(service)] == [200, 200, 200, 502, 400, 403, 200]
    for process in processes(service):
        told = str(process.log) + process.output
        assert "SECRET" not in told
        assert signature not in told
    assert requests(service)[0]["path"] == f"/fill/40/30/{origin.authority}/a?token=***&b=***"


def test_queries_are_in_the_log_where_that_is_wanted(shape: Shape, origin: Origin) -> None:
    service = shape.start(LOG_QUERIES="on")
    target = f"/fill/40/30/{origin.on('/a', Reply(photo()))}?b=1"
    assert service.get(target).status == 200
    assert wait_until(lambda: requests(service))[0]["path"] == target


def test_a_broker_that_refuses_the_password_is_logged_without_it(
    tmp_path: Path, rabbitmq: RabbitMQ
) -> None:
    proxy = Proxy(tmp_path, **rabbitmq.settings, AMQP_PASSWORD="SECRET")
    try:
        proxy.begin()
        assert wait_until(lambda: proxy.events("broker_unreachable"))
        assert "SECRET" not in str(proxy.log) + proxy.output
    finally:
        proxy.close()
