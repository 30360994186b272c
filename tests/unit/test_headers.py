from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from micropic.domain.errors import LoopDetected
from micropic.domain.headers import (
    DEFAULT,
    HOPS,
    IDENTITY,
    PLAIN,
    FieldRules,
    Kind,
    carries_credentials,
    client_digest,
    client_fields,
    field,
    host_matches,
    only_plain,
    plain_digest,
)
from micropic.domain.model import Headers

OURS = ("cdn-loop", "micropic")


def forwardable(fields: Iterable[tuple[bytes, bytes]], *forward: str) -> Headers:
    chosen = FieldRules(frozenset(forward)) if forward else DEFAULT
    return client_fields(fields, chosen).headers


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b"User-Agent", b"curl/8"),
        (b"Referer", b"https://shop.example/"),
        (b"Accept-Language", b"de, en;q=0.5"),
        (b"X-Custom", b""),
        (b"X-Custom", "größe\t1".encode()),
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
def test_credentials_are_recognized(name: str) -> None:
    assert carries_credentials((("x-a", "1"), (name, "secret")))
    assert not carries_credentials((("x-a", "1"), ("x-cookie", "2")))


def kinds(names: Iterable[str], rules: FieldRules | None = None) -> set[Kind]:
    return {(rules or DEFAULT).kind(name.lower()) for name in names}


IDENTITY_FIELDS = [
    "Authorization", "Cookie", "Cookie2", "Cf-Access-Jwt-Assertion", "CF-Access-Client-Id",
    "Cf-Access-Client-Secret", "X-Goog-Iap-Jwt-Assertion", "X-Goog-Authenticated-User-Email",
    "X-Amzn-Oidc-Data", "X-Amzn-Oidc-Identity", "X-Auth-Request-User", "X-Auth-Token", "X-Api-Key",
    "ApiKey", "Private-Token", "Remote-User", "REMOTE_USER", "Ssl-Client-Cert", "SSL_CLIENT_S_DN",
    "X-SSL-Client-Verify", "X-Amz-Security-Token", "X-Csrf-Token", "X-XSRF-TOKEN", "X_Api_Key",
    "X-Session-Id", "X-My-Secret", "X-Client-Cert", "Client-Cert-Chain", "X-Ms-Client-Principal",
    "X-Pomerium-Claim-Email", "Tailscale-User-Login", "DPoP", "Signature", "X-Hub-Signature-256",
    "X-Username", "X-Github-OTP", "Sec-Session-Response", "X-Vault-Token", "X-Ocp-Api-Key-2",
]  # fmt: skip


@pytest.mark.parametrize("name", IDENTITY_FIELDS)
def test_identity_goes_to_no_host_but_those_for_credentials(name: str) -> None:
    for spelling in (name, name.lower(), name.upper(), name.replace("-", "_")):
        told = client_fields([(spelling.encode(), b"me"), (b"DNT", b"1")])
        assert told.public == (("dnt", "1"), OURS)
        assert told.headers == ((spelling.lower(), "me"), ("dnt", "1"), OURS)
        assert told.has_identity
        assert (told.keyed_by, told.digest) == ((), "")


def test_the_operator_chooses_what_is_identity_but_for_the_credentials_of_http() -> None:
    own = FieldRules(identity=["x-member*"])
    assert kinds(["X-Member", "X_Member_Id", "Cookie", "Authorization"], own) == {Kind.IDENTITY}
    assert kinds(["X-Api-Key"], own) == {Kind.KEYED}
    assert kinds(["Cookie"], FieldRules(identity=[])) == {Kind.IDENTITY}


HOP_FIELDS = [
    "Via", "traceparent", "tracestate", "X-Request-Id", "X-Amzn-Trace-Id", "X-Cloud-Trace-Context",
    "X-B3-TraceId", "X-B3-Sampled", "CF-Ray", "CF-IPCountry", "X-Amz-Cf-Id", "X-Varnish",
    "Fastly-Client-IP", "X_Request_Id", "X-Scheme", "Alt-Used", "CloudFront-Viewer-Address",
]  # fmt: skip


