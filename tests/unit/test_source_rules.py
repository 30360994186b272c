from __future__ import annotations

import pytest

from micropic.domain.errors import SourceForbidden
from micropic.domain.source_rules import BAD_PORTS, SourceRules
from micropic.domain.urls import parse_source


def allows(rules: SourceRules, source: str) -> bool:
    try:
        rules.check(parse_source(source.encode()))
    except SourceForbidden:
        return False
    return True


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("h/x", True),
        ("https://h/x", True),
        ("h:8080/x", True),
        ("h:65535/x", True),
        ("h:22/x", False),
        ("h:25/x", False),
        ("https://h:6379/x", True),
        ("https://h:6667/x", False),
        ("h:10080/x", False),
    ],
)
def test_ports_of_other_protocols_are_refused(source: str, *, expected: bool) -> None:
    assert allows(SourceRules(), source) is expected


def test_the_list_is_that_of_the_fetch_standard() -> None:
    assert len(BAD_PORTS) == 82
    assert min(BAD_PORTS) == 1
    assert {80, 443, 8080, 8443}.isdisjoint(BAD_PORTS)


@pytest.mark.parametrize(
    ("source", "expected"),
    [("h/x", False), ("https://h/x", True), ("h:22/x", True), ("h:8080/x", False)],
)
def test_a_list_of_ports_is_all_there_is(source: str, *, expected: bool) -> None:
    assert allows(SourceRules(allow_ports={443, 22}), source) is expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a.example/x", True),
        ("A.EXAMPLE./x", True),
        ("b.a.example/x", True),
        ("bad.a.example/x", False),
        ("BAD.a.example./x", False),
        ("aa.example/x", False),
    ],
)
def test_no_denied_host_passes_whatever_is_allowed(source: str, *, expected: bool) -> None:
    rules = SourceRules(("a.example", "*.a.example"), ("bad.a.example",))
    assert allows(rules, source) is expected


@pytest.mark.parametrize(
    "host",
    [
        "10.1.2.3", "10.1.2.3.", "167838211", "0xa.66051", "012.1.2.3", "[::ffff:10.1.2.3]",
        "[::10.1.2.3]", "[64:ff9b::a01:203]", "[2002:a01:203::1]",
    ],
)  # fmt: skip
@pytest.mark.parametrize("pattern", ["10.1.2.3", "10.1.*"])
def test_a_denied_address_is_denied_in_every_spelling(host: str, pattern: str) -> None:
    assert not allows(SourceRules(deny_hosts=(pattern,)), f"{host}/x")
