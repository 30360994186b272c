"""Conditional and partial answers, by the sections of RFC 9110."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from micropic.web.conditions import (
    NotSatisfiableError,
    byte_range,
    conditions,
    http_date,
    not_modified,
)

ETAG = '"abc"'
DATE = "Tue, 24 Nov 2026 10:00:00 GMT"
LATER = "Tue, 24 Nov 2026 10:00:01 GMT"
EARLIER = "Tue, 24 Nov 2026 09:59:59 GMT"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, False),
        # 13.1.2
        ({b"if-none-match": b'"abc"'}, True),
        ({b"if-none-match": b'W/"abc"'}, True),
        ({b"if-none-match": b'"x", W/"abc" ,"y"'}, True),
        ({b"if-none-match": b"*"}, True),
        ({b"if-none-match": b'"ab", "abcd"'}, False),
        ({b"if-none-match": b"abc"}, False),
        ({b"if-none-match": b""}, False),
        ({b"if-none-match": b'"a, "abc'}, False),
        # 13.1.3
        ({b"if-modified-since": DATE.encode()}, True),
        ({b"if-modified-since": LATER.encode()}, True),
        ({b"if-modified-since": EARLIER.encode()}, False),
        ({b"if-modified-since": b"yesterday"}, False),
        # 13.2.2: a tag is looked at first, and alone
        ({b"if-none-match": b'"x"', b"if-modified-since": LATER.encode()}, False),
        ({b"if-none-match": b'"abc"', b"if-modified-since": EARLIER.encode()}, True),
    ],
)
def test_what_the_client_has_already(fields: dict[bytes, bytes], *, expected: bool) -> None:
    assert not_modified(fields, ETAG, DATE) is expected


def test_without_a_date_of_the_origins_no_date_is_met() -> None:
    assert not not_modified({b"if-modified-since": LATER.encode()}, ETAG, None)
    assert not not_modified({b"if-modified-since": LATER.encode()}, ETAG, "soon")


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        # 14.1.2
        (b"bytes=0-0", (0, 0)),
        (b"bytes=2-5", (2, 5)),
        (b"bytes=2-", (2, 9)),
        (b"bytes=2-99", (2, 9)),
        (b"bytes=-3", (7, 9)),
        (b"bytes=-99", (0, 9)),
        (b"Bytes= 9-9 ", (9, 9)),
        # 14.2: answered whole
        (b"bytes=0-1,3-4", None),
        (b"bytes=5-2", None),
        (b"bytes=-", None),
        (b"bytes=a-b", None),
        (b"lines=1-2", None),
        (b"", None),
        (b"bytes=" + b"9" * 30 + b"-", None),
    ],
)
def test_a_range_is_answered_in_part(asked: bytes, expected: tuple[int, int] | None) -> None:
    assert byte_range({b"range": asked}, ETAG, DATE, 10) == expected


@pytest.mark.parametrize("asked", [b"bytes=10-", b"bytes=10-20", b"bytes=-0"])
def test_a_range_behind_the_end_cannot_be_met(asked: bytes) -> None:
    with pytest.raises(NotSatisfiableError):
        byte_range({b"range": asked}, ETAG, DATE, 10)


@pytest.mark.parametrize(
    ("validator", "partial"),
    [
        (b'"abc"', True), (b'W/"abc"', False), (b'"x"', False), (DATE.encode(), True),
        (LATER.encode(), False), (b"", False),
    ],
)  # fmt: skip
def test_if_range_lets_only_the_very_same_be_cut(validator: bytes, *, partial: bool) -> None:
    """13.1.5: the strong comparison, and the very date."""
    asked = {b"range": b"bytes=0-1", b"if-range": validator}
    assert (byte_range(asked, ETAG, DATE, 10) is not None) is partial


def test_only_conditions_are_picked() -> None:
    fields = [(b"host", b"h"), (b"range", b"x"), (b"if-match", b"*"), (b"if-none-match", b"y")]
    assert conditions(fields) == {b"range": b"x", b"if-none-match": b"y"}


def test_only_dates_are_handed_on() -> None:
    assert http_date(DATE) == DATE
    assert http_date("soon") is None
    assert http_date(None) is None


@given(st.binary(max_size=30), st.binary(max_size=30), st.integers(0, 20))
def test_any_range_at_all_lies_inside(value: bytes, digits: bytes, length: int) -> None:
    for asked in (value, b"bytes=" + digits):
        try:
            part = byte_range({b"range": asked}, ETAG, DATE, length)
        except NotSatisfiableError:
            continue
        assert part is None or 0 <= part.first <= part.last < length


@pytest.mark.parametrize("comment", ["\u20ac", "\udce9", "\x01", "\x7f"])
def test_a_date_that_cannot_stand_in_a_header_is_none(comment: str) -> None:
    assert http_date(f"{DATE} ()") == f"{DATE} ()"
    assert http_date(f"{DATE} ({comment})") is None
