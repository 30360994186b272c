from __future__ import annotations

import string
from dataclasses import fields, replace
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from micropic.domain.errors import BadRequest, PreviewForbidden
from micropic.domain.model import (
    Anchor,
    Colour,
    FocusPoint,
    Format,
    Formats,
    Mode,
    Scheme,
    Size,
    SourceUrl,
    Transform,
)
from micropic.domain.options import Defaults
from micropic.domain.urls import (
    DEFAULT,
    MAX_LENGTH,
    AllowedPreview,
    Grammar,
    build_path,
    build_transform,
    check_transform,
    fields_of,
    is_source_key,
    keyed_by,
    parse_key,
    parse_path,
    parse_source,
    parse_transform,
    source_key,
    source_of,
    transforms_of,
    variant_key,
    with_option,
)

FILL = b"/fill/300/200/"


def parse(raw: bytes, grammar: Grammar = DEFAULT) -> tuple[Transform, SourceUrl]:
    """Parse as the server does: what stands after the first question mark is the query."""
    path, _, query = raw.partition(b"?")
    return parse_path(path, query, grammar)[:2]


# --- the source ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "url"),
    [
        pytest.param(b"www.example.com/a/b.jpg", "http://www.example.com/a/b.jpg", id="plain"),
        pytest.param(b"h", "http://h/", id="host alone"),
        pytest.param(b"h?a=1", "http://h/?a=1", id="host and query"),
        pytest.param(b"h//a/../b", "http://h//a/../b", id="dots and slashes stay"),
        pytest.param(b"h/u@x:y", "http://h/u@x:y", id="at sign in the path"),
        # byte for byte
        pytest.param(b"h/o%2Fcat.jpg", "http://h/o%2Fcat.jpg", id="encoded slash stays"),
        pytest.param(b"h/o%2fcat.jpg", "http://h/o%2fcat.jpg", id="case of an escape stays"),
        pytest.param(b"h/x?a=1&b=%2F", "http://h/x?a=1&b=%2F", id="query stays"),
        pytest.param(b"h/x?u=http%3A%2F%2Fi", "http://h/x?u=http%3A%2F%2Fi", id="url in query"),
        pytest.param(b"h/x?y?z", "http://h/x?y?z", id="two question marks"),
        pytest.param(b"h/%00%7E%zz", "http://h/%00%7E%zz", id="escapes are not looked at"),
        pytest.param(b"h/{a}|'\"<>", "http://h/{a}|'\"<>", id="odd but sendable"),
        pytest.param(b"h/a b\xff\xc3\xa9", "http://h/a%20b%FF%C3%A9", id="unsendable is encoded"),
        pytest.param(b"h/x#y?a b", "http://h/x%23y?a%20b", id="hash and blank are encoded"),
        # encoded as a whole
        pytest.param(b"http%3A%2F%2Fh%2Fx", "http://h/x", id="encoded"),
        pytest.param(b"https%3a%2f%2fh%2fx", "https://h/x", id="encoded in lower case"),
        pytest.param(b"HTTPS%3A/h/x%2Fy", "https://h/x/y", id="encoded scheme, plain slash"),
        pytest.param(b"h%2Fa%2Fb", "http://h/a/b", id="encoded without scheme"),
        pytest.param(b"http%3A%2F%2Fh%2Fo%252Fcat", "http://h/o%2Fcat", id="decoded once"),
        pytest.param(b"http%3A%2F%2Fh%2F%2525", "http://h/%25", id="decoded only once"),
        pytest.param(b"http%3A%2F%2Fh%2Fa%20b%c3%a9", "http://h/a%20b%C3%A9", id="encoded again"),
        pytest.param(b"http%3A%2F%2Fh%2F%7B%22%7D", "http://h/%7B%22%7D", id="braces and quotes"),
        pytest.param(b"http%3A%2F%2Fh%2Fa%25zz", "http://h/a%25zz", id="lone percent sign"),
        pytest.param(b"http%3A%2F%2Fh%2Fx%3Fa%3D1%26b", "http://h/x?a=1&b", id="encoded query"),
        pytest.param(b"http%3A%2F%2Fh%2Fx%23y", "http://h/x", id="fragment goes"),
        pytest.param(b"http%3A%2F%2Fh%2Fx?a=%2F", "http://h/x?a=%2F", id="plain query stays"),
        pytest.param(b"http%3A%2F%2Fb%C3%BCcher.de", "http://xn--bcher-kva.de/", id="encoded host"),
        # scheme and host
        pytest.param(b"http://h/x", "http://h/x", id="http"),
        pytest.param(b"HTTPS://h/x", "https://h/x", id="scheme in upper case"),
        pytest.param(b"https:/h/x", "https://h/x", id="collapsed"),
        pytest.param(b"http:///h/x", "http://h/x", id="one slash too many"),
        pytest.param(b"WWW.Example.COM/X", "http://www.example.com/X", id="host in upper case"),
        pytest.param("bücher.de/ü".encode(), "http://xn--bcher-kva.de/%C3%BC", id="IDNA"),
        pytest.param("BÜCHER.de/".encode(), "http://xn--bcher-kva.de/", id="IDNA in upper case"),
        pytest.param(
            "bücher.DE/".encode(),
            "http://xn--bcher-kva.de/",
            id="IDNA and a label in upper case",
        ),
        pytest.param(b"a_b.example./x", "http://a_b.example./x", id="underscore, root dot"),
        pytest.param(b"192.0.2.1/x", "http://192.0.2.1/x", id="IPv4"),
        pytest.param(b"[2001:DB8:0::1]/x", "http://[2001:db8::1]/x", id="IPv6"),
        pytest.param(b"[::1]:8080/x", "http://[::1]:8080/x", id="IPv6 and port"),
        # port
        pytest.param(b"h:8080/x", "http://h:8080/x", id="port"),
        pytest.param(b"h:1/x", "http://h:1/x", id="least port"),
        pytest.param(b"h:65535/x", "http://h:65535/x", id="greatest port"),
        pytest.param(b"h:80/x", "http://h/x", id="default port of http"),
        pytest.param(b"https://h:0443/x", "https://h/x", id="default port of https"),
        pytest.param(b"https://h:80/x", "https://h:80/x", id="port of the other scheme"),
        pytest.param(b"http://h:443/x", "http://h:443/x", id="port of the other scheme, again"),
        # samples
        pytest.param(b"sample:owl.jpg", "sample:owl.jpg", id="sample"),
        pytest.param(b"sample%3Aowl.jpg", "sample:owl.jpg", id="encoded sample"),
        pytest.param(b"sample:owl.jpg?v=2", "sample:owl.jpg", id="a sample has no query"),
    ],
)
def test_a_source_is_brought_to_its_normal_form(source: bytes, url: str) -> None:
    assert str(parse(FILL + source)[1]) == url


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (b"", "must begin with a host"),
        (b"/", "must begin with a host"),
        (b"//h/x", "must begin with a host"),
        (b"http://", "must begin with a host"),
        (b"http:h/x", "must begin with a host"),
        (b"[::1/x", "must begin with a host"),
        (b"[fe80::1%25eth0]/x", "must begin with a host"),
        (b"h:80:80/x", "must begin with a host"),
        (b"\xff/x", "must begin with a host"),
        (b"sample:../etc/passwd", "must begin with a host"),
        (b"sample:a/b", "must begin with a host"),
        (b"[]/x", "is not a host name or an address"),
        (b"[1.2.3.4]/x", "is not a host name or an address"),
        (b"-a/x", "is not a host name or an address"),
        (b"a-/x", "is not a host name or an address"),
        (b"a b/x", "is not a host name or an address"),
        (b"h%20/x", "is not a host name or an address"),
        (b"a" * 254 + b"/x", "is not a host name or an address"),
        ("ü".encode() * 64 + b"/x", "is not a host name or an address"),
        ("ü".encode() * 254 + b"/x", "is not a host name or an address"),
        ("a\u2100b/x".encode(), "is not a host name or an address"),
        ("xn--ü/x".encode(), "is not a host name or an address"),
        (b"user:password@h/x", "credentials travel in headers only"),
        (b"https://user@h/x", "credentials travel in headers only"),
        (b"http%3A%2F%2Fuser%3Apassword%40h%2Fx", "credentials travel in headers only"),
        (b"h/\x00", "control characters"),
        (b"h/\x7f", "control characters"),
        (b"h\r\nx/", "control characters"),
        (b"h/?a\x1f", "control characters"),
        (b"http%3A%2F%2Fh%2F%0D%0A", "control characters"),
        (b"h%2F%00", "control characters"),
        (b"h:0/x", "must be from 1 to 65535"),
        (b"h:65536/x", "must be from 1 to 65535"),
        (b"ftp://h/x", "not 'ftp'"),
        (b"file:/etc/passwd", "not 'file'"),
    ],
)
def test_a_source_that_is_not_in_the_grammar_is_refused(source: bytes, said: str) -> None:
    with pytest.raises(BadRequest) as caught:
        parse(FILL + source)
    assert said in caught.value.detail