@pytest.mark.parametrize("name", HOP_FIELDS)
def test_a_field_of_a_hop_is_in_no_key_and_sent_only_if_it_is_named(name: str) -> None:
    fields = [(name.encode(), b"7")]
    assert client_fields(fields).headers == (OURS,)
    named = FieldRules(frozenset({"all", name.lower()}))
    told = client_fields([*fields, (b"X-Shop", b"owls")], named)
    assert told.public == ((name.lower(), "7"), ("x-shop", "owls"), OURS)
    assert told.keyed_by == ("x-shop",)
    assert only_plain(told.public, named) == (OURS,)


def test_an_access_proxy_is_no_hop() -> None:
    assert kinds(["Cf-Access-Country"]) == {Kind.IDENTITY}
    assert kinds(["Cf-Access-Country"], FieldRules(identity=[])) == {Kind.KEYED}


def test_more_hops_may_be_listed() -> None:
    more = FieldRules(hops=["x-edge-*", "x_shard"])
    assert kinds(["X-Edge-Id", "X_Edge_Id", "X-Shard"], more) == {Kind.WITHHELD}
    assert kinds(["X-Session-Edge"], FieldRules(hops=["x-session-edge"])) == {Kind.WITHHELD}


def test_identity_that_is_a_hop_and_named_stays_identity() -> None:
    rules = FieldRules(frozenset({"all", "fastly-key-token"}))
    assert kinds(["Fastly-Key-Token"], rules) == {Kind.IDENTITY}


def test_what_browsers_send_with_every_image_is_in_no_key() -> None:
    names = [
        "User-Agent", "Accept-Language", "Referer", "Origin", "Sec-Fetch-Dest", "Sec-CH-UA",
        "Sec-GPC", "DNT", "Priority", "Save-Data", "Upgrade-Insecure-Requests", "Cache-Control",
        "Pragma", "Attribution-Reporting-Support",
    ]  # fmt: skip
    assert kinds(names) == {Kind.PLAIN}
    told = client_fields([(name.encode(), b"1") for name in names])
    assert (told.keyed_by, told.digest, told.has_identity) == ((), "", False)
    assert only_plain(told.headers) == told.headers == told.public


def test_a_plain_name_in_another_spelling_is_keyed() -> None:
    assert kinds(["User_Agent", "X-User-Agent", "Accept_Language"]) == {Kind.KEYED}


def test_no_mark_in_a_name_gets_it_past_a_list() -> None:
    never = ["X.Forwarded.For", "X!Real|IP", "Metadata.Flavor", "Transfer.Encoding", "If.Match"]
    assert kinds(never) == {Kind.WITHHELD}
    identity = ["X.Api.Key", "X+Api~Key", "Authorization.", "Remote.User", "Private*Token"]
    assert kinds(identity) == {Kind.IDENTITY}
    assert kinds(["X.Shop", "X*Shop"]) == {Kind.KEYED}


def test_who_the_client_is_has_more_names_than_one() -> None:
    names = ["X-Auth", "X-Amzn-Mtls-Clientcert-Subject", "X-Appengine-User-Email", "X-Passwd",
             "X-Replit-User-Id", "X-Plex-User", "X-Bearer", "X-Saml-Email"]  # fmt: skip
    assert kinds(names) == {Kind.IDENTITY}


def test_no_list_takes_from_another() -> None:
    literal = [name for name in (*PLAIN, *HOPS, *IDENTITY) if "*" not in name]
    assert len(literal) == len(set(literal))
    assert kinds(name for name in PLAIN if "*" not in name) == {Kind.PLAIN}
    assert kinds(name for name in IDENTITY if "*" not in name) == {Kind.IDENTITY}
    assert kinds(HOPS, FieldRules(frozenset({*HOPS}))) == {Kind.HOP}


