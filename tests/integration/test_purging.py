from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.support.client import Answer
from tests.support.cluster import Cluster, StartCluster
from tests.support.command_line import invoke
from tests.support.origin import Origin, Reply
from tests.support.pictures import photo
from tests.support.service import Service, StartService
from tests.support.shape import running
from tests.support.waiting import wait_until

TOKEN = "let-me-purge"  # for the test alone
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module", params=["embedded", "distributed"])
def service(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    yield from running(request, tmp_path_factory.mktemp("purging"), PROXY_PURGE_TOKEN=TOKEN)


def pictures(service: Service, origin: Origin, *names: str) -> list[str]:
    """Have previews of some pictures kept; give their paths."""
    paths = [
        f"/fill/{size}/{origin.on(name, Reply(photo()))}"
        for name in names
        for size in ("30/20", "40/20")
    ]
    for path in paths:
        assert service.get(path).status == 200
        assert service.get(path).cache_status == "micropic; hit"
    return paths


def results(service: Service, paths: list[str]) -> list[str]:
    return [service.get(path).headers["Test-PreviewLocation"] for path in paths]


def purged(answer: Answer) -> int:
    assert answer.status == 200, answer.body
    count: int = json.loads(answer.body)["purged"]
    return count


def test_delete_forgets_the_source_and_all_that_was_made_of_it(
    service: Service, origin: Origin
) -> None:
    paths = pictures(service, origin, "/a", "/b")
    assert purged(service.get(paths[0], BEARER, "DELETE")) >= 3
    assert results(service, paths) == ["previewer", "previewer", "cache", "cache"]
    assert origin.counts == {"/a": 2, "/b": 1}


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer x"}, {"Authorization": TOKEN}])
def test_who_does_not_know_the_token_may_not(
    service: Service, origin: Origin, headers: dict[str, str]
) -> None:
    paths = pictures(service, origin, "/a")
    assert service.get(paths[0], headers, "DELETE").error == (403, "not_authorized")
    assert service.get("/purge", headers, "POST").error == (403, "not_authorized")
    assert results(service, paths) == ["cache", "cache"]


@pytest.mark.parametrize(
    "body", [b"", b"x", b"[]", b"{}", b'{"all": 1}', b'{"sources": "h/a"}', b'{"source": ["h/a"]}',
             b'{"prefixes": [""]}', b'{"sources": [null]}'],
)  # fmt: skip
def test_what_is_not_understood_purges_nothing(
    service: Service, origin: Origin, body: bytes
) -> None:
    paths = pictures(service, origin, "/a")
    assert service.get("/purge", BEARER, "POST", body=body).error == (400, "bad_request")
    assert results(service, paths) == ["cache", "cache"]


def test_the_command_line_purges_by_source_by_prefix_and_all(
    service: Service, origin: Origin
) -> None:
    at = ["--at", f"http://127.0.0.1:{service.port}"]
    for chosen, gone in (
        ([f"{origin.authority}/a"], 2),
        (["--prefix", f"http://{origin.authority}/b"], 4),
        (["--all"], 6),
    ):
        paths = pictures(service, origin, "/a", "/b", "/b/c")
        told = invoke("purge", *chosen, *at, PROXY_PURGE_TOKEN=TOKEN)
        assert told.returncode == 0, told.stderr
        assert told.stdout.endswith(" entries purged\n")
        assert results(service, paths).count("previewer") == gone


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "Say what to purge"),
        (["http://h/a"], "needs the token"),
        (["--token", TOKEN, "ftp://h/a"], "not 'ftp'"),
        (["--token", TOKEN, "--at", "http://127.0.0.1:1", "h/a"], "127.0.0.1:1"),
    ],
)
def test_the_command_line_says_in_a_line_why_not(
    service: Service, arguments: list[str], reason: str
) -> None:
    at = [] if "--at" in arguments else ["--at", f"http://127.0.0.1:{service.port}"]
    told = invoke("purge", *arguments, *at)
    assert told.returncode == 1
    assert reason in told.stderr
    assert told.stderr.count("\n") == 1


def test_every_proxy_hears_of_it(start_cluster: StartCluster, origin: Origin) -> None:
    cluster = start_cluster(PROXY_PURGE_TOKEN=TOKEN)
    second = cluster.add_proxy()
    paths = pictures(cluster, origin, "/a")
    assert pictures(second, origin, "/a") == paths
    assert purged(cluster.get(paths[0], BEARER, "DELETE")) == 3
    wait_until(lambda: second.get(paths[0]).headers["Test-PreviewLocation"] == "previewer")


def test_without_a_token_there_is_no_purging(start_service: StartService, origin: Origin) -> None:
    service = start_service()
    path = f"/fill/30/20/{origin.on('/a', Reply(photo()))}"
    assert service.get(path, BEARER, "DELETE").status == 405
    assert service.get("/purge", BEARER, "POST").status == 404


def test_the_command_line_tells_how_full_the_cache_is(service: Service, origin: Origin) -> None:
    service.get("/purge", BEARER, "POST", body=b'{"all": true}')
    pictures(service, origin, "/a")
    holder = service.shared_cache if isinstance(service, Cluster) else service
    at = f"http://127.0.0.1:{holder.health_port}"
    told = invoke("cache", "stats", "--json", "--at", at)
    assert told.returncode == 0, told.stderr
    levels = json.loads(told.stdout)
    assert (levels["previews"]["entries"], levels["sources"]["entries"]) == (2, 1)
    lines = invoke("cache", "stats", "--at", at).stdout.splitlines()
    assert [line.split(",")[0] for line in lines] == ["previews: 2 entries", "sources: 1 entries"]