def test_the_operator_chooses_the_scheme_of_a_source_that_names_none() -> None:
    grammar = Grammar(default_scheme=Scheme.HTTPS)
    assert str(parse_source(b"h:443/x", grammar=grammar)) == "https://h/x"
    assert str(parse_source(b"http://h/x", grammar=grammar)) == "http://h/x"


def test_a_url_tells_its_authority_and_its_origin() -> None:
    url = parse_source(b"https://[::1]:81/x?y")
    assert (url.authority, url.origin) == ("[::1]:81", "https://[::1]:81")
    assert parse_source(b"h/x").authority == "h"


# --- mode, sizes and options -----------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [b"", b"/", b"fill/1/1/h", b"/fill/1/1", b"/Fill/1/1/h", b"/crop/1/1/h", b"//fill/1/1/h"],
)
def test_a_path_of_another_shape_is_told_what_to_ask_for(path: bytes) -> None:
    with pytest.raises(BadRequest, match=r"^Ask for /fill/"):
        parse(path)


@pytest.mark.parametrize("digits", ["1", "07", "100"])
def test_a_side_within_bounds_is_taken(digits: str) -> None:
    grammar = Grammar(Defaults(max_side=100))
    wide, _ = parse(f"/fit/{digits}/2/h".encode(), grammar)
    high, _ = parse(f"/fit/2/{digits}/h".encode(), grammar)
    assert (wide.size, high.size) == (Size(int(digits), 2), Size(2, int(digits)))


