from __future__ import annotations

import hashlib
import struct
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from micropic.adapters.entry import (
    LARGE,
    CorruptEntryError,
    head_of,
    pack,
    packed_size,
    unpack,
    unpack_head,
)
from micropic.domain import urls
from micropic.domain.freshness import lifetime
from micropic.domain.model import PIECE, CacheResult, Preview, Provenance, SourceFacts

KEY = "/fill/3/2/g=smart,q=80/http://h/x"
FACTS = SourceFacts(etag='"é"', cache_control="max-age=60", expires="", sha256="00ff")
PREVIEW = Preview(b"\xff\xd8body", "image/jpeg", 1234.5678, lifetime(FACTS), FACTS)
ENTRY = b"".join(pack(KEY, PREVIEW))

_texts = st.none() | st.text(max_size=10)
_facts = st.builds(
    SourceFacts, _texts, _texts, _texts, _texts, _texts, _texts, _texts, st.text(max_size=10)
)


@st.composite
def _previews(draw: st.DrawFn) -> Preview:
    facts = draw(_facts)
    return Preview(
        draw(st.binary()), "image/jpeg", draw(st.floats(0, 1e10)), lifetime(facts), facts
    )


@given(st.text(), _previews())
def test_an_entry_gives_back_what_was_packed(key: str, preview: Preview) -> None:
    assert unpack(b"".join(pack(key, preview))) == (key, preview)


def test_the_body_is_handed_on_as_it_is() -> None:
    assert pack(KEY, PREVIEW)[1] is PREVIEW.body


def test_a_source_is_kept_by_the_hash_that_was_made_while_it_came_in() -> None:
    key = urls.source_key(urls.parse_source(b"http://h/x"))
    body = b"\xff\xd8source"
    facts = SourceFacts(sha256=hashlib.sha256(body).hexdigest(), length=len(body))
    source = Preview(body, "application/octet-stream", 1.0, lifetime(facts), facts)
    packed = b"".join(pack(key, source))
    assert unpack(packed) == (key, source)
    with pytest.raises(CorruptEntryError):
        unpack(packed[:-1] + b"?")
    wrong = replace(source, source=replace(facts, sha256="0" * 64))
    with pytest.raises(CorruptEntryError):
        unpack(b"".join(pack(key, wrong)))
    of_another = replace(wrong, source=replace(wrong.source, length=len(body) + 1))
    assert unpack(b"".join(pack(key, of_another))) == (key, of_another)


def test_where_a_preview_came_from_is_not_kept() -> None:
    hit = replace(PREVIEW, provenance=Provenance(CacheResult.HIT, render=1.0))
    assert unpack(b"".join(pack(KEY, hit))) == (KEY, PREVIEW)


def test_the_layout_is_the_one_that_is_described() -> None:
    head, body = pack(KEY, PREVIEW)
    magic, version, reserved, header_length, body_length = struct.unpack_from(">4sHHIQ", head)
    assert (magic, version, reserved) == (b"MPIC", 4, 0)
    assert (header_length, body_length) == (len(head) - 52, len(body))


@pytest.mark.parametrize("length", [*range(60), len(ENTRY) - 1])
def test_an_entry_that_was_cut_short_is_corrupt(length: int) -> None:
    with pytest.raises(CorruptEntryError):
        unpack(ENTRY[:length])


def test_an_entry_with_something_left_over_is_corrupt() -> None:
    with pytest.raises(CorruptEntryError):
        unpack(ENTRY + b"\0")


@pytest.mark.parametrize("place", [at for at in range(len(ENTRY)) if at not in {6, 7}])
def test_a_changed_byte_anywhere_but_in_the_reserve_is_noticed(place: int) -> None:
    damaged = bytearray(ENTRY)
    damaged[place] ^= 1
    with pytest.raises(CorruptEntryError):
        unpack(bytes(damaged))


@given(st.binary(max_size=200))
def test_any_other_bytes_are_corrupt(data: bytes) -> None:
    with pytest.raises(CorruptEntryError):
        unpack(data)


BIG = replace(PREVIEW, body=bytes(range(256)) * (LARGE // 256) + b"end")
BIG_HEAD, BIG_BODY = pack(KEY, BIG)


@pytest.mark.parametrize("preview", [PREVIEW, BIG])
def test_the_size_is_known_before_an_entry_is_packed(preview: Preview) -> None:
    assert packed_size(KEY, preview) == sum(map(len, pack(KEY, preview)))


def test_a_large_entry_is_read_like_any_other_too() -> None:
    assert unpack(BIG_HEAD + BIG_BODY) == (KEY, BIG)
    with pytest.raises(CorruptEntryError):
        unpack(BIG_HEAD + BIG_BODY[:-1] + b"?")


def test_the_header_of_a_large_entry_is_read_and_checked_without_the_body() -> None:
    assert head_of(BIG_HEAD[:52]) == (len(BIG_HEAD), len(BIG_BODY))
    key, preview, blocks = unpack_head(BIG_HEAD)
    assert (key, preview, blocks.length) == (KEY, replace(BIG, body=b""), len(BIG_BODY))


@pytest.mark.parametrize("place", [*range(6), *range(8, 12), *range(20, 60), len(BIG_HEAD) - 1])
def test_a_changed_byte_in_the_header_of_a_large_entry_is_noticed(place: int) -> None:
    """All but the length of the body (12 to 19), which is checked against the file's."""
    damaged = bytearray(BIG_HEAD)
    damaged[place] ^= 1
    with pytest.raises(CorruptEntryError):
        unpack_head(bytes(damaged))


def test_an_entry_without_checksums_of_blocks_is_no_large_one() -> None:
    with pytest.raises(CorruptEntryError):
        unpack_head(pack(KEY, PREVIEW)[0])


def test_blocks_are_checked_each_by_itself() -> None:
    _, _, blocks = unpack_head(BIG_HEAD)
    damaged = bytearray(BIG_BODY)
    damaged[2 * PIECE] ^= 1
    view = memoryview(damaged)
    blocks.check(0, view[: 2 * PIECE])
    blocks.check(3 * PIECE, view[3 * PIECE :])
    for first, last in ((0, 3), (2, 3)):
        with pytest.raises(CorruptEntryError):
            blocks.check(first * PIECE, view[first * PIECE : last * PIECE])
