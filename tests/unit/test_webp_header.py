"""The size of a WebP, by its first chunk."""

from __future__ import annotations

import pytest
import pyvips
from PIL import Image

from micropic.domain.errors import BrokenImage
from micropic.imaging import webp_header
from micropic.imaging.kinds import Limits
from micropic.imaging.probe import probe
from tests.support.pictures import encode


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (64, 64), (65, 63), (1000, 7), (4097, 130)])
@pytest.mark.parametrize("lossless", [False, True], ids=["lossy", "lossless"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_each_form_tells_its_size(size: tuple[int, int], lossless: object, mode: str) -> None:
    picture = Image.new(mode, size, (9, 99, 199, 80)[: len(mode)])
    data = encode(picture, "WEBP", lossless=lossless)
    assert webp_header.size(data) == size
    opened = pyvips.Image.webpload_buffer(data)
    assert (opened.width, opened.height) == size
    assert probe(data, Limits()).size == size


def test_an_animation_tells_its_canvas_and_its_frames() -> None:
    frames = [Image.new("RGB", (90, 70), (shade, 0, 0)) for shade in (0, 80, 160)]
    data = encode(frames[0], "WEBP", save_all=True, append_images=frames[1:])
    picture = probe(data, Limits())
    assert (picture.size, picture.frames) == ((90, 70), 3)


@pytest.mark.parametrize("chunk", [b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b""])
def test_what_says_no_size_is_broken(chunk: bytes) -> None:
    for body in (b"", bytes(9), bytes(10) if chunk != b"VP8X" else b""):
        data = b"RIFF" + bytes(4) + b"WEBP" + chunk + bytes(4) + body
        with pytest.raises(ValueError, match="no size"):
            webp_header.size(data)
        with pytest.raises(BrokenImage):
            probe(data, Limits())