@pytest.mark.parametrize("digits", ["", "0", "101", "-1", "+1", "1.5", " 1", "1_0", "٣", "9" * 10])
@pytest.mark.parametrize(("path", "side"), [("/fit/{}/2/h", "width"), ("/fit/2/{}/h", "height")])
def test_a_side_out_of_bounds_is_named_with_its_bounds(path: str, side: str, digits: str) -> None:
    with pytest.raises(BadRequest, match=rf"^The {side} must be a whole number from 1 to 100, "):
        parse(path.format(digits).encode(), Grammar(Defaults(max_side=100)))


@pytest.mark.parametrize(
    ("rest", "gravity", "quality", "source"),
    [
        (b"h/x", Anchor.SMART, 80, "http://h/x"),
        (b"q=1/h/x", Anchor.SMART, 1, "http://h/x"),
        (b"q=100/h", Anchor.SMART, 100, "http://h/"),
        (b"q=070/h", Anchor.SMART, 70, "http://h/"),
        (b"g=northeast/h", Anchor.NORTHEAST, 80, "http://h/"),
        (b"q=5,g=center/https://h/x", Anchor.CENTER, 5, "https://h/x"),
        (b"g=center,q=5/https:/h/x", Anchor.CENTER, 5, "https://h/x"),
        (b"q%3D5%2Cg%3D0.5%3A1/h", FocusPoint(0.5, 1), 5, "http://h/"),
        (b"q=5/http%3A%2F%2Fh%2Fx", Anchor.SMART, 5, "http://h/x"),
        (b"q=5/sample:owl.jpg", Anchor.SMART, 5, "sample:owl.jpg"),
        (b"h/q=5/x", Anchor.SMART, 80, "http://h/q=5/x"),
        (b"h?q=5", Anchor.SMART, 80, "http://h/?q=5"),
    ],
)
def test_options_are_read_where_they_stand_before_a_source(
    rest: bytes, gravity: Anchor | FocusPoint, quality: int, source: str
) -> None:
    transform, url = parse(FILL + rest)
    assert transform == Transform(Mode.FILL, Size(300, 200), gravity, quality)
    assert str(url) == source


@pytest.mark.parametrize("rest", [b"q=5", b"Q=5/h", b"q=5,cat/h", b"q=5,/h", b"=5/h", b"q2=5/h"])
def test_what_does_not_read_as_options_is_taken_for_a_source(rest: bytes) -> None:
    with pytest.raises(BadRequest, match="is not a host name or an address"):
        parse(FILL + rest)


