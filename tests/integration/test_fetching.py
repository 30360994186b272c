"""What reaches the origin, and what becomes of what it answers."""

from __future__ import annotations

import gzip
import socket

import pytest

from tests.support.client import Fields
from tests.support.origin import Origin, Received, Reply, redirect
from tests.support.pictures import photo
from tests.support.service import Service, StartService
from tests.support.waiting import wait_until

PICTURE = Reply(photo())
LIMIT = 1024**2
"""source.max_bytes of the shared service."""


@pytest.fixture(autouse=True)
def pictures_everywhere(origin: Origin) -> None:
    origin.fallback = PICTURE


def fill(service: Service, source: str, headers: Fields = ()) -> None:
    """Ask for a preview of the source; that must succeed."""
    assert service.get(f"/fill/30/20/{source}", headers).picture.size == (30, 20)


@pytest.mark.parametrize(
    "target",
    [
        "/o%2Fcat.jpg",
        "/cat.jpg?a=1&b=%2F",
        "//a/../b",
        "/a//b/./c;x=1",
        "/%7Ecat%20%C3%A9.jpg?x=%7e+y",
        "/cat.jpg?u=http://a/b?c",
        "/q=70/cat.jpg",
        "/a|b\"<>^`{}.jpg?[]'",
    ],
)
def test_the_target_reaches_the_origin_byte_for_byte(
    service: Service, origin: Origin, target: str
) -> None:
    fill(service, f"{origin.authority}{target}")
    assert origin.targets == [target]


@pytest.mark.parametrize("prefix", ["http://", "http:/"])
def test_a_source_may_name_its_scheme(service: Service, origin: Origin, prefix: str) -> None:
    fill(service, f"{prefix}{origin.authority}/cat.jpg")
    assert origin.targets == ["/cat.jpg"]


def test_a_source_encoded_as_a_whole_is_decoded_once(service: Service, origin: Origin) -> None:
    fill(service, f"http%3A%2F%2F127.0.0.1%3A{origin.port}%2Fo%252Fcat.jpg%3Fa%3D1%26b%3D%252F")
    fill(service, f"127.0.0.1%3A{origin.port}%2Fa%20b.jpg")
    assert origin.targets == ["/o%2Fcat.jpg?a=1&b=%2F", "/a%20b.jpg"]


def test_the_request_of_the_origin_carries_our_own_fields(service: Service, origin: Origin) -> None:
    fill(service, f"{origin.authority}/a", {"Accept": "text/html", "Accept-Encoding": "br"})
    (request,) = origin.requests
    assert request.method == "GET"
    assert request.values("Host") == [origin.authority]
    assert request.values("Accept-Encoding") == ["identity"]
    assert request.values("Accept")[0].startswith("image/")
    assert request.values("User-Agent")[0].startswith("micropic/")
    assert request.values("CDN-Loop") == ["micropic"]


def test_the_clients_own_fields_are_handed_on(service: Service, origin: Origin) -> None:
    sent = [("User-Agent", "owl/1"), ("X-Shop", "a"), ("X-Shop", "b"), ("Accept-Language", "de")]
    fill(service, f"{origin.authority}/a", sent)
    (request,) = origin.requests
    assert request.values("User-Agent") == ["owl/1"]
    assert request.values("X-Shop") == ["a", "b"]
    assert request.values("Accept-Language") == ["de"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Keep-Alive", "timeout=5"),
        ("TE", "trailers"),
        ("Upgrade", "h2c"),
        ("Proxy-Authorization", "Basic eA=="),
        ("X-Named", "by Connection"),
        ("Cookie", "session=1"),
        ("Authorization", "Bearer x"),
        ("If-None-Match", '"e"'),
        ("If-Modified-Since", "Mon, 01 Jan 2024 00:00:00 GMT"),
        ("Range", "bytes=0-99"),
        ("X-Forwarded-For", "10.0.0.1"),
        ("Forwarded", "for=10.0.0.1"),
        ("X-Real-IP", "10.0.0.1"),
        ("Metadata-Flavor", "Google"),
    ],
)
def test_what_is_not_the_origins_business_is_not_handed_on(
    service: Service, origin: Origin, name: str, value: str
) -> None:
    answer = service.get(
        f"/fill/30/20/{origin.authority}/a", {name: value, "Connection": "X-Named"}
    )
    assert answer.status == (206 if name == "Range" else 200)  # the range is one of the preview
    (request,) = origin.requests
    assert request.values(name) == []


