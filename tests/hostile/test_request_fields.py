"""What a client's header fields do at an origin is for that client alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from PIL import Image

from tests.support.client import Answer, Fields
from tests.support.origin import Answering, Origin, Received, Reply, redirect
from tests.support.pictures import encode, photo
from tests.support.service import Service, StartService
from tests.support.shape import running
from tests.support.waiting import wait_until

TRUSTED, OTHER = "127.0.0.3", "127.0.0.2"
TOKEN = "token-of-the-operator"
GOOD, EVIL = photo(), encode(Image.new("RGB", (64, 48), (255, 0, 0)), "PNG")

IDENTITY = {
    "Cf-Access-Jwt-Assertion": "me", "X-Goog-Iap-Jwt-Assertion": "me", "X-Amzn-Oidc-Data": "me",
    "X-Auth-Request-User": "me", "X-Api-Key": "me", "Private-Token": "me", "Remote-User": "me",
    "Ssl-Client-Cert": "me", "X-Amz-Security-Token": "me", "X-Csrf-Token": "me",
    "SSL_CLIENT_S_DN": "me", "X_Session_Id": "me", "X-My-Secret": "me", "Cookie": "me",
    "Authorization": "me",
}  # fmt: skip
HOPS = {
    "Via": "1.1 edge", "traceparent": "00-1", "CF-Ray": "1", "X-Amz-Cf-Id": "1", "X-Varnish": "1",
    "Fastly-FF": "1", "X-B3-TraceId": "1", "X_Request_Id": "1",
}  # fmt: skip


@pytest.fixture(scope="module", params=["embedded", "distributed"])
def service(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    yield from running(
        request,
        tmp_path_factory.mktemp("fields"),
        SOURCE_CREDENTIAL_HOSTS=TRUSTED,
        PROXY_PURGE_TOKEN=TOKEN,
    )


@pytest.fixture
def trusted() -> Iterator[Origin]:
    with Origin(TRUSTED) as server:
        yield server


@pytest.fixture
def other() -> Iterator[Origin]:
    with Origin(OTHER) as server:
        yield server


def by_field(name: str, evil: Reply) -> Callable[[Received], Reply]:
    """Obey a field, and say nothing of it in Vary."""
    return lambda request: evil if "evil" in request.values(name) else Reply(GOOD)


def is_good(answer: Answer) -> bool:
    return answer.status == 200 and answer.picture.getpixel((1, 1)) != (255, 0, 0)


@pytest.mark.parametrize("name", ["X-Theme", "X_Theme", "Device-Memory", "X-User-Agent"])
def test_what_an_origin_does_for_a_field_is_for_those_who_send_it(
    service: Service, origin: Origin, name: str
) -> None:
    target = f"/fill/8/8/f=png/{origin.on('/a', by_field(name, Reply(EVIL)))}"
    evil = service.get(target, {name: "evil"})
    assert not is_good(evil)
    assert evil.headers["Cache-Control"] == "private, max-age=86400"
    assert evil.headers["Vary"] == name.lower()
    plain = service.get(target)
    assert is_good(plain)
    assert plain.headers["Cache-Control"] == "public, max-age=86400"
    assert plain.headers["Vary"] is None
    again = service.get(target, {name: "evil"})
    assert (again.cache_status, again.body) == ("micropic; hit", evil.body)
    assert is_good(service.get(target, {name: "good"}))
    assert len(origin.requests) == 3
    # Neither is the source another one's: of each value, another size needs no fetch.
    assert is_good(service.get(target.replace("8/8", "9/9")))
    assert not is_good(service.get(target.replace("8/8", "9/9"), {name: "evil"}))
    assert len(origin.requests) == 3


@pytest.mark.parametrize("evil", [Reply(b"no", 404), Reply(b"<html>"), Reply(b"no", 500)])
@pytest.mark.parametrize(
    "name",
    [
        "X-Theme", "Referer", "User-Agent", "Sec-Fetch-Dest", "Accept-Language", "Pragma",
        "Cache-Control", "Priority", "Save-Data", "CDN-Loop",
    ],
)  # fmt: skip
def test_what_an_origin_refuses_for_a_field_is_refused_to_nobody_else(
    service: Service, origin: Origin, name: str, evil: Reply
) -> None:
    target = f"/fill/8/8/{origin.on('/a', by_field_part(name, evil))}"
    browser = {"User-Agent": "owl/1", "Referer": "https://h/page", "Accept-Language": "de"}
    refused = service.get(target, {**browser, name: "https://h/evil"})
    assert refused.status in {404, 415, 502}
    assert refused.headers["Cache-Control"] == "no-store"
    assert is_good(service.get(target, browser))


def by_field_part(name: str, evil: Reply) -> Callable[[Received], Reply]:
    return lambda request: evil if "evil" in "".join(request.values(name)) else Reply(GOOD)


def test_requests_with_other_fields_do_not_join(service: Service, origin: Origin) -> None:
    gate = origin.gate()

    def answer(request: Received) -> Reply:
        return Reply(EVIL if request.values("X-Theme") else GOOD, gate=gate)

    target = f"/fill/8/8/f=png/{origin.on('/a', answer)}"
    with service.crowd(3) as crowd:
        evil = [crowd.ask(target, {"X-Theme": "evil"}) for _ in range(2)]
        wait_until(lambda: origin.requests)
        good = crowd.ask(target)
        wait_until(lambda: len(origin.requests) == 2)
        gate.open()
    assert is_good(good.result())
    assert not any(is_good(each.result()) for each in evil)
    assert len(origin.requests) == 2


@pytest.mark.parametrize("size", ["8/8", "9/9"])
def test_a_page_that_one_client_gets_is_no_answer_for_those_who_wait_with_it(
    service: Service, origin: Origin, size: str
) -> None:
    gate = origin.gate()

    def answer(request: Received) -> Reply:
        robot = "robot" in request.values("User-Agent")
        return Reply(b"<html>", gate=gate) if robot else Reply(GOOD)

    source = origin.on("/a", answer)
    target, good = f"/fill/{size}/{source}", {"User-Agent": "owl/1"}
    with service.crowd(2) as crowd:
        robot = crowd.ask(f"/fill/8/8/{source}", {"User-Agent": "robot"})
        wait_until(lambda: origin.requests)
        waiting = crowd.ask(target, good)
        for _ in range(9):  # by which it waits, too; if not, it is on its own
            assert service.get("/fill/8/8/sample:cat.jpg").status == 200
        gate.open()
    assert robot.result().error == (415, "not_an_image")
    assert is_good(waiting.result())
    assert service.get(target, good).cache_status.startswith("micropic; hit")


def test_the_order_of_fields_is_no_other_request(service: Service, origin: Origin) -> None:
    target = f"/fill/8/8/{origin.on('/a', Reply(GOOD))}"
    fields = [("X-Shop", "owls"), ("X-Theme", "a"), ("X-Theme", "b")]
    assert service.get(target, fields).cache_status == "micropic; fwd=miss"
    assert service.get(target, [*fields[1:], fields[0]]).cache_status == "micropic; hit"
    swapped = [fields[0], fields[2], fields[1]]
    assert service.get(target, swapped).cache_status == "micropic; fwd=miss"
    assert origin.requests[0].values("X-Theme") == ["a", "b"]


def test_what_hops_add_is_neither_in_the_key_nor_sent_on(service: Service, origin: Origin) -> None:
    target = f"/fill/8/8/{origin.on('/a', Reply(GOOD))}"
    answers = [
        service.get(target, {**HOPS, "CF-Ray": str(n), "X-Request-Id": f"r-{n}"})
        for n in range(100)
    ]
    assert [answer.cache_status for answer in answers] == [
        "micropic; fwd=miss", *["micropic; hit"] * 99,
    ]  # fmt: skip
    assert {answer.headers["Cache-Control"] for answer in answers} == {"public, max-age=86400"}
    (request,) = origin.requests
    assert all(request.values(name) == [] for name in [*HOPS, "X-Request-Id"])


def test_identity_reaches_no_host_that_a_page_names(service: Service, origin: Origin) -> None:
    target = f"/fill/8/8/{origin.on('/a', Reply(GOOD))}"
    first, second = service.get(target, IDENTITY), service.get(target)
    assert (first.cache_status, second.cache_status) == ("micropic; fwd=miss", "micropic; hit")
    (request,) = origin.requests
    assert [name for name in IDENTITY if request.values(name)] == []


@pytest.mark.parametrize("name", IDENTITY)
def test_identity_reaches_the_hosts_for_it_and_then_nothing_is_shared(
    service: Service, trusted: Origin, name: str
) -> None:
    target = f"/fill/8/8/{trusted.on('/a', Reply(GOOD))}"
    for _ in range(2):
        answer = service.get(target, {name: "me"})
        assert answer.cache_status == "micropic; fwd=bypass"
        assert answer.headers["Cache-Control"] == "private, no-store"
    assert [request.values(name) for request in trusted.requests] == [["me"]] * 2
    assert service.get(target).cache_status == "micropic; fwd=miss"


def test_a_redirect_to_another_origin_takes_the_plain_fields_along(
    service: Service, trusted: Origin, other: Origin
) -> None:
    back = f"http://{trusted.on('/back', Reply(GOOD))}"
    there = f"http://{other.on('/there', redirect(back))}"
    start = trusted.on("/start", redirect(there))
    plain = {"User-Agent": "owl/1", "Referer": "https://h/", "Accept-Language": "de", "DNT": "1"}
    sent = {**IDENTITY, "X-Shop": "owls", **plain}
    assert service.get(f"/fill/8/8/{start}", sent).status == 200
    first, last = trusted.requests
    assert [name for name in sent if first.values(name)] == [*sent]
    for request in (*other.requests, last):
        assert [name for name in sent if request.values(name)] == [*plain]
        assert request.values("CDN-Loop") == ["micropic"]


@pytest.mark.parametrize("purge", ["source", "prefix", "path"])
def test_a_purge_finds_what_is_kept_by_fields(service: Service, origin: Origin, purge: str) -> None:
    fields = {"X-Shop": "owls"}
    source = origin.on(f"/{purge}/a", Reply(GOOD, headers={"Vary": "Accept-Language"}))
    target = f"/fill/8/8/{source}"
    for _ in range(2):
        answer = service.get(target, fields)
    assert answer.cache_status == "micropic; hit"
    allowed: Fields = {"Authorization": f"Bearer {TOKEN}"}
    if purge == "path":
        purged = service.get(target, allowed, "DELETE")
    else:
        what = {"source": f'{{"sources": ["{source}"]}}',
                "prefix": f'{{"prefixes": ["{origin.authority}/{purge}/"]}}'}[purge]  # fmt: skip
        purged = service.get("/purge", allowed, "POST", what.encode())
    assert purged.status == 200
    assert service.get(target, fields).cache_status == "micropic; fwd=miss"
    assert len(origin.requests) == 2


# --- what an origin's refusal says -------------------------------------------------------------

CHALLENGE = {"WWW-Authenticate": 'Basic realm="Your bank"', "Proxy-Authenticate": "Basic"}


def test_only_an_origin_that_gets_credentials_asks_for_them(
    service: Service, origin: Origin, trusted: Origin
) -> None:
    evil = origin.on("/a", Reply(b"no", 401, CHALLENGE))
    for source in (evil, trusted.on("/away", redirect(f"http://{evil}"))):
        refused = service.get(f"/fill/8/8/{source}", {"Authorization": "Basic eDp5"})
        assert refused.error == (401, "origin_refused")
        assert refused.headers["WWW-Authenticate"] is None
        assert refused.headers["Proxy-Authenticate"] is None
    for fields in ({}, {"Authorization": "Basic eDp5"}):
        asked = service.get(f"/fill/8/8/{trusted.on('/b', Reply(b'no', 401, CHALLENGE))}", fields)
        assert asked.error == (401, "origin_refused")
        assert asked.headers["WWW-Authenticate"] == CHALLENGE["WWW-Authenticate"]
        assert asked.headers["Cache-Control"] == "no-store"
        assert asked.headers["Proxy-Authenticate"] is None


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("7", "7"),
        ("9" * 400, "86400"),
        ("Fri, 31 Dec 2099 23:59:59 GMT", "86400"),
        ("Wed, 21 Oct 2015 07:28:00 GMT", "0"),
        ("soon", None),
        ("-1", None),
        ("1, 2", None),
    ],
)
def test_an_origin_says_within_bounds_when_to_come_again(
    service: Service, origin: Origin, said: str, told: str | None
) -> None:
    reply = Reply(b"no", 429, {"Retry-After": said})
    refused = service.get(f"/fill/8/8/{origin.on('/a', reply)}")
    assert refused.error == (429, "origin_refused")
    assert refused.headers["Retry-After"] == told


# --- with settings -----------------------------------------------------------------------------


def test_a_fallback_picture_is_the_same_whatever_a_client_sends(
    start_service: StartService, origin: Origin
) -> None:
    fallback = origin.on("/fallback", by_field("X-Theme", Reply(EVIL)))
    missing: Answering = Reply(b"no", 404)
    service = start_service(PROXY_FALLBACK=fallback, PROXY_FALLBACK_STATUS="200")
    target = f"/fill/8/8/f=png/{origin.on('/missing', missing)}"
    for fields in ({"X-Theme": "evil"}, {}):
        answer = service.get(target, fields)
        assert is_good(answer)
        assert (answer.headers["Cache-Control"] == "no-store") == bool(fields)


def test_the_operator_chooses_what_is_identity_a_hop_and_sent_on(
    start_service: StartService, origin: Origin
) -> None:
    service = start_service(
        SOURCE_IDENTITY_HEADERS="default,X-Member*",
        SOURCE_HOP_HEADERS="X_Edge-*",
        SOURCE_FORWARD_HEADERS="all,Traceparent",
    )
    target = f"/fill/8/8/{origin.on('/a', Reply(GOOD))}"
    for number in range(3):
        sent = {"X-Member-No": str(number), "X-Edge-Id": str(number), "traceparent": str(number)}
        sent |= {"X-Api-Key": str(number), "Via": str(number)}
        expected = "micropic; hit" if number else "micropic; fwd=miss"
        assert service.get(target, sent).cache_status == expected
    (request,) = origin.requests
    assert [name for name in sent if request.values(name)] == ["traceparent"]
