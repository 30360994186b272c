from __future__ import annotations

import hashlib
import struct
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from micropic.adapters.entry import CorruptEntryError, pack, unpack
from micropic.domain import urls
from micropic.domain.freshness import lifetime
from micropic.domain.model import CacheResult, Preview, Provenance, SourceFacts

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
