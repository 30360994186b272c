"""What a log may not tell."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from micropic.domain.masking import CUT, LONGEST, masked, text

SIGNATURE = "hW8-_" + "x" * 38


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("/fill/9/9/h/a", "/fill/9/9/h/a"),
        ("/fill/9/9/h/a?token=secret", "/fill/9/9/h/a?token=***"),
        ("/fill/9/9/h/a?token=secret&x=1;y=2&&z", "/fill/9/9/h/a?token=***&x=***;y=***&&***"),
        ("/fill/9/9/h/a?token=a=b?c=d", "/fill/9/9/h/a?token=***"),
        ("/fill/9/9/h/a?secret", "/fill/9/9/h/a?***"),
        ("/fill/9/9/h/a?", "/fill/9/9/h/a?"),
        ("/fit/9/9/h%2Fa%3Fx%3D1%26y%3D2", "/fit/9/9/h%2Fa%3Fx%3D***%26y%3D***"),
        ("/fill/9/9/http%3a%2f%2fh%2fa%3fx%3d1", "/fill/9/9/http%3a%2f%2fh%2fa%3fx%3d***"),
        ("/fill/9/9/user:secret@h/a", "/fill/9/9/***@h/a"),
        ("/fill/9/9/http://user:sec@ret@h:80/a@b", "/fill/9/9/http://***@h:80/a@b"),
        ("/fill/9/9/http%3A%2F%2Fuser%3Asecret%40h%2Fa", "/fill/9/9/http%3A%2F%2F***%40h%2Fa"),
        ("/fill/9/9/https://secret@h/a@b", "/fill/9/9/https://***@h/a@b"),
        ("/fill/9/9/https:/secret@h/a@b", "/fill/9/9/https:/***@h/a@b"),
        ("/fill/9/9/https%3A%2F%2Fsecret%40h%2Fa", "/fill/9/9/https%3A%2F%2F***%40h%2Fa"),
        ("/fill/9/9/h:8080/owl@2x.jpg", "/fill/9/9/h:8080/owl@2x.jpg"),
        (f"/{SIGNATURE}/fill/9/9/h/a", "/***/fill/9/9/h/a"),
        (f"/{SIGNATURE}/fill/9/9/h/a?x=1", "/***/fill/9/9/h/a?x=***"),
        (f"/{SIGNATURE}", f"/{SIGNATURE}"),
        ("https://h/a?x=1", "https://h/a?x=***"),
        ("", ""),
    ],
)  # fmt: skip
def test_what_is_secret_is_masked_and_the_rest_is_not(address: str, expected: str) -> None:
    assert masked(address) == expected
    assert masked(expected) == expected


def test_the_query_alone_may_be_seen() -> None:
    address = f"/{SIGNATURE}/fill/9/9/u:p@h/a?x=1&y"
    assert masked(address, queries=False) == "/***/fill/9/9/***@h/a?x=1&y"


@given(
    before=st.text(st.sampled_from("/:@?&;=%a"), max_size=20),
    after=st.text(st.sampled_from("/:@a"), max_size=20),
    mark=st.sampled_from(["?", "%3F", "%3f"]),
)
def test_no_value_of_a_query_gets_through(before: str, after: str, mark: str) -> None:
    assert "SECRET" not in masked(f"/fill/9/9/{before}{mark}k=SECRET{after}")
    assert "SECRET" not in masked(f"/fill/9/9/{before}{mark}SECRET{after}")


LONG = "a" * 2 * LONGEST


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("/fill/9/9/h/" + "a/" * LONGEST, ("/fill/9/9/h/" + "a/" * LONGEST)[:LONGEST] + CUT),
        (f"/fill/9/9/h/{LONG}", f"/fill/9/9/h/{CUT}"),
        (f"/fill/9/9/h%2F{LONG}", f"/fill/9/9/h%2F{CUT}"),
        (f"/fill/9/9/h/a%2f{LONG}", f"/fill/9/9/h/a%2f{CUT}"),
        (f"/fill/9/9/user:{LONG}@h/a", f"/fill/9/9/{CUT}"),
        (f"/fill/9/9/u:p@h/{LONG}", f"/fill/9/9/***@h/{CUT}"),
        (f"/fill/9/9/h/a?token={LONG}", f"/fill/9/9/h/a?token=***{CUT}"),
        (f"/fill/9/9/h/a?x=1&{LONG}", f"/fill/9/9/h/a?x=***&***{CUT}"),
        (f"/fill/9/9/h/{LONG}?token=secret", f"/fill/9/9/h/{CUT}"),
        (f"/{SIGNATURE}/{LONG}", f"/***/{CUT}"),
        (LONG, CUT),
    ],
)
def test_only_the_beginning_of_a_long_address_is_logged(address: str, expected: str) -> None:
    assert masked(address) == expected


def test_a_long_address_whose_query_may_be_seen_is_cut_too() -> None:
    address = f"/fill/9/9/u:p@h/a?x={LONG}"
    assert masked(address, queries=False) == address[:LONGEST].replace("u:p@", "***@") + CUT


@given(at=st.integers(0, 64), tail=st.sampled_from(["@h/a", "%40h%2Fa", "@h?x=1"]))
def test_no_cut_lets_a_password_through(at: int, tail: str) -> None:
    """Wherever in it, or in the mark that ends it, the cut falls."""
    padding = "/a" * ((LONGEST - at) // 2)
    shown = masked(f"/fill/9/9{padding}/user:SECRET{tail}{LONG}")
    assert "SEC" not in shown
    assert len(shown) <= LONGEST + len(CUT)


@pytest.mark.parametrize("piece", ["a", "/", "é", "\U0001f989", "\udcff", "a\udcff"])
def test_as_much_of_a_target_is_decoded_as_is_logged(piece: str) -> None:
    whole = piece * 2 * LONGEST
    decoded = text(whole.encode("utf-8", "surrogateescape"))
    assert LONGEST < len(decoded) <= 8 * LONGEST
    shown = whole.replace("\udcff", "\\xff")
    assert shown.startswith(decoded[:LONGEST])


def test_a_target_that_is_no_utf8_is_escaped() -> None:
    assert text(b"/\xff\xc3\xa9") == "/\\xff\xe9"
