"""A service with keys: what it tells, to whom, and what it lets go unsigned."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from micropic.client import Client
from micropic.domain.signing import sign
from tests.support.client import ask
from tests.support.origin import Origin, Reply
from tests.support.pictures import photo
from tests.support.service import Service, StartService
from tests.support.shape import running
from tests.support.waiting import wait_until

KEY, OLDER = "a key with UPPER and lower case", "the one of yesterday"  # for the test alone
BEARER = {"Authorization": "Bearer let-me-purge"}
SAMPLE = "/fill/30/20/sample:cat.jpg"


@pytest.fixture(scope="module", params=["embedded", "distributed"])
def service(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    settings = {"PROXY_KEYS": f"{KEY},{OLDER}", "PROXY_PURGE_TOKEN": "let-me-purge"}
    yield from running(request, tmp_path_factory.mktemp("signing"), **settings)


@pytest.mark.parametrize(
    "path", ["/fill/0/20/h", "/fill/30/20/q=0/h", "/fill/30/20/exp=1/h", "/fit/"]
)
def test_only_who_can_sign_is_told_what_is_wrong(service: Service, path: str) -> None:
    expired = "exp=" in path
    for unsigned in (path, sign(path, "a key that nobody knows")):
        assert service.get(unsigned).error == (403, "bad_signature")
        assert "expired" not in service.get(unsigned).problem["detail"]
    signed = service.get(sign(path, OLDER))
    assert signed.error == ((403, "bad_signature") if expired else (400, "bad_request"))
    assert ("expired" in signed.problem["detail"]) is expired


def test_a_signature_holds_for_its_path_and_query_alone(service: Service) -> None:
    signed = sign(f"{SAMPLE}?v=1", KEY)
    assert service.get(signed).status == service.get(signed, method="HEAD").status == 200
    for other in (
        signed.replace("30", "31"),
        signed.replace("v=1", "v=2"),
        signed.replace("?v=1", ""),
        signed.replace("cat", "c%61t"),
        f"{signed}&w",
    ):
        assert service.get(other).error == (403, "bad_signature")


def test_the_client_writes_what_the_service_takes(service: Service, origin: Origin) -> None:
    source = f"http://{origin.on('/an%20owl', Reply(photo()))}?a=1&b=%2F"
    url = Client(key=KEY).url_for(source, width=30, height=20, f="webp", exp=4_000_000_000)
    assert service.get(url).picture.size == (30, 20)
    assert origin.targets == ["/an%20owl?a=1&b=%2F"]


def test_health_and_the_page_are_not_signed(service: Service) -> None:
    for path in ("/", "/static/page.js", "/healthz", "/readyz"):
        assert service.get(path).status == 200
        assert service.get(sign(path, KEY)).status == 404


def test_a_purge_needs_its_token_and_no_signature(service: Service, origin: Origin) -> None:
    path = f"/fill/30/20/{origin.on('/a', Reply(photo()))}"
    for purged in (path, sign(path, KEY), sign(path, "a key that nobody knows")):
        assert service.get(sign(path, KEY)).status == 200
        assert service.get(purged, method="DELETE").error == (403, "not_authorized")
        assert json.loads(service.get(purged, BEARER, "DELETE").body)["purged"] >= 2
    assert len(origin.requests) == 3


def test_neither_signature_nor_key_stands_in_the_log_or_reaches_the_origin(
    service: Service, origin: Origin
) -> None:
    target = f"/fill/30/20/{origin.on('/secret', Reply(photo()))}"
    signed = sign(target, KEY)
    signature = signed.split("/")[1]
    assert service.get(signed, {"X-Request-Id": "signed"}).status == 200
    assert service.get(signed.replace("30", "31"), {"X-Request-Id": "refused"}).status == 403
    wait_until(lambda: {line["request_id"] for line in service.events("request")} > {"refused"})
    paths = {line["request_id"]: line["path"] for line in service.events("request")}
    assert paths["signed"] == target
    told = json.dumps(service.log) + repr(origin.requests)
    assert signature not in told
    assert KEY not in told


def test_what_is_announced_can_be_had(start_service: StartService) -> None:
    service = start_service(PROXY_KEYS=KEY, PROXY_PREFIX="/img")
    sample, page = re.findall(r"(?:Try|open) http://[^/]+(/\S*)", service.output)
    for path in (sample, page):
        assert ask(service.port, path).status == 200


def test_an_address_may_expire_where_nothing_is_signed(start_service: StartService) -> None:
    service = start_service()
    assert service.get("/fill/30/20/exp=1/sample:cat.jpg").error == (403, "bad_signature")
    assert service.get("/fill/30/20/exp=4000000000/sample:cat.jpg").status == 200
    assert service.get(SAMPLE).cache_status == "micropic; hit"
