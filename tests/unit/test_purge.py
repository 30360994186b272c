from __future__ import annotations

import pytest

from micropic.domain.purge import Purge

KEY = "/fill/30/20/q=80/http://h/a/b"


@pytest.mark.parametrize(
    ("what", "concerned"),
    [
        (Purge(), False),
        (Purge(frozenset({"http://h/a/b"})), True),
        (Purge(frozenset({"http://h/a", "http://h/a/b/c"})), False),
        (Purge(prefixes=("http://i", "http://h/a")), True),
        (Purge(prefixes=("/fill",)), False),
        (Purge(everything=True), True),
    ],
)
def test_a_key_is_judged_by_its_source(what: Purge, concerned: bool) -> None:  # noqa: FBT001 # a table
    assert what.concerns(KEY) is concerned
    assert what.concerns(f"{KEY}#variant") is concerned
    assert what.concerns("/source/0/0//http://h/a/b") is concerned
