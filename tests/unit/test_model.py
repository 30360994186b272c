from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from micropic.domain.model import PIECE, CacheResult, Preview, PreviewRequest, pieces
from micropic.domain.urls import DEFAULT, build_path, parse_path

TRANSFORM, SOURCE, *_ = parse_path(b"/fill/30/20/h/a", b"", DEFAULT)


def test_a_request_goes_past_the_caches_by_a_miss_or_by_what_is_stale() -> None:
    request = PreviewRequest(TRANSFORM, SOURCE, build_path(TRANSFORM, SOURCE))
    assert request.forwarded is CacheResult.MISS
    stale = Preview(b"", "image/jpeg", 0.0, 0.0)
    assert replace(request, stale=stale).forwarded is CacheResult.STALE


class InCache:
    """A body that is elsewhere."""

    length = 4

    async def read(self, first: int, last: int) -> bytes:
        return b"body"[first : last + 1]

    async def check(self, first: int, last: int) -> None:
        pass


async def test_a_preview_is_made_whole_wherever_its_body_is() -> None:
    whole = Preview(b"body", "image/jpeg", 0.0, 0.0)
    stored = replace(whole, body=b"", stored=InCache())
    assert (whole.length, stored.length) == (4, 4)
    assert await whole.whole() is whole
    assert await stored.whole() == whole
    assert (await stored.whole()).stored is None


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        (0, -1, []),
        (5, 5, [(5, 5)]),
        (0, PIECE, [(0, PIECE - 1), (PIECE, PIECE)]),
        (PIECE - 1, 2 * PIECE - 1, [(PIECE - 1, PIECE - 1), (PIECE, 2 * PIECE - 1)]),
    ],
)
def test_a_range_is_cut_where_the_blocks_of_a_body_end(
    first: int, last: int, expected: list[tuple[int, int]]
) -> None:
    assert list(pieces(first, last)) == expected


@given(st.integers(0, 4 * PIECE), st.integers(0, 4 * PIECE))
def test_pieces_are_the_whole_range_in_order(first: int, length: int) -> None:
    cut = list(pieces(first, first + length - 1))
    assert sum(end + 1 - start for start, end in cut) == length
    assert all(end + 1 == start for (_, end), (start, _) in pairwise(cut))
