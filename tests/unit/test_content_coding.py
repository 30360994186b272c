from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from micropic.adapters.content_coding import decoder_for
from micropic.domain.errors import OriginFailed

BODY = b"picture" * 1000


@pytest.mark.parametrize(
    ("coding", "sent"),
    [
        ("", BODY),
        ("identity", BODY),
        ("Identity ", BODY),
        ("gzip", gzip.compress(BODY, mtime=0)),
        (" GZip", gzip.compress(BODY, mtime=0)),
        ("x-gzip", gzip.compress(BODY, mtime=0)),
        ("deflate", zlib.compress(BODY)),
    ],
)
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_a_body_comes_whole_from_pieces_of_any_size(coding: str, sent: bytes, size: int) -> None:
    decoder = decoder_for(coding)
    pieces = [sent[start : start + size] for start in range(0, len(sent), size)]
    assert b"".join(decoder.decode(piece, len(BODY)) for piece in pieces) == BODY
    decoder.finish()


@pytest.mark.parametrize("coding", ["br", "zstd", "compress", "gzip, gzip", "x" * 5000])
def test_a_coding_that_was_not_asked_for_is_the_origins_failure(coding: str) -> None:
    with pytest.raises(OriginFailed, match="content coding") as caught:
        decoder_for(coding)
    assert len(caught.value.detail) < 150


@pytest.mark.parametrize("limit", [0, 10, 10_000])
def test_a_bomb_is_cut_off_one_byte_past_the_limit(limit: int) -> None:
    bomb = gzip.compress(bytes(50_000_000))
    assert len(decoder_for("gzip").decode(bomb, limit)) == limit + 1


@given(st.integers(0, len(gzip.compress(BODY, mtime=0)) - 1))
def test_a_body_that_ends_too_early_is_noticed(length: int) -> None:
    decoder = decoder_for("gzip")
    decoder.decode(gzip.compress(BODY, mtime=0)[:length], len(BODY))
    with pytest.raises(OriginFailed, match="ends too early"):
        decoder.finish()


@pytest.mark.parametrize("sent", [BODY, b"\x1f\x8b" + bytes(20), zlib.compress(BODY)[:-1] + b"!"])
def test_bytes_that_are_not_compressed_are_the_origins_failure(sent: bytes) -> None:
    with pytest.raises(OriginFailed, match="cannot be decompressed"):
        decoder_for("gzip").decode(sent, len(BODY))