def keyed(*fields: tuple[bytes, bytes]) -> tuple[tuple[str, ...], str]:
    told = client_fields(fields)
    return told.keyed_by, told.digest


def test_all_other_fields_are_in_the_key_whatever_their_order() -> None:
    names, digest = keyed((b"X-Shop", b"owls"), (b"DNT", b"1"), (b"X-Theme", b"dark"))
    assert names == ("x-shop", "x-theme")
    assert len(digest) == 40
    assert keyed((b"x-theme", b"dark"), (b"x-shop", b"owls")) == (names, digest)
    others = [
        keyed((b"X-Shop", b"owls")),
        keyed((b"X-Shop", b"owls"), (b"X-Theme", b"light")),
        keyed((b"X-Shop", b"owls"), (b"X-Theme", b"dark"), (b"X-Theme", b"dark")),
        keyed((b"X-Shop", b"dark"), (b"X-Theme", b"owls")),
        keyed((b"X_Shop", b"owls"), (b"X-Theme", b"dark")),
        keyed((b"X-Shop", b""), (b"X-Theme", b"dark")),
    ]
    assert len({digest, *(other for _, other in others)}) == 7


def test_the_values_of_one_name_keep_their_order() -> None:
    assert keyed((b"X-A", b"1"), (b"X-A", b"2")) != keyed((b"X-A", b"2"), (b"X-A", b"1"))
    assert keyed((b"X-A", b"1"), (b"X-A", b"2"))[0] == ("x-a",)


def test_what_does_not_reach_the_origin_is_in_no_key() -> None:
    assert keyed((b"X-A", b"1"), (b"Connection", b"x-a")) == ((), "")
    assert keyed((b"X-A", b"\xff"), (b"X-Forwarded-For", b"1.2.3.4")) == ((), "")
    assert client_fields([(b"X-A", b"1")], FieldRules(frozenset())).digest == ""


def test_the_trace_context_is_at_hand_though_no_origin_sees_it() -> None:
    told = client_fields([(b"Traceparent", b"00-1-2-01"), (b"X-A", b"1"), (b"tracestate", b"a=b")])
    assert told.trace == (("traceparent", "00-1-2-01"), ("tracestate", "a=b"))
    assert told.headers == (("x-a", "1"), OURS)


def test_another_origin_gets_the_plain_fields_alone() -> None:
    sent = (("x-a", "1"), ("cookie", "2"), ("dnt", "1"), ("x-token", "3"), OURS)
    assert only_plain(sent) == (("dnt", "1"), OURS)


def test_clients_that_an_origin_may_tell_apart_are_told_apart() -> None:
    page, german = ("referer", "https://shop.example/a?b"), ("accept-language", "de")
    assert plain_digest((("x-shop", "owls"), OURS)) == ""
    assert plain_digest((page, german, OURS)) == plain_digest((german, page))
    digests = {
        plain_digest(headers)
        for headers in (
            (page,),
            (("referer", "https://shop.example/evil"),),
            (("referer", ""),),
            (german,),
            (("accept-language", "evil"),),
            (("cdn-loop", "evil, micropic"),),
            (page, ("user-agent", "robot")),
            (("sec-fetch-dest", "document"),),
            (),
        )
    }
    assert len(digests) == 9


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
    assert forwardable(fields, "x-a", "host") == (("x-a", "1"), OURS)
    assert forwardable(fields, "x-z") == (OURS,)


def test_clients_are_alike_if_both_their_keyed_and_their_plain_fields_are() -> None:
    page, robot = (("referer", "https://shop.example/"),), (("user-agent", "robot"),)
    digests = {client_digest(sent, keyed) for sent in (page, robot, ()) for keyed in ("", "ab")}
    assert len(digests) == 6
    assert client_digest((*page, ("x-shop", "owls")), "ab") == client_digest(page, "ab")
