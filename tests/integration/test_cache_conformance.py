"""What RFC 9111, RFC 5861 and RFC 9211 ask of a shared cache, over real HTTP on every shape.

Nothing here waits for time to pass: an `Age` as great as the lifetime makes an answer stale from
the start (RFC 9111, section 4.2).
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.client import Answer, Crowd
from tests.support.origin import Origin, Received, Reply
from tests.support.pictures import photo
from tests.support.service import Service
from tests.support.shape import running
from tests.support.waiting import wait_until

DATE = "Tue, 24 Nov 2026 10:00:00 GMT"
OWL, CAT = photo(120, 80, seed=1), photo(120, 80, seed=2)
STALE = {"Cache-Control": "max-age=10", "Age": "10"}
STRICT = {"Cache-Control": "max-age=10, must-revalidate", "Age": "10"}


@pytest.fixture(scope="module", params=["embedded", "distributed"])
def service(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """Give a service whose clients may ask for a reload, and that forgets errors at once."""
    settings = {"CACHE_NEGATIVE_AGE": "0", "PROXY_RELOAD_NETWORKS": "127.0.0.0/8"}
    yield from running(request, tmp_path_factory.mktemp("conformance"), **settings)


class Picture:
    """A picture on an origin that answers conditional requests as it is told."""

    def __init__(self, service: Service, origin: Origin, **headers: str) -> None:
        self._service = service
        self._origin = origin
        self.reply = Reply(OWL, headers={name.replace("_", "-"): v for name, v in headers.items()})
        self.unchanged: dict[str, str] | None = None
        """What a 304 says; None: there is none."""
        self.path = f"/fill/60/40/{origin.on('/a', self._answer)}"

    def _answer(self, request: Received) -> Reply:
        conditional = request.values("If-None-Match") or request.values("If-Modified-Since")
        if conditional and self.unchanged is not None:
            return Reply(status=304, headers=self.unchanged)
        return self.reply

    def get(self, size: str = "60/40", **headers: str) -> Answer:
        """Ask for it."""
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        return self._service.get(self.path.replace("60/40", size), fields)

    @property
    def fetches(self) -> list[str | None]:
        """The If-None-Match of each request that the origin has seen."""
        tags = [request.values("If-None-Match") for request in self._origin.requests]
        return [values[0] if values else None for values in tags]


@pytest.mark.parametrize(
    "headers",
    [
        {"Cache_Control": "no-store"},  # RFC 9111, 5.2.2.5
        {"Cache_Control": "max-age=60, private"},  # 5.2.2.7
        {"Vary": "*"},  # 4.1
    ],
)
def test_9111_3_what_may_not_be_stored_is_not(
    service: Service, origin: Origin, headers: dict[str, str]
) -> None:
    picture = Picture(service, origin, ETag='"1"', **headers)
    answers = [picture.get(), picture.get()]
    assert [answer.cache_status for answer in answers] == ["micropic; fwd=miss"] * 2
    assert picture.fetches == [None, None]


@pytest.mark.parametrize(
    ("headers", "lifetime"),
    [
        ({"Cache_Control": "max-age=600, s-maxage=300"}, 300),  # 5.2.2.10
        ({"Cache_Control": "max-age=600", "Age": "40"}, 560),  # 4.2.3
        ({"Cache_Control": "max-age=600", "Expires": DATE, "Date": DATE}, 600),  # 5.3
        ({"Expires": "Tue, 24 Nov 2026 10:01:00 GMT", "Date": DATE}, 60),  # 5.3
        ({"Cache_Control": "max-age=999999999"}, 86400),  # cache.max_age
        ({}, 86400),  # 4.2.2
    ],
)
def test_9111_4_2_1_it_is_fresh_for_as_long_as_the_origin_says(
    service: Service, origin: Origin, headers: dict[str, str], lifetime: int
) -> None:
    picture = Picture(service, origin, **headers)
    made, hit = picture.get(), picture.get()
    assert (made.cache_status, hit.cache_status) == ("micropic; fwd=miss", "micropic; hit")
    assert made.headers["Cache-Control"] == f"public, max-age={lifetime}"
    assert len(picture.fetches) == 1


def test_9111_4_3_what_is_stale_is_revalidated_and_not_made_again(
    service: Service, origin: Origin
) -> None:
    picture = Picture(service, origin, ETag='"1"', **STRICT)
    picture.unchanged = {"ETag": '"1"', **STRICT}
    made, again = picture.get(), picture.get()
    assert picture.fetches == [None, '"1"']
    assert again.body == made.body
    assert again.cache_status == "micropic; fwd=stale; detail=unchanged"
    assert again.headers["Test-PreviewLocation"] == "cache"


def test_9110_13_1_3_a_date_is_a_validator_too(service: Service, origin: Origin) -> None:
    picture = Picture(service, origin, Last_Modified=DATE, **STRICT)
    picture.unchanged = {}
    picture.get()
    assert picture.get().cache_status == "micropic; fwd=stale; detail=unchanged"
    assert origin.requests[-1].values("If-Modified-Since") == [DATE]


def test_9111_4_3_4_a_304_makes_every_preview_of_the_source_fresh(
    service: Service, origin: Origin
) -> None:
    picture = Picture(service, origin, ETag='"1"', **STRICT)
    picture.unchanged = {"Cache-Control": "max-age=600"}
    sizes = ["60/40", "30/20", "20/20"]
    for size in sizes:
        assert picture.get(size).status == 200
    assert picture.fetches == [None, '"1"']
    for size in sizes[1:]:
        assert picture.get(size).cache_status == "micropic; hit"
    assert picture.get().cache_status == "micropic; fwd=stale; detail=unchanged"
    assert picture.get().cache_status == "micropic; hit"
    assert len(picture.fetches) == 2


def test_an_equal_body_under_a_new_validator_is_not_rendered_again(
    service: Service, origin: Origin
) -> None:
    picture = Picture(service, origin, ETag='"1"', **STRICT)
    made = picture.get()
    picture.reply = Reply(OWL, headers={"ETag": '"2"', **STRICT})
    again, third = picture.get(), picture.get()
    assert again.cache_status == third.cache_status == "micropic; fwd=stale; detail=unchanged"
    assert made.body == again.body == third.body
    assert picture.fetches == [None, '"1"', '"2"']


def test_9111_4_3_3_a_full_answer_takes_the_place_of_what_was_stale(
    service: Service, origin: Origin
) -> None:
    picture = Picture(service, origin, ETag='"1"', **STRICT)
    made = picture.get()
    picture.reply = Reply(CAT, headers={"ETag": '"2"', "Cache-Control": "max-age=600"})
    again = picture.get()
    assert again.cache_status == "micropic; fwd=stale"
    assert again.body != made.body
    assert picture.get().body == again.body


def test_9111_5_2_2_4_no_cache_is_kept_and_revalidated_each_time(
    service: Service, origin: Origin
) -> None:
    picture = Picture(service, origin, ETag='"1"', Cache_Control="no-cache")
    picture.unchanged = {}
    made = picture.get()
    assert made.headers["Cache-Control"] == "no-cache"
    for _ in range(2):
        assert picture.get().cache_status == "micropic; fwd=stale; detail=unchanged"
    assert picture.fetches == [None, '"1"', '"1"']


def test_5861_3_what_is_stale_is_answered_at_once_and_renewed_behind(
    service: Service, origin: Origin
) -> None:
    gate = origin.gate()
    picture = Picture(service, origin, ETag='"1"', **STALE)
    made = picture.get()
    picture.reply = Reply(CAT, headers={"Cache-Control": "max-age=600"}, gate=gate)
    stale = picture.get()
    assert stale.cache_status == "micropic; hit"
    assert stale.headers["Cache-Status"].endswith("; detail=stale-while-revalidate")
    assert stale.body == made.body
    gate.open()
    wait_until(lambda: picture.get().body != made.body)
    assert "detail" not in picture.get().headers["Cache-Status"]


def test_5861_3_many_who_get_it_stale_cause_one_fetch(service: Service, origin: Origin) -> None:
    gate = origin.gate()
    picture = Picture(service, origin, ETag='"1"', **STALE)
    picture.get()
    picture.reply = Reply(CAT, headers={"Cache-Control": "max-age=600"}, gate=gate)
    with Crowd(service.port, 10) as crowd:
        answers = [asked.result() for asked in [crowd.ask(picture.path) for _ in range(50)]]
    assert {answer.cache_status for answer in answers} == {"micropic; hit"}
    wait_until(lambda: len(picture.fetches) == 2)
    gate.open()
    wait_until(lambda: "detail" not in picture.get().headers["Cache-Status"])
    assert len(picture.fetches) == 2


def test_5861_3_the_origin_may_forbid_it(service: Service, origin: Origin) -> None:
    headers = {"Cache_Control": "max-age=1, stale-while-revalidate=0", "Age": "1"}
    picture = Picture(service, origin, **headers)
    picture.get()
    assert picture.get().cache_status == "micropic; fwd=stale; detail=unchanged"


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_5861_4_a_failing_origin_leaves_what_is_stale(
    service: Service, origin: Origin, status: int
) -> None:
    headers = {"Cache_Control": "max-age=1, stale-while-revalidate=0", "Age": "1"}
    picture = Picture(service, origin, **headers)
    made = picture.get()
    picture.reply = Reply(b"no", status)
    stale = picture.get()
    assert stale.cache_status == "micropic; fwd=stale; detail=stale-if-error"
    assert stale.body == made.body


def test_5861_4_what_the_origin_says_of_the_picture_is_no_such_error(
    service: Service, origin: Origin
) -> None:
    headers = {"Cache_Control": "max-age=1, stale-while-revalidate=0", "Age": "1"}
    picture = Picture(service, origin, **headers)
    picture.get()
    picture.reply = Reply(b"no", 404)
    assert picture.get().error == (404, "origin_refused")


@pytest.mark.parametrize("directive", ["must-revalidate", "proxy-revalidate", "s-maxage=1"])
def test_9111_4_2_4_what_is_stale_is_not_served_where_the_origin_forbids_it(
    service: Service, origin: Origin, directive: str
) -> None:
    picture = Picture(service, origin, Cache_Control=f"max-age=1, {directive}", Age="1")
    picture.get()
    picture.reply = Reply(b"no", 503)
    assert picture.get().error == (502, "origin_failed")


def test_9111_4_1_clients_that_differ_in_what_vary_names_share_nothing(
    service: Service, origin: Origin
) -> None:
    def by_agent(request: Received) -> Reply:
        body = CAT if request.values("User-Agent") == ["cat"] else OWL
        return Reply(body, headers={"Vary": "User-Agent", "Cache-Control": "max-age=600"})

    path = f"/fill/60/40/{origin.on('/a', by_agent)}"
    owl, cat = ({"User-Agent": name} for name in ("owl", "cat"))
    made = [service.get(path, headers) for headers in (owl, cat)]
    assert made[0].body != made[1].body
    assert made[0].headers["Vary"] == "user-agent"
    again = [service.get(path, headers) for headers in (owl, cat, owl)]
    assert [answer.cache_status for answer in again] == ["micropic; hit"] * 3
    assert [answer.body for answer in again] == [made[0].body, made[1].body, made[0].body]
    assert len(origin.requests) == 2


def test_9111_4_1_who_asks_at_the_same_time_shares_nothing_either(
    service: Service, origin: Origin
) -> None:
    gate = origin.gate()

    def by_agent(request: Received) -> Reply:
        body = CAT if request.values("User-Agent") == ["cat"] else OWL
        return Reply(body, headers={"Vary": "User-Agent"}, gate=gate)

    path = f"/fill/60/40/{origin.on('/a', by_agent)}"
    with Crowd(service.port, 4) as crowd:
        asked = [crowd.ask(path, {"User-Agent": name}) for name in ("owl", "cat") * 2]
        wait_until(lambda: origin.requests)
        gate.open()
        owl, cat, *others = [answer.result().body for answer in asked]
    assert owl != cat
    assert others == [owl, cat]


def test_9111_4_1_what_we_fix_ourselves_makes_no_difference(
    service: Service, origin: Origin
) -> None:
    picture = Picture(service, origin, Vary="Accept, Accept-Encoding", Cache_Control="max-age=60")
    picture.get(Accept="image/jpeg")
    answer = picture.get(Accept="image/png", Accept_Encoding="gzip")
    assert answer.cache_status == "micropic; hit"
    assert answer.headers["Vary"] is None


def test_9111_5_2_1_4_a_client_may_have_the_origin_asked(service: Service, origin: Origin) -> None:
    picture = Picture(service, origin, ETag='"1"', Cache_Control="max-age=600")
    picture.unchanged = {}
    picture.get()
    assert picture.get().cache_status == "micropic; hit"
    reloaded = picture.get(Cache_Control="no-cache")
    assert reloaded.cache_status == "micropic; fwd=stale; detail=unchanged"
    assert picture.fetches == [None, '"1"']


def test_9111_5_2_1_7_only_if_cached_makes_nothing(service: Service, origin: Origin) -> None:
    picture = Picture(service, origin, Cache_Control="max-age=600")
    assert picture.get(Cache_Control="only-if-cached").error == (504, "not_cached")
    made = picture.get()
    assert picture.get(Cache_Control="only-if-cached").body == made.body
    assert len(picture.fetches) == 1


def test_9111_5_1_age_tells_how_old_the_source_is(service: Service, origin: Origin) -> None:
    picture = Picture(service, origin, Cache_Control="max-age=600")
    picture.get()
    assert picture.get().headers["Age"] in {"0", "1", "2"}


def test_a_second_size_does_not_go_to_the_origin(service: Service, origin: Origin) -> None:
    picture = Picture(service, origin, Cache_Control="max-age=600")
    answers = [picture.get(f"{width}/40") for width in range(20, 80, 10)]
    assert [answer.picture.size for answer in answers] == [(w, 40) for w in range(20, 80, 10)]
    assert picture.fetches == [None]


def test_twenty_sizes_at_once_are_one_fetch(service: Service, origin: Origin) -> None:
    gate = origin.gate()
    path = origin.on("/a", Reply(OWL, gate=gate))
    with Crowd(service.port, 20) as crowd:
        asked = [crowd.ask(f"/fill/{20 + width}/40/{path}") for width in range(20)]
        wait_until(lambda: origin.requests)
        gate.open()
        sizes = [answer.result().picture.size for answer in asked]
    assert sizes == [(20 + width, 40) for width in range(20)]
    assert origin.targets == ["/a"]
