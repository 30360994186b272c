from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from micropic.domain.errors import LoopDetected
from micropic.domain.headers import (
    carries_credentials,
    field,
    forwardable,
    host_matches,
    without_credentials,
)

OURS = ("cdn-loop", "micropic")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b"User-Agent", b"curl/8"),
        (b"Referer", b"https://shop.example/"),
        (b"Accept-Language", b"de, en;q=0.5"),
        (b"X-Custom", b""),
        (b"X-Custom", "größe\t1".encode()),
        (b"Via", b"1.1 edge"),
        (b"Authorization", b"Basic eDp5"),
        (b"Cookie", b"a=1; b=2"),
        (b"DNT", b"1"),
    ],
)
def test_an_end_to_end_field_is_forwarded(name: bytes, value: bytes) -> None:
    assert forwardable([(name, value)]) == ((name.decode().lower(), value.decode()), OURS)


@pytest.mark.parametrize(
    "name",
    [
        # hop by hop
        "Connection", "Keep-Alive", "TE", "Trailer", "Transfer-Encoding", "Upgrade",
        "HTTP2-Settings", "Proxy-Authorization", "Proxy-Connection", "Proxy-Anything",
        # ours to say
        "Host", "Range", "Accept", "Accept-Encoding", "Expect", "Content-Length", "Content-Type",
        "Content-Encoding", "If-None-Match", "If-Modified-Since", "If-Range",
        # about the way
        "Forwarded", "X-Real-IP", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Anything",
        # keys to metadata services
        "Metadata", "Metadata-Flavor", "X-Google-Metadata-Request", "X-aws-ec2-metadata-token",
        "X-aws-ec2-metadata-token-ttl-seconds", "X-Aliyun-ECS-Metadata-Token",
    ],
)  # fmt: skip
def test_a_field_that_is_not_the_clients_to_say_is_held_back(name: str) -> None:
    for spelling in (name, name.lower(), name.upper()):
        assert forwardable([(spelling.encode(), b"x")]) == (OURS,)


def test_what_connection_names_is_held_back() -> None:
    fields = [
        (b"X-Kept", b"1"),
        (b"X-Secret", b"2"),
        (b"Connection", b"close, X-SECRET"),
        (b"Connection", b"cookie"),
        (b"Cookie", b"a=1"),
    ]
    assert forwardable(fields) == (("x-kept", "1"), OURS)


def test_a_field_that_stands_twice_is_forwarded_twice_and_in_order() -> None:
    fields = [(b"X-A", b"1"), (b"X-B", b"2"), (b"x-a", b"3")]
    assert forwardable(fields) == (("x-a", "1"), ("x-b", "2"), ("x-a", "3"), OURS)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b"", b"x"),
        (b"X A", b"x"),
        (b"X-A:", b"x"),
        (b"X-\xc3\xa9", b"x"),
        (b"X-A\n", b"x"),
        (b"X-A", b"a\r\nX-B: c"),
        (b"X-A", "a\x85b".encode()),
        (b"X-A", "a\u2028b".encode()),
        (b"X-A", "a\u202eb".encode()),
        (b"X-A", "a\u2066b".encode()),
        (b"X-A", b"a\n"),
        (b"X-A", b"\x00"),
        (b"X-A", b"\x7f"),
        (b"X-A", b"\xff"),
    ],
)
def test_a_field_that_is_no_legal_http_is_left_out(name: bytes, value: bytes) -> None:
    assert forwardable([(name, value)]) == (OURS,)


@given(st.lists(st.tuples(st.binary(max_size=20), st.binary(max_size=20))))
def test_any_bytes_give_fields_that_may_stand_in_a_request(
    fields: list[tuple[bytes, bytes]],
) -> None:
    for name, value in forwardable(fields):
        assert name.isascii()
        assert name == name.lower()
        assert not set("\r\n\0") & set(name + value)


@pytest.mark.parametrize(
    "values",
    [
        [b"micropic"],
        [b"MicroPic"],
        [b"other, micropic"],
        [b'other; v="1", micropic;id=3'],
        [b"other", b"micropic"],
    ],
)
def test_a_request_that_has_been_here_is_a_loop(values: list[bytes]) -> None:
    with pytest.raises(LoopDetected):
        forwardable([(b"CDN-Loop", value) for value in values])


def test_the_way_through_other_cdns_is_kept_and_ours_added() -> None:
    fields = [(b"CDN-Loop", b"fastly; v=1"), (b"CDN-Loop", b"not-micropic, micropic2")]
    assert forwardable(fields) == (
        ("cdn-loop", "fastly; v=1, not-micropic, micropic2, micropic"),
    )  # fmt: skip


def test_naming_cdn_loop_in_connection_does_not_hide_a_loop() -> None:
    with pytest.raises(LoopDetected):
        forwardable([(b"Connection", b"cdn-loop"), (b"CDN-Loop", b"micropic")])


@pytest.mark.parametrize("name", ["authorization", "cookie"])
def test_credentials_are_told_apart(name: str) -> None:
    headers = (("x-a", "1"), (name, "secret"), ("x-cookie", "2"))
    assert carries_credentials(headers)
    assert without_credentials(headers) == (("x-a", "1"), ("x-cookie", "2"))
    assert not carries_credentials(without_credentials(headers))


@pytest.mark.parametrize(
    ("host", "patterns", "expected"),
    [
        ("a.example", ["a.example"], True),
        ("a.example.", ["a.example"], True),
        ("b.example", ["a.example", "b.example"], True),
        ("a.example", ["*"], True),
        ("a.example", ["*.example"], True),
        ("a.b.example", ["*.example"], True),
        ("example", ["*.example"], False),
        ("badexample", ["*.example"], False),
        ("a.example.evil", ["a.example", "*.example"], False),
        ("xa.example", ["a.example"], False),
        ("a.example", [], False),
        ("[::1]", ["[::1]"], True),
        ("1", ["[::1]"], False),
    ],
)
def test_a_host_matches_a_pattern_as_a_whole(
    host: str, patterns: list[str], *, expected: bool
) -> None:
    assert host_matches(host, patterns) is expected


def test_a_field_that_stands_twice_is_one_list() -> None:
    fields = [(b"accept", b"a/b"), (b"host", b"h"), (b"accept", b"c/d;q=0.1")]
    assert field(fields, b"accept") == b"a/b, c/d;q=0.1"
    assert field(fields, b"cookie") == b""


def test_only_the_chosen_fields_go_where_some_are_chosen() -> None:
    fields = [(b"X-A", b"1"), (b"x-b", b"2"), (b"Host", b"h")]
    assert forwardable(fields, {"x-a", "host"}) == (("x-a", "1"), OURS)
    assert forwardable(fields, set()) == (OURS,)
