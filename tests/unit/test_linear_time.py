"""What clients and origins write is read in linear time, and only as far as it can mean anything.

Sizes are those that can come: 64 KiB of a request's line and fields, 8 KiB of a path that is read.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from ipaddress import ip_network
from itertools import count
from typing import Any

import pytest

from micropic.adapters.source_lists import Links
from micropic.domain import accept, freshness, headers, hosts, masking, urls
from micropic.domain.model import Format
from micropic.web import conditions, responses
from micropic.web.entrance import Entrance
from tests.support.steps import growth

_PIECES = [
    "/", "@", "%40", ":@", "a:@", "/a:b@", "%2F", "%2f%40", "?", "=", "&", "&=", "a&", "%3F",
    "%26", ";", "%", "%%", "%a", "%25", "a", ":", "\u00e9", "\\",
]  # fmt: skip
_LISTS = [",", "a,", "a;q=1,", "a;", ";q=", ";q  =", " ", "\t,", '"', 'W/"', '"a", ', "micropic,"]
_HOPS = [",", "10.0.0.1,", "[::1]:1,", "for=10.0.0.1,", ";for=", 'for="', ";\t", "9", ":1"]
_ROUND = count()
_TRUSTED = (ip_network("10.0.0.0/8"),)


def fresh(piece: str, size: int) -> str:
    """Repeat a piece; the text is another one each time, so that no memory of it helps."""
    return f"{next(_ROUND)}/" + (piece * (size // len(piece) + 1))[:size]


def path(piece: str, size: int) -> Any:
    return urls.parse_path(b"/fill/9/9/h/" + fresh(piece, size).encode(), b"", urls.DEFAULT)


def encoded_path(piece: str, size: int) -> Any:
    source = b"http%3A%2F%2Fh%2F" + fresh(piece, size).encode()
    return urls.parse_path(b"/fill/9/9/" + source, b"", urls.DEFAULT)


def client(name: str, piece: str, size: int) -> str:
    fields = [(name.encode(), fresh(piece, size).encode())]
    entrance = Entrance(trusted=_TRUSTED, client_header=name)
    return entrance.client({"client": ("10.0.0.1", 1), "headers": fields})


def varied(_: str, size: int) -> str:
    """Choose by `size` fields of a request that has as many."""
    names = [f"x{number}" for number in range(size)]
    return freshness.variant(",".join(names), tuple((name, "1") for name in names))


READERS: dict[str, tuple[Callable[[str, int], Any], list[str], int]] = {
    "decoding": (lambda piece, size: masking.text(fresh(piece, size).encode()), ["a", "é"], 16384),
    "path": (path, _PIECES, 2000),
    "encoded path": (encoded_path, _PIECES, 2000),
    "file name": (
        lambda piece, size: responses._disposition("/" + fresh(piece, size), "image/png"),
        _PIECES, 2000,
    ),
    "host": (lambda piece, size: hosts.normal(fresh(piece, size)), ["a.", "é.", "0x", "-"], 2000),
    "Accept": (
        lambda piece, size: accept.best(fresh(piece, size), frozenset(Format)), _LISTS, 2000,
    ),
    "Connection": (
        lambda piece, size: headers.client_fields([(b"connection", fresh(piece, size).encode())]),
        _LISTS, 16384,
    ),
    "CDN-Loop": (
        lambda piece, size: headers.client_fields([(b"cdn-loop", fresh(piece, size).encode())]),
        _LISTS, 16384,
    ),
    "Cache-Control": (
        lambda piece, size: freshness.parse_cache_control(fresh(piece, size)), _LISTS, 4096,
    ),
    "If-None-Match": (
        lambda piece, size: conditions.not_modified(
            {b"if-none-match": fresh(piece, size).encode()}, '"x"', None
        ),
        _LISTS, 4096,
    ),
    "Range": (
        lambda piece, size: conditions.byte_range(
            {b"range": b"bytes=" + fresh(piece, size).encode()}, '"x"', None, 9
        ),
        [" ", "9", "0-1,", "\t"], 4096,
    ),
    "X-Forwarded-For": (lambda piece, size: client("x-forwarded-for", piece, size), _HOPS, 16384),
    "Forwarded": (lambda piece, size: client("forwarded", piece, size), _HOPS, 16384),
    "Vary": (varied, [""], 64),
    "list of sources": (
        lambda piece, size: Links("http://h/").feed(f'<a href="{piece * size}\n">'), [".jpg?"], 500,
    ),
    "unclosed tags": (
        lambda piece, size: Links("http://h/").feed(piece * size), ["<loc>http://h/a"], 500,
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("reader", "piece"),
    [(name, piece) for name, (_, pieces, _) in READERS.items() for piece in pieces],
)
def test_four_times_the_text_takes_about_four_times_the_work(reader: str, piece: str) -> None:
    read, _, size = READERS[reader]
    assert growth(lambda length: read(piece, length), size) < 9


def calls(work: Callable[[], Any]) -> int:
    """Count the calls that some work makes."""
    made = 0

    def note(*_: object) -> None:
        nonlocal made
        made += 1

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(before)
    return made


@pytest.mark.parametrize("piece", _PIECES)
@pytest.mark.parametrize("begin", ["/fill/9/9/h/", "/fill/9/9/h?"])
def test_no_more_of_an_address_is_masked_than_is_logged(begin: str, piece: str) -> None:
    most = 8 * masking.LONGEST
    assert calls(lambda: masking.masked(begin + fresh(piece, 65_536))) < most


@pytest.mark.parametrize("piece", _HOPS)
@pytest.mark.parametrize("name", ["x-forwarded-for", "forwarded"])
def test_addresses_that_nobody_vouches_for_are_not_read(name: str, piece: str) -> None:
    assert calls(lambda: client(name, piece, 30_000)) < 2000


@pytest.mark.parametrize("piece", _LISTS)
def test_no_more_of_connection_is_read_than_means_anything(piece: str) -> None:
    field = (b"connection", fresh(piece, 30_000).encode())
    assert calls(lambda: headers.client_fields([field])) < 5000


def test_a_condition_that_is_too_long_is_none() -> None:
    listed = b'"a", ' * 1000 + b'"x"'
    assert conditions.conditions([(b"if-none-match", listed), (b"range", b"bytes=0-1")]) == {
        b"range": b"bytes=0-1"
    }