def test_faces_are_refused_where_the_extra_is_not_installed() -> None:
    with pytest.raises(BadRequest, match=r"needs the extra micropic\[faces\]"):
        parse(FILL + b"g=face/h", Grammar(Defaults(faces=False)))
    assert parse(FILL + b"g=face/h", Grammar(Defaults(faces=True)))[0].gravity is Anchor.FACE


def test_drawings_are_refused_where_the_page_is_off() -> None:
    without = Grammar(Defaults(explain=False))
    with pytest.raises(BadRequest, match=r"which proxy\.playground has switched off"):
        parse(FILL + b"explain=1/h", without)
    assert not parse(FILL + b"explain=0/h", without)[0].explain
    assert parse(FILL + b"explain=1/h")[0].explain


def test_an_unknown_option_is_named_and_the_known_ones_are_listed() -> None:
    with pytest.raises(BadRequest, match=r"There is no option 'zoom'\. .*q \(quality.*, g \("):
        parse(FILL + b"q=5,zoom=2/h")


def test_an_option_that_stands_twice_is_refused() -> None:
    with pytest.raises(BadRequest, match="The option 'q' stands twice"):
        parse(FILL + b"q=5,g=smart,q=5/h")


@pytest.mark.parametrize("value", ["", "0", "101", "1000", "-1", "+5", "5.0", "٣", "5\n", "high"])
def test_a_quality_out_of_bounds_is_refused(value: str) -> None:
    with pytest.raises(BadRequest, match="quality q must be a whole number from 1 to 100"):
        parse(FILL + f"q={value}/h".encode())


def test_the_operator_chooses_the_quality_where_the_path_gives_none() -> None:
    grammar = Grammar(Defaults(quality=33))
    assert parse(FILL + b"h", grammar)[0].quality == 33
    assert parse(FILL + b"q=44/h", grammar)[0].quality == 44


@pytest.mark.parametrize(
    ("value", "point"),
    [
        ("0:0", (0, 0)),
        ("1:1", (1, 1)),
        ("1.0:1.", (1, 1)),
        (".25:0.75", (0.25, 0.75)),
        ("0.12344:0.12346", (0.1234, 0.1235)),
        ("0.00001:0.99999", (0, 1)),
    ],
)
def test_a_focus_point_is_kept_to_four_places(value: str, point: tuple[float, float]) -> None:
    assert parse(FILL + f"g={value}/h".encode())[0].gravity == FocusPoint(*point)


@pytest.mark.parametrize(
    "value",
    ["", "Smart", "up", "1", "1:", ":1", "1.1:0", "0:1.0001", "-0:0", "2:0", "0:1e-1", "0:0:0",
     "nan:0", ".:.", "00.5:1", "\u0660:0", "0:0\n", "0:0." + "1" * 10],
)  # fmt: skip
def test_a_gravity_that_is_none_is_told_what_there_is(value: str) -> None:
    with pytest.raises(
        BadRequest, match=r"gravity g must be one of smart, face, center, .* focus point"
    ):
        parse(FILL + f"g={value}/h".encode())


def test_fit_has_one_gravity_so_that_all_share_one_key() -> None:
    paths = (b"/fit/3/2/h", b"/fit/3/2/g=north/h", b"/fit/3/2/g=0.1:0.2/h")
    assert {parse(path)[0].gravity for path in paths} == {Anchor.CENTER}


def test_even_fit_checks_its_gravity() -> None:
    with pytest.raises(BadRequest, match="gravity"):
        parse(b"/fit/3/2/g=up/h")


def test_an_address_may_be_as_long_as_the_limit_and_no_longer() -> None:
    start = FILL + b"h/"
    query = b"q" * 100
    path = start + b"a" * (MAX_LENGTH - len(start) - len(query))
    assert parse_path(path, query, DEFAULT)[1].target.endswith("a?" + "q" * 100)
    with pytest.raises(BadRequest, match="longer than 8192 bytes"):
        parse_path(path, query + b"q", DEFAULT)


def test_what_is_too_long_for_options_is_read_as_a_source() -> None:
    with pytest.raises(BadRequest, match="is not a host name"):
        parse(FILL + b"q=" + b"1" * 2000 + b"/h")


