# ruff: noqa: RUF001 # some of the letters are to be mistaken for others
from __future__ import annotations

from ipaddress import IPv4Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from micropic.domain.hosts import address, embedded, normal, spellings


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.1.", "127.0.0.1"),
        ("2130706433", "127.0.0.1"),
        ("0x7f000001", "127.0.0.1"),
        ("0X7F000001", "127.0.0.1"),
        ("017700000001", "127.0.0.1"),
        ("127.1", "127.0.0.1"),
        ("127.0.1", "127.0.0.1"),
        ("0177.0.0.1", "127.0.0.1"),
        ("0x7f.0.0x0.01", "127.0.0.1"),
        ("0", "0.0.0.0"),
        ("00", "0.0.0.0"),
        ("0x", "0.0.0.0"),
        ("1.0x10000", "1.1.0.0"),
        ("4294967295", "255.255.255.255"),
        ("①②⑦。⓪.0．1", "127.0.0.1"),
        ("１２７.1", "127.0.0.1"),
        ("a1.0x7g", "a1.0x7g"),
        ("1.example", "1.example"),
        ("1e3", "1e3"),
        ("a.1_", "a.1_"),
        ("[0:0::1]", "[::1]"),
    ],
)
def test_a_host_has_one_form(host: str, expected: str) -> None:
    assert normal(host) == expected
    assert normal(expected) == expected


@pytest.mark.parametrize(
    "host",
    [
        "", ".", "1.2.3.4.5", "256.0.0.1", "1.256.0.1", "1.2.3.256", "1.16777216", "4294967296",
        "08.0.0.1", "1.2.3.08", "a.1", "a.0x1", "1..1", "1.2.3.4..", "-1", "1.-1", "0x7f.a.1",
        "[1.2.3.4]", "[]", "a b", "a/b", "a@b", "a／b", "a" * 64, "ü" * 254,
    ],
)  # fmt: skip
def test_what_is_neither_a_name_nor_an_address_is_refused(host: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 # whichever it is
        normal(host)


def test_a_name_is_refused_whose_ascii_form_would_be_too_long() -> None:
    assert len(normal("é." * 20 + "example")) < 253
    for name in ("é." * 100 + "example", "é" * 254):
        with pytest.raises(ValueError):  # noqa: PT011 # whichever it is
            normal(name)


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.1:53", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:53", "2001:db8::1"),
    ],
)
def test_an_address_stands_with_or_without_a_port(node: str, expected: str) -> None:
    assert str(address(node)) == expected


@pytest.mark.parametrize("node", ["", ":53", "[]", "unknown", "_hidden:53", "1.1.1.1\n"])
def test_a_node_without_an_address_has_none(node: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 # whichever it is
        address(node)


@given(st.ip_addresses(v=4), st.sampled_from(["{:d}", "0x{:x}", "0{:o}"]), st.integers(1, 4))
def test_every_spelling_of_an_address_is_that_address(
    meant: IPv4Address, style: str, parts: int
) -> None:
    first, last = meant.packed[: parts - 1], meant.packed[parts - 1 :]
    numbers = [*first, int.from_bytes(last, "big")]
    assert normal(".".join(map(style.format, numbers))) == str(meant)


@pytest.mark.parametrize(
    ("outer", "expected"),
    [
        ("127.0.0.2", []),
        ("::", []),
        ("::1", []),
        ("2606:4700::7f00:2", []),
        ("::127.0.0.2", ["127.0.0.2"]),
        ("::ffff:127.0.0.2", ["127.0.0.2"]),
        ("::ffff:0:127.0.0.2", ["127.0.0.2"]),
        ("64:ff9b::127.0.0.2", ["127.0.0.2"]),
        ("64:ff9b:1::127.0.0.2", ["127.0.0.2", "0.0.0.127", "0.0.0.0"]),
        ("64:ff9b:1:7f00:0:200::", ["0.0.0.0", "127.0.0.2", "0.0.2.0", "0.2.0.0"]),
        ("2002:7f00:2::1", ["127.0.0.2"]),
        ("2001:0:7f00:2:8000:63bf:3fff:fdd2", ["127.0.0.2", "192.0.2.45"]),
        ("2a00::5efe:127.0.0.2", ["127.0.0.2"]),
        ("fe80::200:5efe:127.0.0.2", ["127.0.0.2"]),
    ],
)
def test_every_standard_that_embeds_an_ipv4_address_is_known(
    outer: str, expected: list[str]
) -> None:
    assert embedded(ip_address(outer)) == set(map(IPv4Address, expected))


def test_a_host_is_spelled_with_the_address_that_it_embeds() -> None:
    assert spellings("a.example") == ["a.example"]
    assert spellings("[::ffff:7f00:2]") == ["[::ffff:7f00:2]", "127.0.0.2"]
    assert spellings("[2a00::1]") == ["[2a00::1]"]