def test_a_request_that_was_here_before_is_a_loop(service: Service, origin: Origin) -> None:
    target = f"/fill/30/20/{origin.authority}/a"
    answer = service.get(target, {"CDN-Loop": "other, micropic;v=1"})
    assert answer.error == (508, "loop_detected")
    assert origin.requests == []


def test_the_loop_field_of_others_is_kept(service: Service, origin: Origin) -> None:
    fill(service, f"{origin.authority}/a", {"CDN-Loop": "other"})
    assert origin.requests[0].values("CDN-Loop") == ["other, micropic"]


def test_a_source_that_leads_back_to_the_service_ends_there(service: Service) -> None:
    own = f"127.0.0.1:{service.port}"
    answer = service.get(f"/fill/30/20/{own}/fill/9/9/{own}/a")
    assert answer.error == (502, "origin_failed")
    assert "508" in answer.problem["detail"]


# --- credentials -----------------------------------------------------------------------------

CREDENTIALS = {"Cookie": "session=1", "Authorization": "Bearer x"}


@pytest.fixture
def trusting(start_service: StartService) -> Service:
    return start_service(SOURCE_CREDENTIAL_HOSTS="127.0.0.1")


def test_credentials_go_where_they_may_and_then_nothing_is_shared(
    trusting: Service, origin: Origin
) -> None:
    target = f"/fill/30/20/{origin.authority}/a"
    for _ in range(2):
        answer = trusting.get(target, CREDENTIALS)
        assert answer.cache_status == "micropic; fwd=bypass"
        assert answer.headers["Cache-Control"] == "private, no-store"
    assert [r.values("Cookie") + r.values("Authorization") for r in origin.requests] == [
        ["session=1", "Bearer x"]
    ] * 2
    assert trusting.get(target).cache_status == "micropic; fwd=miss"
    assert trusting.get(target, CREDENTIALS).cache_status == "micropic; fwd=bypass"

    gate = origin.gate()
    private = origin.on("/private", Reply(photo(), gate=gate))
    with trusting.crowd(3) as crowd:
        answers = [crowd.ask(f"/fill/30/20/{private}", CREDENTIALS) for _ in range(3)]
        try:
            wait_until(lambda: origin.counts["/private"] == 3)
        finally:
            gate.open()
    assert {a.result().cache_status for a in answers} == {"micropic; fwd=bypass"}


def test_credentials_follow_a_redirect_within_the_origin_and_none_that_leaves_it(
    trusting: Service, origin: Origin
) -> None:
    with Origin() as elsewhere:
        away = f"http://{elsewhere.on('/away', PICTURE)}"
        start = origin.on("/start", redirect("/here"))
        origin.on("/here", redirect(away))
        assert trusting.get(f"/fill/30/20/{start}", CREDENTIALS).status == 200
        assert [request.values("Cookie") for request in origin.requests] == [["session=1"]] * 2
        (request,) = elsewhere.requests
    assert request.values("Cookie") + request.values("Authorization") == []
    assert request.values("CDN-Loop") == ["micropic"]


# --- redirects -------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed(service: Service, origin: Origin, status: int) -> None:
    fill(service, origin.on("/old", redirect("/new", status)))
    assert origin.targets == ["/old", "/new"]


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("o%2Fcat.jpg?b=%2F", "/a/o%2Fcat.jpg?b=%2F"),
        ("/o%2Fcat.jpg#part", "/o%2Fcat.jpg"),
        ("?v=2", "/a/start?v=2"),
        ("/k\xc3\xa4uzchen.jpg", "/k%C3%A4uzchen.jpg"),
        ("/a b.jpg", "/a%20b.jpg"),
    ],
)
def test_a_relative_redirect_keeps_its_bytes(
    service: Service, origin: Origin, location: str, target: str
) -> None:
    seen: list[str] = []

    def answer(request: Received) -> Reply:
        seen.append(request.target)
        return redirect(location) if len(seen) == 1 else PICTURE

    origin.fallback = answer
    fill(service, f"{origin.authority}/a/start")
    assert seen == ["/a/start", target]


