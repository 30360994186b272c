"""What a log may not tell."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from micropic.domain.masking import masked

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
