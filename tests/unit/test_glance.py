"""What a body claims to be, beside what the render process finds."""

from __future__ import annotations

import struct

import pytest

from micropic.domain import cost
from micropic.domain.model import Size
from micropic.domain.urls import DEFAULT, parse_path
from micropic.imaging import glance
from micropic.imaging.kinds import Limits
from micropic.imaging.probe import probe
from tests.support.pictures import animation, drawing, encode, photo, quadrants

TRANSFORM = parse_path(b"/fill/300/200/sample:x", b"", DEFAULT).transform


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "WEBP", "BMP"])
def test_the_size_is_what_the_header_says(form: str) -> None:
    body = photo(330, 240, form)
    claimed = glance.claimed(body)
    assert claimed
    assert claimed.size == probe(body, Limits()).size
    assert claimed.frames <= 2
    assert claimed.kind == probe(body, Limits()).kind


def test_a_progressive_jpeg_is_told_from_others() -> None:
    claimed = glance.claimed(encode(quadrants(330, 240), "JPEG", progressive=True))
    assert claimed == cost.Source(cost.PROGRESSIVE_JPEG, Size(330, 240))


def test_an_animation_has_about_as_many_frames_as_its_bytes_allow() -> None:
    claimed = glance.claimed(animation("GIF", 5) + bytes(10_000_000))
    assert claimed
    assert claimed.frames == 100


@pytest.mark.parametrize("form", ["AVIF", "TIFF", "ICO"])
def test_a_size_deeper_in_the_file_is_guessed_from_the_bytes(form: str) -> None:
    body = photo(128, 128, form)
    claimed = glance.claimed(body)
    assert claimed
    assert claimed.size.width > 1


def test_a_drawing_is_guessed_too() -> None:
    assert glance.claimed(drawing("<path/>"))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello",
        b"\xff\xd8\xff",
        b"\xff\xd8\xff\xe0\x00\x02abcd",
        b"\xff\xd8\xff\xe0" + struct.pack(">H", 60000) + bytes(100),
        b"\xff\xd8\xff\xc0" + struct.pack(">HBHH", 11, 8, 0, 0) + bytes(9),
        b"\xff\xd8" + b"\xff\xe1\x00\x02" * 100,
        b"\x89PNG\r\n\x1a\n" + bytes(8),
        b"\x89PNG\r\n\x1a\n" + bytes(40),
        b"RIFF\x00\x00\x00\x00WEBPVP8 ",
    ],
)
def test_what_claims_nothing_is_taken_for_a_typical_image(body: bytes) -> None:
    assert glance.claimed(bytearray(body)) is None
    assert glance.estimate(body, TRANSFORM) == cost.unknown(TRANSFORM)