def test_ten_redirects_are_followed_and_eleven_are_not(service: Service, origin: Origin) -> None:
    for n in range(11):
        origin.on(f"/{n}", redirect(f"/{n + 1}"))
    fill(service, f"{origin.authority}/1")
    assert service.get(f"/fill/30/20/{origin.authority}/0").error == (502, "origin_failed")
    assert len(origin.requests) == 22


@pytest.mark.parametrize("location", ["ftp://127.0.0.1/a", "sample:cat.jpg", "http://u:p@a/b"])
def test_a_redirect_to_what_is_no_web_address_is_502(
    service: Service, origin: Origin, location: str
) -> None:
    start = origin.on("/start", redirect(location))
    assert service.get(f"/fill/30/20/{start}").error == (502, "origin_failed")


def test_a_redirect_to_a_forbidden_address_is_403(
    start_service: StartService, origin: Origin
) -> None:
    service = start_service(SOURCE_ALLOW_NETWORKS="127.0.0.1/32")
    with Origin("127.0.0.2") as forbidden:
        forbidden.fallback = PICTURE
        start = origin.on("/start", redirect(f"http://{forbidden.authority}/a"))
        assert service.get(f"/fill/30/20/{start}").error == (403, "source_forbidden")
        assert forbidden.requests == []
        fill(service, f"{origin.authority}/a")


def test_a_private_source_is_403_and_the_answer_names_the_setting(
    start_service: StartService, origin: Origin
) -> None:
    service = start_service(SOURCE_ALLOW_NETWORKS="")
    for host in ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0"):
        answer = service.get(f"/fill/30/20/{host}:{origin.port}/a")
        assert answer.error == (403, "source_forbidden"), host
        assert "source.allow_networks" in answer.problem["detail"]
    assert origin.requests == []


def test_only_the_hosts_that_are_named_are_fetched_from(
    start_service: StartService, origin: Origin
) -> None:
    service = start_service(SOURCE_ALLOW_HOSTS="127.0.0.1")
    fill(service, f"{origin.authority}/a")
    assert service.get(f"/fill/30/20/127.0.0.2:{origin.port}/a").status == 403
    start = origin.on("/start", redirect(f"http://127.0.0.2:{origin.port}/a"))
    assert service.get(f"/fill/30/20/{start}").error == (403, "source_forbidden")


def test_denied_hosts_and_ports_of_other_protocols_are_not_fetched_from(
    start_service: StartService, origin: Origin
) -> None:
    service = start_service(SOURCE_DENY_HOSTS="127.0.0.2,*.internal")
    fill(service, f"{origin.authority}/a")
    hosts = f"127.0.0.2:{origin.port}", "a.internal", "127.0.0.1:22", "127.0.0.1:6000"
    for number, host in enumerate(hosts):
        assert service.get(f"/fill/30/20/{host}/a").error == (403, "source_forbidden"), host
        start = origin.on(f"/start-{number}", redirect(f"http://{host}/a"))
        assert service.get(f"/fill/30/20/{start}").error == (403, "source_forbidden"), host


def test_only_the_ports_that_are_named_are_fetched_from(
    start_service: StartService, origin: Origin
) -> None:
    with Origin() as other:
        other.fallback = PICTURE
        service = start_service(SOURCE_ALLOW_PORTS=f"80,{origin.port}-{origin.port}")
        fill(service, f"{origin.authority}/a")
        answer = service.get(f"/fill/30/20/{other.authority}/a")
        assert answer.error == (403, "source_forbidden")
        assert other.requests == []


