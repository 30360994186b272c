"""A lack of memory is told from damage and from a crash."""

from __future__ import annotations

import resource
import time
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio
import pyvips
from PIL import Image

import micropic
from micropic.domain.errors import (
    BrokenImage,
    MicropicError,
    RenderCrashed,
    TooComplex,
    TooMuchMemory,
)
from micropic.domain.model import Mode, Rendered, Size
from micropic.domain.options import Defaults, read, transform
from micropic.imaging.drawing_time import LAST_WORDS
from micropic.imaging.extras import has_faces
from micropic.imaging.render_process import _end
from micropic.imaging.slots import RenderSlots, SlotOptions
from tests.support.pictures import drawing, encode, photo

FACE = (Path(micropic.__file__).parent / "samples" / "astronaut.jpg").read_bytes()

pytestmark = pytest.mark.asyncio(loop_scope="module")


OPTIONS = SlotOptions(timeout=20, max_memory=256 * 1024**2)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def slots() -> AsyncIterator[RenderSlots]:
    async with RenderSlots(1, OPTIONS) as slots:
        yield slots


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fresh_slots() -> AsyncIterator[RenderSlots]:
    """Yield a process whose little address space no lack of memory has fragmented."""
    async with RenderSlots(1, OPTIONS) as slots:
        yield slots


async def render(
    slots: RenderSlots, body: bytes, size: tuple[int, int] = (60, 40), options: str = ""
) -> Rendered:
    asked = transform(Mode.FILL, Size(*size), read(options.encode()), Defaults())
    return await slots.render(body, asked, time.monotonic() + 60)


def resident_bytes(slots: RenderSlots) -> int:
    (process,) = slots._alive
    pages = Path(f"/proc/{process.pid}/statm").read_text().split()[1]
    return int(pages) * resource.getpagesize()


def blank(form: str, side: int) -> bytes:
    return encode(Image.new("RGB", (side, side), (9, 99, 199)), form)


def interlaced() -> bytes:
    """Give a PNG that has to be decoded as a whole."""
    pixels = np.zeros((7000, 7000, 3), np.uint8)
    image = pyvips.Image.new_from_memory(pixels, 7000, 7000, 3, "uchar")
    body: bytes = image.pngsave_buffer(interlace=True, compression=1)
    return body


def progressive() -> bytes:
    """Give a JPEG whose coefficients are all held at once: 6 bytes a pixel."""
    image = Image.new("RGB", (7000, 7000), (9, 99, 199))
    return encode(image, "JPEG", progressive=True, subsampling=0)


def blurred() -> bytes:
    blur = '<filter id="f"><feGaussianBlur stdDeviation="9"/></filter>'
    return drawing(f'{blur}<rect filter="url(#f)" width="5000" height="5000"/>',
                   'width="5000" height="5000"')  # fmt: skip


@pytest.mark.parametrize("form", ["PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF", "SVG", "JPEG"])
async def test_a_picture_for_which_there_is_no_memory_is_told_so(
    slots: RenderSlots, form: str
) -> None:
    if form == "SVG":
        body, size = blurred(), (2500, 2500)
    elif form == "JPEG":
        body, size = progressive(), (60, 40)
    else:
        side = {"GIF": 7000, "WEBP": 7000}.get(form, 4000)
        body, size = interlaced() if form == "PNG" else blank(form, side), (60, 40)
    with pytest.raises(TooMuchMemory):
        await render(slots, body, size)
    assert (await render(slots, photo())).media_type == "image/jpeg"


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ("f=avif,q=100", (2400, 2400)),
        ("f=webp,q=100", (5000, 5000)),
        ("f=png", (8000, 8000)),
        ("f=jpeg", (9000, 9000)),
        ("f=jpeg,blur=100", (6000, 6000)),
        ("f=jpeg,sharpen=10", (6000, 6000)),
    ],
)
async def test_a_step_after_decoding_without_memory_ends_no_process(
    slots: RenderSlots, options: str, size: tuple[int, int]
) -> None:
    (process,) = slots._alive
    with pytest.raises(TooMuchMemory):
        await render(slots, photo(), size, options)
    assert (await render(slots, photo())).media_type == "image/jpeg"
    assert slots._alive == {process}


@pytest.mark.parametrize("form", ["PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF", "JPEG"])
async def test_a_small_picture_that_is_damaged_is_still_that(
    fresh_slots: RenderSlots, form: str
) -> None:
    with pytest.raises(BrokenImage):
        await render(fresh_slots, photo(form=form)[:-3000])


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ("GLib-ERROR **: ../glib/gmem.c:106: failed to allocate 48000140 bytes", TooMuchMemory),
        ("memory allocation of 1600000000 bytes failed", TooMuchMemory),
        ("TryReserveError { kind: AllocError { layout: Layout {", TooMuchMemory),
        ("OpenBLAS error: Memory allocation still failed after 10 retries", TooMuchMemory),
        ("terminate called after throwing an instance of 'std::bad_alloc'", TooMuchMemory),
        ("Failed to alloc memeory for uint8 data blob: 5*5*32", TooMuchMemory),
        ("OSError: [Errno 12] Cannot allocate memory", TooMuchMemory),
        ("ValueError: Insufficient memory (case 4)", TooMuchMemory),
        ("RuntimeError: can't start new thread", TooMuchMemory),
        (LAST_WORDS, TooComplex),
        ("free(): invalid pointer", RenderCrashed),
        ("Pango-WARNING **: failed to create cairo scaled font", RenderCrashed),
        ("", RenderCrashed),
    ],
)
async def test_the_last_words_of_a_process_tell_why_it_died(
    said: str, error: type[MicropicError]
) -> None:
    assert type(_end(said, drawing=True, decoding=True)) is error


@pytest.mark.skipif(not has_faces(), reason="no wheel of the extra for this machine")
@pytest.mark.parametrize("gravity", ["smart", "face"])
async def test_looking_for_faces_leaves_no_memory_taken(
    fresh_slots: RenderSlots, gravity: str
) -> None:
    """The function for Python in the detector's wheel loses 54 kB at a time."""
    resident = []
    for times in (50, 200):
        for _ in range(times):
            await render(fresh_slots, FACE, (120, 30), f"g={gravity}")
        resident.append(resident_bytes(fresh_slots))
    assert resident[1] - resident[0] < 200 * 10_000


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
async def test_pictures_of_many_shapes_leave_little_memory_taken(
    fresh_slots: RenderSlots, mode: str
) -> None:
    """What resamples pictures is kept for the last shapes."""
    picture = Image.effect_noise((590, 590), 80).convert(mode)
    if mode == "RGBA":
        picture.putalpha(Image.effect_noise(picture.size, 80))
    body = encode(picture, "PNG")
    resident = []
    for sides in range(580, 581), range(560, 580):
        for side in sides:
            await render(fresh_slots, body, (side, side), "g=center,f=jpeg")
        resident.append(resident_bytes(fresh_slots))
    assert resident[1] - resident[0] < 64 * 1024**2