def test_a_long_word_of_the_clients_is_cut_short_in_the_answer() -> None:
    with pytest.raises(BadRequest) as caught:
        parse(b"/fill/" + b"9" * 5000 + b"/1/h")
    assert len(caught.value.detail) < 200


@pytest.mark.parametrize(
    ("path", "key"),
    [
        (b"/fill/3/2/h", "/fill/3/2/f=jpeg+png,g=smart,q=80/http://h/"),
        (b"/fill/03/2/q=7,g=0.5:1./H:80/x?y", "/fill/3/2/f=jpeg+png,g=0.5:1,q=7/http://h/x?y"),
        (b"/fit/3/2/g=west/https:/h:81", "/fit/3/2/f=jpeg+png,g=center,q=80/https://h:81/"),
        (b"/fill/3/2/g=.0001:0/sample:a.jpg", "/fill/3/2/f=jpeg+png,g=0.0001:0,q=80/sample:a.jpg"),
    ],
)
def test_the_normal_form_spells_everything_out(path: bytes, key: str) -> None:
    assert build_path(*parse(path)) == key


# --- properties ------------------------------------------------------------------------------

_hosts = st.one_of(
    st.from_regex(
        r"[a-z0-9_]([a-z0-9_-]{0,8}[a-z0-9_])?(\.[a-z0-9]{1,8}){0,3}\.[a-z]{1,8}\.?", fullmatch=True
    ),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(lambda address: f"[{address}]"),
)
_sendable = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) != "#")
_targets = (
    st.one_of(
        st.text(_sendable, max_size=40),
        st.text("aA?%/=2F:,&@", max_size=40),
    )
    .map("/".__add__)
    .filter(lambda target: target.find("?") != len(target) - 1)
)  # no empty query
_names = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,20}", fullmatch=True)


@st.composite
def _sources(draw: st.DrawFn) -> SourceUrl:
    scheme = draw(st.sampled_from(Scheme))
    if scheme is Scheme.SAMPLE:
        return SourceUrl(scheme, "", None, draw(_names))
    default = 80 if scheme is Scheme.HTTP else 443
    port = draw(st.none() | st.integers(1, 65535).filter(default.__ne__))
    return SourceUrl(scheme, draw(_hosts), port, draw(_targets))


_shares = st.integers(0, 10_000).map(lambda number: number / 10_000)
_gravities = st.sampled_from(Anchor) | st.builds(FocusPoint, _shares, _shares)
_sizes = st.builds(Size, st.integers(1, 8192), st.integers(1, 8192))
_stills = st.sampled_from([Format.JPEG, Format.PNG, Format.WEBP, Format.AVIF])
_sigmas = st.just(0.0) | st.integers(30, 1000).map(lambda number: number / 100)


@st.composite
def _transforms(draw: st.DrawFn) -> Transform:
    """Draw transforms in their normal form."""
    fills = draw(st.booleans())
    background = draw(st.none() | st.builds(Colour, *[st.integers(0, 255)] * 3))
    opaque = draw(_stills)
    formats = Formats(
        opaque,
        opaque if background else draw(_stills),
        draw(st.sampled_from([None, Format.WEBP, Format.GIF])),
    )
    lossless = set(formats) <= {Format.PNG, Format.GIF, None}
    return Transform(
        Mode.FILL if fills else Mode.FIT,
        draw(_sizes),
        draw(_gravities) if fills else Anchor.CENTER,
        100 if lossless else draw(st.integers(1, 100)),
        formats,
        turn=draw(st.integers(1, 8)),
        trim=draw(st.none() | st.integers(1, 128)),
        enlarge=draw(st.booleans()) if fills else True,
        background=background,
        blur=draw(_sigmas),
        sharpen=draw(_sigmas),
    )


@given(_transforms(), _sources())
def test_what_was_built_is_parsed_to_the_same(transform: Transform, source: SourceUrl) -> None:
    assert parse(build_path(transform, source).encode()) == (transform, source)


@given(_transforms())
def test_a_transform_comes_back_from_its_part_of_the_path(transform: Transform) -> None:
    assert parse_transform(build_transform(transform)) == transform


@given(_sources())
def test_a_source_comes_back_from_its_text(source: SourceUrl) -> None:
    assert parse_source(str(source).encode()) == source


