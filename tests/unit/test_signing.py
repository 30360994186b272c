from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from micropic.domain import signing

KEY = "sixteen characters or more"
TARGET = "/fill/300/200/www.example.com/owl.jpg"
SIGNED = "/7TcBXGlP72c_39T6eT_H172wpzjh-fUPcfZaZZmXwX8/fill/300/200/www.example.com/owl.jpg"
"""The signature as docs/signing.md has it, made by openssl."""


def test_the_example_of_the_documentation_is_true() -> None:
    assert signing.sign(TARGET, KEY) == SIGNED


def test_what_was_signed_is_told_from_its_signature() -> None:
    signature, target = signing.split(SIGNED.encode())
    assert target == TARGET.encode()
    assert signing.is_signed(target, signature, [KEY])


@pytest.mark.parametrize(
    "path",
    [
        TARGET,
        "/",
        "/healthz",
        "/" + 42 * "a" + TARGET,
        "/" + 44 * "a" + TARGET,
        "/" + 43 * "+" + TARGET,
        "/" + 43 * "a",
    ],
)
def test_what_is_not_signed_stays_whole(path: str) -> None:
    assert signing.split(path.encode()) == (b"", path.encode())


@pytest.mark.parametrize(
    ("target", "sent"),
    [
        ("/fill/3/2/h/ü b", "/fill/3/2/h/%C3%BC%20b"),
        ("/fill/3/2/h/x#y?z'", "/fill/3/2/h/x%23y?z%27"),
        ('/fill/3/2/h/{}|^`\\<>"\x7f', "/fill/3/2/h/%7B%7D%7C%5E%60%5C%3C%3E%22%7F"),
        ("/fill/3/2/h/\udcff", "/fill/3/2/h/%FF"),  # a byte on a command line that is no UTF-8
        ("/fill/3/2/h/x?", "/fill/3/2/h/x"),
        ("/fill/3/2/h/x??", "/fill/3/2/h/x??"),
        ("/fill/3/2/[::1]:80/%2f%zz%", "/fill/3/2/[::1]:80/%2f%zz%"),
        ("/fill/3/2/g=0:1,f=png+webp/h/~!$&()*;@", "/fill/3/2/g=0:1,f=png+webp/h/~!$&()*;@"),
    ],
)
def test_what_is_to_be_signed_is_written_as_every_client_sends_it(target: str, sent: str) -> None:
    assert signing.as_sent(target) == signing.as_sent(sent) == sent


def test_any_of_several_keys_may_have_signed() -> None:
    signature, target = signing.split(SIGNED.encode())
    assert signing.is_signed(target, signature, ["another key, a newer one", KEY])
    assert not signing.is_signed(target, signature, ["another key, a newer one"])
    assert not signing.is_signed(target, b"", [KEY])
    assert not signing.is_signed(target, signature, [])


@given(st.binary(min_size=1, max_size=99), st.data())
def test_no_other_byte_passes(target: bytes, data: st.DataObject) -> None:
    signature = signing.signature(target, KEY).encode()
    assert signing.is_signed(target, signature, [KEY])
    signed = bytearray(signature + target)
    place = data.draw(st.integers(0, len(signed) - 1))
    signed[place] ^= data.draw(st.integers(1, 255))
    assert not signing.is_signed(bytes(signed[43:]), bytes(signed[:43]), [KEY])
