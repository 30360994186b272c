from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from micropic.domain.accept import best, takes, weights
from micropic.domain.model import Format

ALL = frozenset({Format.AVIF, Format.WEBP, Format.JPEG})
CHROME = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"
OLD_SAFARI = "image/png,image/svg+xml,image/*;q=0.8,video/*;q=0.8,*/*;q=0.5"


@pytest.mark.parametrize(
    ("accept", "found"),
    [
        ("", {}),
        (" , ,", {}),
        ("a/b", {"a/b": 1.0}),
        ("A/B;q=0.5", {"a/b": 0.5}),
        ("a/b ; Q = 0.123 , c/d;v=1;q=0", {"a/b": 0.123, "c/d": 0.0}),
        ("a/b;q=2,c/d;q=x,e/f;q", {"a/b": 0.0, "c/d": 0.0, "e/f": 0.0}),
        ("a/b;q=1.000", {"a/b": 1.0}),
    ],
)
def test_weights_are_read(accept: str, found: dict[str, float]) -> None:
    assert weights(accept) == found


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("", Format.JPEG),
        ("*/*", Format.JPEG),
        (CHROME, Format.AVIF),
        (OLD_SAFARI, Format.JPEG),
        ("image/webp,*/*", Format.WEBP),
        ("image/webp;q=0.5,image/jpeg", Format.JPEG),
        ("image/webp;q=0.9,image/avif;q=0.8", Format.WEBP),
        ("image/avif;q=0,image/webp;q=0,*/*", Format.JPEG),
        ("image/avif;q=0.5,*/*;q=0.6", Format.JPEG),
        ("image/jpeg;q=0", Format.JPEG),
        ("text/html", Format.JPEG),
    ],
)
def test_the_best_of_what_is_named_is_chosen(accept: str, chosen: Format) -> None:
    assert best(accept, ALL) is chosen


@pytest.mark.parametrize(
    ("accept", "taken"),
    [("", False), ("*/*", False), ("image/*", False), ("image/webp;q=0", False), (CHROME, True)],
)
def test_webp_is_taken_only_by_who_names_it(accept: str, taken: bool) -> None:  # noqa: FBT001
    assert takes(accept, Format.WEBP) is taken
    assert takes(accept, Format.JPEG)


@given(st.text(max_size=40) | st.from_regex(r"[a-z*/]{0,9};q=[0-9.]{0,5}(,[a-z/;=]{0,9})?"))
def test_any_field_at_all_leads_to_a_format(accept: str) -> None:
    assert best(accept, ALL) in ALL