_odd = st.sampled_from([
    b"", b"/", b"//", b"?", b"#", b"%", b"%2", b"%2F", b"%2f", b"%25", b"%00", b"%3A", b":", b"@",
    b"[", b"]", b"[::1]", b"[::1%25a]", b"http:", b"https://", b"http%3A%2F%2F", b"ftp://",
    b"sample:", b"sample%3A", b"q=", b"g=", b"q=5", b"g=0.5:0.5", b"q=5,g=", b",", b"=", b"x=1",
    b"q%3D5%2C", b"h", b"a.b", b":80", b":0", b":99999", b"..", b"-", b"xn--", b"xn--a", b"\xff",
    b"\x00", b"\r\n", b" ", "ü".encode(), "。".encode(), "\uff0f".encode(), "℀".encode(),
    "İ".encode(), "ﷺ".encode(), "\u200d".encode(), "٣".encode(), b"\xed\xa0\x80", b"\xc3",
    b"%C3%BC", b"%ED%A0",
])  # fmt: skip
_alphabet = (string.ascii_letters + string.digits + "/%?=,:.@[]#-_ \x00\x7f").encode()
_tails = st.one_of(
    st.binary(max_size=40),
    st.lists(_odd, max_size=8).map(b"".join),
    st.lists(st.sampled_from(list(_alphabet)), max_size=30).map(bytes),
    st.text(max_size=20).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.lists(_odd | st.binary(max_size=4), max_size=6).map(b"".join),
)
_heads = st.sampled_from([b"/fill/300/200/", b"/fit/1/1/", b"/fill/300/200/q=70,g=smart/"])
_near_paths = st.builds(bytes.__add__, _heads, _tails)


@st.composite
def _mutated_paths(draw: st.DrawFn) -> bytes:
    """Replace a stretch of a good path with anything."""
    good = build_path(draw(_transforms()), draw(_sources())).encode()
    start = draw(st.integers(0, len(good)))
    end = draw(st.integers(start, min(len(good), start + 4)))
    return good[:start] + draw(_odd | st.binary(max_size=4)) + good[end:]


def _outcome(path: bytes, query: bytes) -> tuple[Transform, SourceUrl] | None:
    try:
        return parse_path(path, query, DEFAULT)[:2]
    except BadRequest:
        return None


@given(st.binary(max_size=60) | _near_paths | _mutated_paths(), st.just(b"") | _tails)
@example(b"/fill/1/1/", b"")
@example(b"/fill/1/1/" + b"\xf0\x90" * 40, b"")
def test_no_bytes_at_all_raise_anything_but_a_bad_request(path: bytes, query: bytes) -> None:
    parsed = _outcome(path, query)
    if parsed is not None:
        target = parsed[1].target
        assert set(target) <= set(_sendable), "the target may stand on a request line"


_good_hosts = _hosts.map(str.encode)
_accepted = st.one_of(
    st.builds(lambda head, host, tail: head + host + b"/" + tail, _heads, _good_hosts, _tails),
    st.builds(
        lambda head, host, tail: head + quote(b"http://" + host + b"/" + tail, safe="").encode(),
        _heads, _good_hosts, _tails,
    ),
    _mutated_paths(),
)  # fmt: skip


@given(_accepted, st.just(b"") | _tails)
@example(b"/fill/1/1/http%3A%2F%2Fh%2Fa%2525", b"")
@example(b"/fill/1/1/h%2Fa%2Fb", b"a=<>")
@example("/fit/1/1/g=0.00005:1/BÜCHER.de".encode(), b"#")
def test_parsing_the_normal_form_changes_nothing(path: bytes, query: bytes) -> None:
    parsed = _outcome(path, query)
    if parsed is None:
        return  # that is the test above
    key = build_path(*parsed)
    again = parse(key.encode())
    assert again == parsed
    assert build_path(*again) == key


def test_an_empty_query_of_a_whole_encoded_source_comes_back() -> None:
    parsed = parse(FILL + b"http%3A%2F%2Fh%2Fx%3F")
    assert parse(build_path(*parsed).encode()) == parsed


_OTHERS: dict[str, Any] = {
    "mode": Mode.FIT, "size": Size(2, 3), "gravity": FocusPoint(0.5, 0), "quality": 6,
    "formats": Formats(Format.JPEG, Format.WEBP), "turn": 2, "trim": 1, "enlarge": False,
    "background": Colour(0, 0, 0), "blur": 0.5, "sharpen": 0.5, "explain": True,
}  # fmt: skip


