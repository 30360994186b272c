from __future__ import annotations

from contextlib import nullcontext
from ipaddress import ip_network
from typing import Any

import pytest

from micropic.domain import signing
from micropic.domain.errors import BadSignature
from micropic.web.entrance import Entrance

KEY = "sixteen characters or more"
TRUSTED = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]


def scope(path: str = "/", *fields: tuple[bytes, bytes], client: str = "10.0.0.1") -> Any:
    return {
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": fields,
        "client": (client, 1234),
    }


@pytest.mark.parametrize(
    ("path", "entered"),
    [
        ("/img/fill/1/1/h", "/fill/1/1/h"),
        ("/img/", "/"),
        ("/img/img/fill", "/img/fill"),
        ("/img", None),
        ("/fill/1/1/h", None),
        ("/imgs/fill", None),
        ("/healthz", "/healthz"),
        ("/img/readyz", "/readyz"),
    ],
)
def test_a_prefix_is_taken_off_and_asked_for(path: str, entered: str | None) -> None:
    asked = scope(path)
    assert Entrance(prefix="/img").enter(asked) is (entered is not None)
    assert (asked["raw_path"].decode(), asked["path"]) == (entered or path, entered or path)


def test_a_signature_stands_behind_the_prefix() -> None:
    entrance, target = Entrance(prefix="/img", keys=(KEY,)), "/fill/1/1/h"
    asked = scope("/img" + signing.sign(target, KEY))
    assert entrance.enter(asked)
    assert asked["raw_path"] == target.encode()
    entrance.check_signature(asked)
    asked["query_string"] = b"x"
    with pytest.raises(BadSignature):
        entrance.check_signature(asked)


def test_what_was_found_signed_is_remembered_for_the_keys_of_then() -> None:
    path = signing.sign("/fill/1/1/remembered", KEY)
    for keys in ((KEY,), ("the one that came after it",), (KEY,)):
        asked = scope(path)
        entrance = Entrance(keys=keys)
        entrance.enter(asked)
        with nullcontext() if keys == (KEY,) else pytest.raises(BadSignature):
            entrance.check_signature(asked)


def test_a_signature_is_taken_off_even_where_the_prefix_lacks() -> None:
    asked = scope(signing.sign("/fill/1/1/h", KEY))
    assert not Entrance(prefix="/img", keys=(KEY,)).enter(asked)
    assert asked["raw_path"] == b"/fill/1/1/h"


@pytest.mark.parametrize(
    ("told", "client"),
    [
        ("", "10.0.0.1"),
        ("203.0.113.9", "203.0.113.9"),
        ("1.1.1.1, 203.0.113.9", "203.0.113.9"),
        ("1.1.1.1, 203.0.113.9, 10.2.3.4", "203.0.113.9"),
        ("10.9.9.9, 10.2.3.4", "10.9.9.9"),
        ("1.1.1.1, unknown, 10.2.3.4", "10.2.3.4"),
        ("1.1.1.1,", "10.0.0.1"),
        ("203.0.113.9:4711", "203.0.113.9"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("1.1.1.1\x00", "10.0.0.1"),
    ],
)
def test_the_client_is_the_last_that_no_trusted_proxy_vouches_for(told: str, client: str) -> None:
    field = (b"x-forwarded-for", told.encode())
    assert Entrance(trusted=TRUSTED).client(scope("/", field)) == client
    assert Entrance(trusted=TRUSTED).client(scope("/", field, client="8.8.8.8")) == "8.8.8.8"
    assert Entrance().client(scope("/", field)) == "10.0.0.1"


@pytest.mark.parametrize(
    ("told", "client"),
    [
        ("for=203.0.113.9", "203.0.113.9"),
        ('proto=https;For="[2001:db8::1]:4711", for=10.1.1.1;by=x', "2001:db8::1"),
        ("for=1.1.1.1, for=_hidden", "10.0.0.1"),
        ("proto=https", "10.0.0.1"),
    ],
)
def test_forwarded_is_read_where_it_is_chosen(told: str, client: str) -> None:
    fields = (b"forwarded", told.encode()), (b"x-forwarded-for", b"9.9.9.9")
    entrance = Entrance(trusted=TRUSTED, client_header="forwarded")
    assert entrance.client(scope("/", *fields)) == client


def test_a_client_without_an_address_has_none() -> None:
    asked = scope() | {"client": None}
    assert Entrance(trusted=TRUSTED).client(asked) == ""