def test_only_the_header_fields_that_are_named_reach_the_origin(
    start_service: StartService, origin: Origin
) -> None:
    service = start_service(SOURCE_FORWARD_HEADERS="Accept-Language,X-Kept")
    sent = {"Accept-Language": "de", "X-Kept": "1", "X-Other": "2", "User-Agent": "me"}
    source = origin.on("/a", PICTURE)
    assert service.get(f"/fill/30/20/{source}", sent).status == 200
    (request,) = origin.requests
    assert [request.values(name) for name in ("Accept-Language", "X-Kept", "X-Other")] == [
        ["de"],
        ["1"],
        [],
    ]
    assert "micropic" in request.values("User-Agent")[0]
    assert request.values("CDN-Loop") == ["micropic"]


# --- answers ---------------------------------------------------------------------------------


def test_a_refusal_keeps_the_field_that_gives_it_meaning(service: Service, origin: Origin) -> None:
    source = origin.on("/a", Reply(b"no", 429, {"Retry-After": "17", "Set-Cookie": "a=b"}))
    answer = service.get(f"/fill/30/20/{source}")
    assert answer.error == (429, "origin_refused")
    assert answer.headers["Retry-After"] == "17"
    assert answer.headers["Set-Cookie"] is None


@pytest.mark.parametrize("status", [407, 421, 500, 503, 204, 206, 300])
def test_a_status_that_says_nothing_to_the_client_is_502(
    service: Service, origin: Origin, status: int
) -> None:
    source = origin.on("/a", Reply(b"" if status == 204 else photo(), status))
    assert service.get(f"/fill/30/20/{source}").error == (502, "origin_failed")


@pytest.mark.parametrize("chunked", [False, True])
def test_a_source_over_the_limit_is_413(service: Service, origin: Origin, *, chunked: bool) -> None:
    padded = photo() + bytes(LIMIT - len(photo()))
    fill(service, origin.on("/full", Reply(padded, chunked=chunked)))
    over = origin.on("/over", Reply(padded + b"\0", chunked=chunked))
    assert service.get(f"/fill/30/20/{over}").error == (413, "source_too_large")


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_compressed_bomb_is_413(service: Service, origin: Origin, coding: str) -> None:
    bomb = gzip.compress(bytes(200 * LIMIT), 6)
    assert len(bomb) < LIMIT
    source = origin.on("/bomb", Reply(bomb, headers={"Content-Encoding": coding}))
    assert service.get(f"/fill/30/20/{source}").error == (413, "source_too_large")


def test_a_compressed_picture_is_decoded(service: Service, origin: Origin) -> None:
    encoded = Reply(gzip.compress(photo()), headers={"Content-Encoding": "gzip"})
    plain = service.get(f"/fill/30/20/{origin.on('/plain', PICTURE)}")
    assert service.get(f"/fill/30/20/{origin.on('/gzip', encoded)}").body == plain.body


@pytest.mark.parametrize(
    "reply",
    [
        Reply(photo(), cut_after=500),
        Reply(photo(), cut_after=0),
        Reply(photo(), cut_after=500, chunked=True),
        Reply(gzip.compress(photo())[:-9], headers={"Content-Encoding": "gzip"}),
        Reply(photo(), headers={"Content-Encoding": "gzip"}),
        Reply(photo(), headers={"Content-Encoding": "zstd"}),
        Reply(b""),
        Reply(b"", chunked=True),
    ],
    ids=["cut", "no body", "cut chunked", "cut gzip", "no gzip", "zstd", "empty", "empty chunked"],
)
def test_an_answer_that_is_not_whole_is_502(service: Service, origin: Origin, reply: Reply) -> None:
    assert service.get(f"/fill/30/20/{origin.on('/a', reply)}").error == (502, "origin_failed")


def test_a_source_that_trickles_is_given_up(start_service: StartService, origin: Origin) -> None:
    service = start_service(SOURCE_TIMEOUT="0.3")
    source = origin.on("/slow", Reply(photo(), trickle=True))
    assert service.get(f"/fill/30/20/{source}").error == (504, "origin_timeout")


