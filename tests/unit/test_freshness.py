from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from micropic.domain.freshness import (
    DAY,
    Policy,
    is_storable,
    lifetime,
    merged,
    parse_cache_control,
    remaining,
    suits,
    variant,
    windows,
)
from micropic.domain.model import Preview, SourceFacts

NOON = "Sun, 06 Nov 1994 12:00:00 GMT"
ONE = "Sun, 06 Nov 1994 13:00:00 GMT"
EVER = "Fri, 31 Dec 9999 23:59:59 GMT"


@pytest.fixture(params=["UTC", "America/New_York"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("facts", "seconds"),
    [
        pytest.param(SourceFacts(), DAY, id="nothing said"),
        pytest.param(SourceFacts(cache_control="public, immutable"), DAY, id="nothing of time"),
        # not stored, or revalidated each time
        pytest.param(SourceFacts(cache_control="no-store"), 0, id="no-store"),
        pytest.param(SourceFacts(cache_control="private, max-age=60"), 0, id="private"),
        pytest.param(SourceFacts(cache_control="max-age=60, No-Cache"), 0, id="no-cache"),
        pytest.param(SourceFacts(cache_control='private="set-cookie"'), 0, id="private field"),
        pytest.param(SourceFacts(cache_control="no-store", expires=ONE, date=NOON), 0, id="both"),
        # Vary
        pytest.param(SourceFacts(vary="*"), 0, id="vary by anything"),
        pytest.param(SourceFacts(vary="Cookie"), DAY, id="vary by cookie"),
        pytest.param(SourceFacts(vary="accept-encoding,Accept"), DAY, id="vary by ours"),
        pytest.param(SourceFacts(vary=" , "), DAY, id="vary by nothing"),
        # max-age
        pytest.param(SourceFacts(cache_control="max-age=60"), 60, id="max-age"),
        pytest.param(SourceFacts(cache_control='Max-Age="60"'), 60, id="quoted"),
        pytest.param(SourceFacts(cache_control="max-age=60, s-maxage=90"), 90, id="s-maxage"),
        pytest.param(SourceFacts(cache_control="s-maxage=0, max-age=60"), 0, id="s-maxage=0"),
        pytest.param(SourceFacts(cache_control="max-age=60, max-age=90"), 60, id="the first"),
        pytest.param(SourceFacts(cache_control="max-age=60", age="20"), 40, id="less age"),
        pytest.param(SourceFacts(cache_control="max-age=60", age="60"), 0, id="all age"),
        pytest.param(SourceFacts(cache_control="max-age=60", age="99"), 0, id="more age"),
        pytest.param(SourceFacts(cache_control="max-age=60", age="x"), 60, id="age unreadable"),
        pytest.param(SourceFacts(cache_control="max-age=86401"), DAY, id="a day at most"),
        pytest.param(SourceFacts(cache_control="max-age=" + "9" * 400), DAY, id="huge"),
        pytest.param(SourceFacts(cache_control="max-age=-1"), 0, id="negative"),
        pytest.param(SourceFacts(cache_control="max-age=1.5"), 0, id="fraction"),
        pytest.param(SourceFacts(cache_control="max-age"), 0, id="no argument"),
        pytest.param(SourceFacts(cache_control="max-age=٣"), 0, id="digits of another script"),
        pytest.param(
            SourceFacts(cache_control="max-age=60", expires=NOON, date=NOON), 60, id="over expires"
        ),
        # Expires
        pytest.param(SourceFacts(expires=ONE, date=NOON), 3600, id="expires"),
        pytest.param(SourceFacts(expires=NOON, date=ONE), 0, id="expired"),
        pytest.param(SourceFacts(expires="0", date=NOON), 0, id="0 is in the past"),
        pytest.param(SourceFacts(expires="", date=NOON), 0, id="expires is empty"),
        pytest.param(SourceFacts(expires=EVER, date=NOON), DAY, id="far"),
        pytest.param(SourceFacts(expires="Sun, 06 Nov 1994 12:00 +9999", date=NOON), 0, id="zone"),
        pytest.param(SourceFacts(expires=ONE, date="yesterday"), 0, id="date unreadable"),
        pytest.param(SourceFacts(expires=ONE), 0, id="no date"),
    ],
)
def test_the_table(facts: SourceFacts, seconds: float) -> None:
    assert lifetime(facts) == seconds


@pytest.mark.usefixtures("zone")
@pytest.mark.parametrize(
    "expires",
    [
        pytest.param(ONE, id="IMF-fixdate"),
        pytest.param("Sunday, 06-Nov-94 13:00:00 GMT", id="RFC 850"),
        pytest.param("Sun Nov  6 13:00:00 1994", id="asctime"),
    ],
)
def test_the_three_date_formats_are_gmt_wherever_the_server_stands(expires: str) -> None:
    assert lifetime(SourceFacts(expires=expires, date=NOON)) == 3600


_maybe = st.none() | st.text(max_size=30)


@given(_maybe, _maybe, _maybe, _maybe, _maybe)
def test_whatever_an_origin_says_gives_a_time_from_nothing_to_a_day(
    cache_control: str | None,
    expires: str | None,
    date: str | None,
    age: str | None,
    vary: str | None,
) -> None:
    facts = SourceFacts(
        cache_control=cache_control, expires=expires, date=date, age=age, vary=vary
    )  # fmt: skip
    assert 0 <= lifetime(facts) <= DAY


@given(st.lists(st.sampled_from([*NOON.split(), "0", "-1", "+9999", "99", "1", ",", ":"])))
def test_a_date_in_any_disorder_is_a_time_or_none(words: list[str]) -> None:
    assert 0 <= lifetime(SourceFacts(expires=" ".join(words), date=NOON)) <= DAY


@pytest.mark.parametrize(
    ("value", "directives"),
    [
        (None, {}),
        ("", {}),
        (" , ,", {}),
        ("Public", {"public": ""}),
        ('a=1, B = "2" ,c', {"a": "1", "b": "2", "c": ""}),
        ("a=1,a=2", {"a": "1"}),
        ("=1", {}),
    ],
)
def test_cache_control_is_read_leniently(value: str | None, directives: dict[str, str]) -> None:
    assert parse_cache_control(value) == directives


@pytest.mark.parametrize(
    ("now", "seconds"), [(1000.0, 60), (1015.5, 44.5), (1060.0, 0), (1070.0, -10), (999.0, 0)]
)
def test_what_remains_is_counted_from_when_the_preview_was_made(now: float, seconds: float) -> None:
    preview = Preview(b"", "image/jpeg", 1000.0, lifetime=60.0)
    assert remaining(preview, now) == seconds


def test_the_operators_bounds_hold_for_what_may_be_kept() -> None:
    policy = Policy(min_age=30, max_age=90)
    said = [(SourceFacts(cache_control=f"max-age={n}")) for n in (0, 60, 100)]
    assert [lifetime(facts, policy) for facts in said] == [30, 60, 90]
    assert lifetime(SourceFacts(), policy) == 90
    assert lifetime(SourceFacts(cache_control="no-cache"), policy) == 0
    assert lifetime(SourceFacts(cache_control="no-store"), policy) == 0


@pytest.mark.parametrize(
    ("facts", "storable"),
    [
        (SourceFacts(), True),
        (SourceFacts(cache_control="no-cache"), True),
        (SourceFacts(cache_control="max-age=0"), True),
        (SourceFacts(vary="User-Agent"), True),
        (SourceFacts(cache_control="no-store"), False),
        (SourceFacts(cache_control="max-age=60, private"), False),
        (SourceFacts(vary="Accept, *"), False),
    ],
)
def test_what_a_shared_cache_may_keep(facts: SourceFacts, storable: bool) -> None:  # noqa: FBT001 # a table
    assert is_storable(facts) is storable


@pytest.mark.parametrize(
    ("cache_control", "expected"),
    [
        pytest.param(None, (60, DAY), id="nothing: the operator's"),
        pytest.param("max-age=60", (60, DAY), id="nothing of it"),
        pytest.param("max-age=1, must-revalidate", (0, 0), id="9111 5.2.2.2"),
        pytest.param("no-cache, stale-if-error=9", (0, 0), id="9111 5.2.2.4"),
        pytest.param("max-age=1, proxy-revalidate", (0, 0), id="9111 5.2.2.8"),
        pytest.param("s-maxage=1", (0, 0), id="9111 5.2.2.10"),
        pytest.param("s-maxage=1, stale-if-error=9", (0, 9), id="its own word over the implied"),
        pytest.param("stale-while-revalidate=7", (7, DAY), id="5861 3"),
        pytest.param("stale-if-error=9", (60, 9), id="5861 4"),
        pytest.param("stale-if-error=x, stale-while-revalidate", (0, 0), id="unreadable"),
    ],
)
def test_the_table_of_what_is_stale(
    cache_control: str | None, expected: tuple[float, float]
) -> None:
    assert windows(SourceFacts(cache_control=cache_control)) == expected


def test_a_variant_is_told_by_the_fields_that_vary_names() -> None:
    one, other = (("user-agent", "a"), ("x", "1")), (("user-agent", "b"), ("x", "1"))
    assert variant(None, one) == variant("Accept, Accept-Encoding", other) == ""
    assert variant("User-Agent", one) != variant("User-Agent", other)
    assert variant("X", one) == variant("x", other) != ""
    assert variant("X, User-Agent", one) == variant("user-agent , x", one)
    assert variant("Y", one) == variant("Y", ())


def test_what_was_made_for_some_suits_those_alone() -> None:
    one, other = (("user-agent", "a"),), (("user-agent", "b"),)
    facts = SourceFacts(vary="User-Agent")
    made = Preview(b"", "image/jpeg", 1.0, 1.0, facts, variant=variant(facts.vary, one))
    assert suits(made, one)
    assert not suits(made, other)
    assert suits(Preview(b"", "image/jpeg", 1.0, 1.0), other)


def test_a_304_brings_what_is_known_up_to_date() -> None:
    """RFC 9111, 4.3.4; its own Age and Date count, not those of the answer before."""
    known = SourceFacts('"1"', NOON, "max-age=1", None, NOON, "9", "X", "abc")
    said = SourceFacts(etag='"2"', cache_control="max-age=60", date=ONE)
    expected = SourceFacts('"2"', NOON, "max-age=60", None, ONE, None, "X", "abc")
    assert merged(known, said) == expected