@pytest.mark.parametrize("field", [field.name for field in fields(Transform)])
def test_different_transforms_have_different_keys(field: str) -> None:
    one = Transform(Mode.FILL, Size(3, 2), Anchor.NORTH, 5)
    other = replace(one, **{field: _OTHERS[field]})
    assert build_transform(one) != build_transform(other)


def test_a_source_and_its_previews_have_keys_that_tell_the_source() -> None:
    transform, source = parse(b"/fill/30/20/h/a%23b//c?x=1/2")
    for key in (build_path(transform, source), source_key(source)):
        assert source_of(key) == source_of(variant_key(key, "abc")) == str(source)
    assert is_source_key(source_key(source))
    assert not is_source_key(build_path(transform, source))


def test_sizes_may_be_a_list_with_dpr_counted_in() -> None:
    grammar = Grammar(sizes=frozenset({Size(300, 200)}))
    for path in ("/fit/300/200/h/a", "/fill/150/100/dpr=2/h/a"):
        assert parse_path(path.encode(), b"", grammar).transform.size == Size(300, 200)
    with pytest.raises(PreviewForbidden, match="300x200"):
        parse_path(b"/fill/300/200/dpr=2/h/a", b"", grammar)


def _listed(beginning: str) -> Grammar:
    address = parse_path(f"/{beginning}/h/a".encode(), b"", DEFAULT)
    return Grammar(transforms=frozenset({AllowedPreview(address.transform, address.negotiated)}))


@pytest.mark.parametrize("accept", ["", "image/webp"])
@pytest.mark.parametrize(
    ("listed", "asked", "others"),
    [
        ("fill/300/200/q=70", "q=70,g=smart", ["q=71", "q=70,f=auto", "q=70,f=jpeg+png"]),
        ("fill/300/200/f=auto,q=70", "q=70,f=auto", ["q=70", "f=webp,q=70"]),
        ("fill/300/200/anim=1", "anim=1", ["anim=gif", "anim=webp", "g=smart"]),
    ],
)
def test_transforms_may_be_a_list_whatever_the_client_accepts(
    accept: str, listed: str, asked: str, others: list[str]
) -> None:
    grammar = _listed(listed)
    path = f"/fill/300/200/{asked}/h/b".encode()
    plain = parse_path(path, b"", DEFAULT, accept)
    assert parse_path(path, b"", grammar, accept) == plain
    for other in others:
        with pytest.raises(PreviewForbidden):
            parse_path(f"/fill/300/200/{other}/h/b".encode(), b"", grammar, accept)


_WEIGHTS = ["", ";q=0", ";q=0.2", ";q=0.5", ";q=1"]


@given(
    st.sampled_from(["", "f=auto/", "anim=1/", "bg=fff/", "f=auto,anim=1,q=70/", "f=png/"]),
    st.lists(
        st.tuples(
            st.sampled_from(["image/avif", "image/webp", "image/jpeg", "image/*", "*/*"]),
            st.sampled_from(_WEIGHTS),
        ),
        max_size=5,
    ),
)
def test_what_a_path_comes_to_is_known_whatever_a_client_accepts(
    segment: str, accepted: list[tuple[str, str]]
) -> None:
    path = f"/fill/30/20/{segment}h/a".encode()
    accept = ", ".join(map("".join, accepted))
    assert parse_path(path, b"", DEFAULT, accept).transform in transforms_of(path, DEFAULT)


_SIZE = Size(300, 200)
_PLAIN = Transform(Mode.FILL, _SIZE)


@pytest.mark.parametrize(
    ("grammar", "good", "bad"),
    [
        (Grammar(Defaults(max_side=300)), _SIZE, Size(301, 200)),
        (Grammar(Defaults(max_pixels=60_000)), _SIZE, Size(300, 201)),
        (DEFAULT, Size(1, 8192), Size(-1, 200)),
        (DEFAULT, _SIZE, Size(300, 0)),
    ],
)
def test_a_transform_from_elsewhere_keeps_to_the_limits(
    grammar: Grammar, good: Size, bad: Size
) -> None:
    check_transform(replace(_PLAIN, size=good), grammar)
    with pytest.raises(BadRequest):
        check_transform(replace(_PLAIN, size=bad), grammar)