def test_a_dead_origin_costs_little_and_is_found_again(start_service: StartService) -> None:
    service = start_service(SOURCE_TIMEOUT="3")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    answers = [service.get(f"/fill/30/20/127.0.0.1:{port}/{number}") for number in range(6)]
    assert {answer.error for answer in answers} == {(502, "origin_failed")}
    told = [answer.headers["Retry-After"] for answer in answers]
    assert told[:5] == [None] * 5
    assert told[5] in {"4", "5"}
    with Origin(port=port) as origin:
        origin.fallback = PICTURE
        assert service.get(f"/fill/30/20/{origin.authority}/a").status == 502
        assert origin.requests == []
        wait_until(lambda: service.get(f"/fill/30/20/{origin.authority}/a").status == 200)
    assert len(service.events("origin_left_alone")) == 1


def test_an_origin_that_falls_silent_is_left_alone(
    start_service: StartService, origin: Origin
) -> None:
    """However much time it might have taken: it was given up for its silence."""
    service = start_service(
        SOURCE_READ_TIMEOUT="0.5", SOURCE_TIMEOUT="20", PROXY_TIMEOUT="30", CACHE_STALE_IF_ERROR="0"
    )
    fresh_for_no_time = {"Cache-Control": "no-store"}
    origin.fallback = Reply(photo(), headers=fresh_for_no_time)
    paths = [f"/fill/30/20/{origin.authority}/{number}" for number in range(6)]
    assert {service.get(path).status for path in paths} == {200}
    origin.fallback = Reply(photo(), gate=origin.gate())
    answers = [service.get(path) for path in paths]
    assert [answer.error for answer in answers] == [
        *[(504, "origin_timeout")] * 5,
        (502, "origin_failed"),
    ]


def test_one_origin_does_not_take_all_the_fetches(
    start_service: StartService, origin: Origin
) -> None:
    service = start_service(SOURCE_MAX_PER_ORIGIN="2")
    gate = origin.gate()
    origin.fallback = Reply(photo(), gate=gate)
    with service.crowd(6) as crowd, Origin() as other:
        asked = [crowd.ask(f"/fill/30/20/{origin.authority}/{number}") for number in range(6)]
        wait_until(lambda: len(origin.requests) == 2)
        fill(service, other.on("/a", PICTURE))
        assert len(origin.requests) == 2
        gate.open()
        assert {one.result().status for one in asked} == {200}
    assert len(origin.requests) == 6


def test_a_field_of_the_origins_that_is_no_text_is_no_defect(
    service: Service, origin: Origin
) -> None:
    for name in ("ETag", "Last-Modified"):
        source = origin.on(f"/{name}", Reply(photo(), headers={name: '"\xff"'}))
        answers = [service.get(f"/fill/30/20/{source}") for _ in range(2)]
        assert [answer.cache_status for answer in answers] == [
            "micropic; fwd=miss",
            "micropic; hit",
        ]


def test_a_truncated_picture_is_422_and_is_not_kept(
    start_service: StartService, origin: Origin
) -> None:
    service = start_service(CACHE_NEGATIVE_AGE="0")
    source = origin.on("/a", Reply(photo()[:2000]))
    assert service.get(f"/fill/30/20/{source}").error == (422, "broken_image")
    origin.on("/a", PICTURE)
    fill(service, source)


def test_a_source_that_is_missing_is_not_asked_for_again_at_once(
    service: Service, origin: Origin
) -> None:
    source = origin.on("/gone", Reply(status=404))
    for size in ("30/20", "40/30", "30/20"):
        assert service.get(f"/fill/{size}/{source}").error == (404, "origin_refused")
    assert origin.targets == ["/gone"]
    service.get(f"/fill/30/20/{origin.authority}/else")
    assert origin.targets == ["/gone", "/else"]


def test_what_a_client_with_credentials_is_told_is_not_remembered(
    start_service: StartService, origin: Origin
) -> None:
    service = start_service(SOURCE_CREDENTIAL_HOSTS="*")
    source = origin.on("/gone", Reply(status=404))
    for _ in range(2):
        assert service.get(f"/fill/30/20/{source}", {"Cookie": "a=b"}).status == 404
    assert len(origin.targets) == 2
