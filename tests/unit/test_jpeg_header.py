"""The header walk: cheap, bounded, and never out of the file."""

from __future__ import annotations

import contextlib
import io
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from micropic.domain.errors import BrokenImage, MicropicError
from micropic.domain.model import Size
from micropic.imaging import jpeg_header
from tests.support import jpegs, profiles
from tests.support.pictures import encode, photo

PROGRESSIVE = encode(Image.open(io.BytesIO(photo())), "JPEG", progressive=True)
NOTHING_NEW = b"\xff\xda\x00\x08\x01\x01\x01\x3f\x00" + bytes(8)
"""A scan of luma's last coefficients."""


def test_the_scans_of_a_progressive_file_are_told() -> None:
    header = jpeg_header.read(PROGRESSIVE)
    assert (header.frame.size, header.frame.progressive) == (Size(320, 240), True)
    told = [(scan.components, scan.first, scan.last, scan.high, scan.low) for scan in header.scans]
    assert told == [
        ((0, 1, 2), 0, 0, 0, 1),
        ((0,), 1, 5, 0, 2),
        ((2,), 1, 63, 0, 1),
        ((1,), 1, 63, 0, 1),
        ((0,), 6, 63, 0, 2),
        ((0,), 1, 63, 2, 1),
        ((0, 1, 2), 0, 0, 1, 0),
        ((2,), 1, 63, 1, 0),
        ((1,), 1, 63, 1, 0),
        ((0,), 1, 63, 1, 0),
    ]
    assert header.complete
    assert not jpeg_header.read(PROGRESSIVE[:-2]).complete


def test_a_baseline_file_is_not_read_past_its_header() -> None:
    data = photo()
    sos = jpeg_header.read(data).sos
    header = jpeg_header.read(data[: sos + 14])
    assert (header.scans, header.complete) == ((), True)


@pytest.mark.parametrize("count", [100, 101, 10_000])
def test_more_than_a_hundred_scans_are_refused_in_words(count: int) -> None:
    data = PROGRESSIVE[:-2] + NOTHING_NEW * (count - 10) + b"\xff\xd9"
    if count > 100:
        with pytest.raises(BrokenImage, match="more than 100 scans"):
            jpeg_header.read(data)
    else:
        assert len(jpeg_header.read(data).scans) == 100


def test_a_scan_of_nothing_is_broken() -> None:
    nothing = b"\xff\xda\x00\x06\x00\x01\x3f\x00"
    with pytest.raises(BrokenImage):
        jpeg_header.read(PROGRESSIVE[:-2] + nothing + b"\xff\xd9")


@pytest.mark.parametrize("head", [b"\xff\xd8", PROGRESSIVE[:-2]])
def test_ten_megabytes_of_empty_segments_cost_nothing(head: bytes) -> None:
    started = time.perf_counter()
    with contextlib.suppress(BrokenImage):
        jpeg_header.read(head + b"\xff\xe5\x00\x02" * 2_500_000)
    assert time.perf_counter() - started < 1


@pytest.mark.parametrize("size", [(0, 9), (9, 0)])
def test_a_frame_without_pixels_is_broken(size: tuple[int, int]) -> None:
    data = photo()
    place = data.index(b"\xff\xc0") + 5
    sides = size[1].to_bytes(2, "big") + size[0].to_bytes(2, "big")
    with pytest.raises(BrokenImage):
        jpeg_header.read(data[:place] + sides + data[place + 4 :])


def test_a_profile_is_found() -> None:
    plain = photo()
    srgb, p3 = profiles.profile(profiles.SRGB), profiles.profile(profiles.DISPLAY_P3)
    grey = p3[:16] + b"GRAY" + p3[20:]
    for profile in (srgb, p3, grey):
        content = b"ICC_PROFILE\x00\x01\x01" + profile
        segment = b"\xff\xe2" + (len(content) + 2).to_bytes(2, "big") + content
        assert jpeg_header.read(plain[:2] + segment + plain[2:]).profile == profile


@given(
    st.sampled_from([photo(64, 48), jpegs.MOZJPEG_SCRIPT, jpegs.ARITHMETIC]),
    st.lists(st.tuples(st.integers(0, 999), st.integers(0, 255)), max_size=4),
    st.integers(0, 1000),
)
def test_damage_is_an_error_of_ours_or_none(
    data: bytes, changes: list[tuple[int, int]], cut: int
) -> None:
    mutable = bytearray(data[: max(cut, 4)])
    for place, value in changes:
        mutable[place % len(mutable)] = value
    damaged = b"\xff\xd8" + bytes(mutable[2:])
    try:
        header = jpeg_header.read(damaged)
    except MicropicError:
        return
    assert jpeg_header.tidy(damaged, header).endswith(b"\xff\xd9")