def test_fit_answers_no_more_pixels_than_its_source_has() -> None:
    check_transform(replace(_PLAIN, mode=Mode.FIT), Grammar(Defaults(max_pixels=1)))


def test_a_drawing_from_elsewhere_needs_the_page() -> None:
    check_transform(replace(_PLAIN, explain=True), DEFAULT)
    with pytest.raises(BadRequest, match="playground"):
        check_transform(replace(_PLAIN, explain=True), Grammar(Defaults(explain=False)))


def test_a_transform_from_elsewhere_has_to_be_on_the_lists() -> None:
    path = b"/fill/300/200/f=auto/h/a"
    sizes = Grammar(sizes=frozenset({_SIZE}))
    listed = replace(_listed("fill/300/200/f=auto"), negotiable=transforms_of(path, DEFAULT))
    avif = parse_path(path, b"", DEFAULT, "image/avif").transform
    for transform, grammar in ((_PLAIN, sizes), (avif, listed)):
        check_transform(transform, grammar)
    for transform, grammar in ((replace(avif, blur=1.0), listed),
                               (replace(_PLAIN, size=Size(300, 201)), sizes)):  # fmt: skip
        with pytest.raises(PreviewForbidden):
            check_transform(transform, grammar)


@pytest.mark.parametrize(
    "key",
    [
        "/fill/3/2/f=jpeg,g=smart/http://h/x",
        "/fill/3/2/q=80,f=jpeg,g=smart/http://h/x",
        "/fill/3/2/f=jpeg,g=smart,q=80/h/x",
        "/fill/3/2/f=jpeg,g=smart,q=80/HTTP://h/x",
        "/fill/3/2/f=jpeg,g=smart,q=80/http://h:80/x",
        "/fill/3/2/f=jpeg,g=smart,q=80/http://h/x#",
        "/fill/3/2/f=jpeg,g=smart,q=80/http://h/x#0123",
        "/fill/3/2/f=jpeg,g=smart,q=80/http://h/x#" + "ab" * 20 + "0",
        "/fill/3/2/f=jpeg,g=smart,q=80/http://h/x#" + "AB" * 20,
        "/fill/3/2/f=jpeg,g=smart/http://h/x#" + "ab" * 20,
        "/fill/03/2/f=jpeg,g=smart,q=80/http://h/x",
        "/fill/3/2/f=jpeg,g=smart,q=80,dpr=2/http://h/x",
        "x/fill/3/2/f=jpeg,g=smart,q=80/http://h/x",
    ],
)
def test_a_key_that_is_not_in_its_normal_form_is_none(key: str) -> None:
    parse_key("/fill/3/2/f=jpeg,g=smart,q=80/http://h/x")
    with pytest.raises(BadRequest):
        parse_key(key)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/fill/30/20/h/a?b=/c", "/fill/30/20/exp=5/h/a?b=/c"),
        ("/fill/30/20/q=70,f=png/h/a/b", "/fill/30/20/q=70,f=png,exp=5/h/a/b"),
        ("/fill/30/20/a=b", "/fill/30/20/exp=5/a=b"),
    ],
)
def test_an_option_is_added_to_an_address(target: str, expected: str) -> None:
    assert with_option(target, "exp", 5) == expected


def test_an_expiry_is_read_and_makes_no_other_key() -> None:
    address = parse_path(b"/fill/30/20/exp=2000000000/h/a", b"", DEFAULT)
    assert address.expires == 2_000_000_000
    plain = parse_path(b"/fill/30/20/h/a", b"", DEFAULT)
    assert build_path(address.transform, address.source) == build_path(*plain[:2])


def test_a_key_with_header_fields_is_one_of_its_source_and_reads_as_without() -> None:
    transform, source, *_ = parse_path(b"/fill/300/200/h/x?a=b", b"", DEFAULT)
    plain = build_path(transform, source)
    assert keyed_by(plain, "") == plain
    assert (fields_of(plain), fields_of(source_key(source))) == ("", "")
    key = keyed_by(plain, "ab" * 20)
    assert key != plain
    assert parse_key(key) == (transform, source)
    assert fields_of(key) == "ab" * 20
    assert source_of(key) == source_of(variant_key(key, "cd")) == str(source)
    of_source = source_key(source, fields_of(key))
    assert of_source != source_key(source)
    assert is_source_key(of_source)
    assert source_of(of_source) == str(source)
