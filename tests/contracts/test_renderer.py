from __future__ import annotations

import asyncio
import errno
import io
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio
from PIL import Image

import micropic
from micropic.domain.errors import (
    BrokenImage,
    DeadlineExceeded,
    MicropicError,
    NotAnImage,
    RenderCrashed,
    RenderTimeout,
    TooManyPixels,
)
from micropic.domain.model import Anchor, Mode, Rendered, Size, Transform
from micropic.imaging import engine, memory_file
from micropic.imaging.extras import has_faces
from micropic.imaging.faces import find_faces
from micropic.imaging.kinds import Limits
from micropic.imaging.slots import RenderSlots, SlotOptions
from micropic.ports import Renderer
from tests.support.pictures import (
    FORMATS,
    QUADRANTS,
    RED,
    SVG,
    encode,
    oriented,
    photo,
    quadrant_colours,
    quadrants,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["slots"])
async def renderer() -> AsyncIterator[Renderer]:
    async with RenderSlots(1, SlotOptions(limits=Limits(pixels=1_000_000))) as slots:
        yield slots


async def render(
    renderer: Renderer,
    body: bytes,
    size: tuple[int, int] = (60, 40),
    mode: Mode = Mode.FILL,
    gravity: Anchor = Anchor.SMART,
) -> Rendered:
    transform = Transform(mode, Size(*size), gravity, 90)
    return await renderer.render(body, transform, time.monotonic() + 30)


def decoded(rendered: Rendered) -> Image.Image:
    picture = Image.open(io.BytesIO(rendered.body))
    picture.load()
    return picture


@pytest.mark.parametrize("form", FORMATS)
async def test_each_format_becomes_a_jpeg_of_the_size_asked(renderer: Renderer, form: str) -> None:
    rendered = await render(renderer, photo(form=form))
    assert (rendered.media_type, decoded(rendered).format) == ("image/jpeg", "JPEG")
    assert decoded(rendered).size == (60, 40)


async def test_an_svg_is_drawn_at_the_size_asked(renderer: Renderer) -> None:
    picture = decoded(await render(renderer, SVG, (640, 480)))
    assert picture.size == (640, 480)
    assert quadrant_colours(picture) == (RED,) * 4


@pytest.mark.parametrize("source", [(1, 1), (7, 300), (640, 479), (320, 240)])
@pytest.mark.parametrize("form", ["JPEG", "PNG"])
async def test_fill_gives_exactly_the_size_asked(
    renderer: Renderer, source: tuple[int, int], form: str
) -> None:
    body = photo(*source, form=form)
    sides = [1, 2, 31, 64, 255, 700]
    asked = [(width, height) for width in sides for height in sides]
    got = [decoded(await render(renderer, body, size)).size for size in asked]
    assert got == asked


@pytest.mark.parametrize(
    ("source", "box", "expected"),
    [
        ((320, 240), (100, 100), (100, 75)),
        ((320, 240), (1000, 60), (80, 60)),
        ((320, 240), (1000, 1000), (320, 240)),
        ((320, 240), (320, 240), (320, 240)),
        ((600, 3), (60, 60), (60, 1)),
        ((3, 600), (60, 60), (1, 60)),
    ],
)
async def test_fit_stays_in_the_box_and_does_not_enlarge(
    renderer: Renderer, source: tuple[int, int], box: tuple[int, int], expected: tuple[int, int]
) -> None:
    for form in ("JPEG", "PNG"):
        rendered = await render(renderer, photo(*source, form=form), box, Mode.FIT)
        assert decoded(rendered).size == expected


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
async def test_every_orientation_comes_out_upright(
    renderer: Renderer, orientation: int, form: str
) -> None:
    body = oriented(orientation, form)
    fitted = decoded(await render(renderer, body, (80, 80), Mode.FIT))
    filled = decoded(await render(renderer, body, (80, 48)))
    assert (fitted.size, filled.size) == ((80, 48), (80, 48))
    assert quadrant_colours(fitted) == quadrant_colours(filled) == QUADRANTS


@pytest.mark.parametrize(
    ("gravity", "expected"),
    [
        (Anchor.NORTHWEST, QUADRANTS[0]),
        (Anchor.NORTHEAST, QUADRANTS[1]),
        (Anchor.SOUTHWEST, QUADRANTS[2]),
        (Anchor.SOUTHEAST, QUADRANTS[3]),
    ],
)
async def test_gravity_chooses_what_is_kept(
    renderer: Renderer, gravity: Anchor, expected: tuple[int, int, int]
) -> None:
    tall, wide = encode(quadrants(40, 400), "PNG"), encode(quadrants(400, 40), "PNG")
    upper, lower = quadrant_colours(
        decoded(await render(renderer, tall, (40, 40), gravity=gravity))
    )[::2]
    left, right = quadrant_colours(
        decoded(await render(renderer, wide, (40, 40), gravity=gravity))
    )[:2]
    column, row = QUADRANTS.index(expected) % 2, QUADRANTS.index(expected) // 2
    assert upper == lower == QUADRANTS[2 * row]
    assert left == right == QUADRANTS[column]


async def test_what_is_transparent_stays_so(renderer: Renderer) -> None:
    body = encode(Image.new("RGBA", (64, 64), (0, 0, 0, 0)), "PNG")
    rendered = await render(renderer, body)
    assert rendered.media_type == "image/png"
    assert decoded(rendered).getpixel((30, 20)) == (0, 0, 0, 0)


@pytest.mark.parametrize("mode", ["L", "CMYK"])
async def test_foreign_colours_become_rgb(renderer: Renderer, mode: str) -> None:
    body = encode(quadrants(160, 96).convert(mode), "JPEG")
    assert decoded(await render(renderer, body)).size == (60, 40)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
async def test_a_truncated_picture_is_broken(renderer: Renderer, form: str, share: float) -> None:
    body = photo(form=form)
    with pytest.raises(BrokenImage):
        await render(renderer, body[: int(len(body) * share)])


@pytest.mark.parametrize(
    "head", [b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"II*\x00"]
)
async def test_a_signature_alone_is_a_broken_picture(renderer: Renderer, head: bytes) -> None:
    for rest in (b"", b"\x00" * 99, b"\xff" * 99):
        with pytest.raises(BrokenImage):
            await render(renderer, head + rest)


@pytest.mark.parametrize(
    "body", [b"hello", b"", b"<!doctype html>", b'{"a": 1}', b"%PDF-1.7", b"\x00" * 99, b"\x1f\x8b"]
)
async def test_what_is_no_picture_is_refused(renderer: Renderer, body: bytes) -> None:
    await render(renderer, photo())  # so that a picture of before cannot be taken for this one
    with pytest.raises(NotAnImage):
        await render(renderer, body)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
async def test_too_many_pixels_are_refused(renderer: Renderer, form: str) -> None:
    with pytest.raises(TooManyPixels):
        await render(renderer, photo(1001, 1000, form))


async def test_a_slot_works_on_after_every_kind_of_failure(renderer: Renderer) -> None:
    expected = await render(renderer, photo())
    for body in (b"hello", photo()[:900], photo(1001, 1000)):
        with pytest.raises(MicropicError):
            await render(renderer, body)
    assert (await render(renderer, photo())).body == expected.body


async def test_a_broken_icon_costs_no_process(renderer: Renderer) -> None:
    """The error of a picture in an icon knows of a view of the icon's bytes."""
    icon = photo(64, 64, "ICO")
    for body in (icon[:-300], icon[:40], icon[:9], icon[:6] + b"\xff" * 99):
        with pytest.raises(BrokenImage):
            await render(renderer, body)


async def test_a_large_picture_leaves_nothing_to_the_next(renderer: Renderer) -> None:
    expected = (await render(renderer, photo())).body
    await render(renderer, photo(1000, 1000, "BMP"), (900, 900))
    assert (await render(renderer, photo())).body == expected


async def test_a_render_that_takes_too_long_is_killed_and_its_slot_replaced() -> None:
    async with RenderSlots(1, SlotOptions(timeout=30)) as slots:
        await render(slots, photo())
        (first,) = slots._alive
        os.kill(first.pid, signal.SIGSTOP)  # a codec that hangs
        transform = Transform(Mode.FILL, Size(60, 40), Anchor.SMART, 80)
        with pytest.raises(RenderTimeout):
            await slots.render(photo(), transform, time.monotonic() + 0.2)
        assert decoded(await render(slots, photo())).size == (60, 40)
        (second,) = slots._alive
        assert second.pid != first.pid


async def test_a_picture_that_cannot_be_handed_over_costs_no_slot(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOMEM, "no memory for the file")

    async with RenderSlots(1, SlotOptions()) as slots:
        with monkeypatch.context() as broken:
            broken.setattr(memory_file, "write", full)
            with pytest.raises(OSError, match="no memory"):
                await render(slots, photo())
        assert decoded(await render(slots, photo())).size == (60, 40)


@pytest.mark.parametrize(
    "nonsense",
    [
        b"[]\n",
        b"{\n",
        b'{"length": 1}\n',
        b'{"error": {"code": "nope"}}\n',
        b'{"length": 18446744073709551615}\n',
        b"." * 100_000,
    ],
    ids=lambda said: said[:30].decode(),
)
@pytest.mark.parametrize("at_work", [False, True])
async def test_a_process_that_talks_nonsense_is_ended(nonsense: bytes, *, at_work: bool) -> None:
    async with RenderSlots(1, SlotOptions()) as slots:
        process = await slots.start_one()
        reply = None
        if at_work:
            os.kill(process.pid, signal.SIGSTOP)
            transform = Transform(Mode.FILL, Size(60, 40), Anchor.SMART, 80)
            reply = process.send(photo(), transform, 30)
        process.data_received(nonsense)
        assert process.killed
        await process.gone
        await process._process.wait()
        if reply is not None:
            with pytest.raises(RenderCrashed):
                await reply


async def test_a_process_that_hangs_up_is_ended() -> None:
    async with RenderSlots(1, SlotOptions()) as slots:
        process = await slots.start_one()
        os.kill(process.pid, signal.SIGSTOP)
        process._transport.abort()
        await process.gone
        await process._process.wait()
        assert not process.killed


@pytest.mark.skipif(not has_faces(), reason="no wheel of the extra for this machine")
async def test_smart_looks_for_faces_unless_told_not_to() -> None:
    """In the sandbox, too, from which the detector is loaded."""
    astronaut = (Path(micropic.__file__).parent / "samples" / "astronaut.jpg").read_bytes()
    transform = Transform(Mode.FILL, Size(400, 100), Anchor.SMART, 90)
    for smart_faces in (True, False):
        async with RenderSlots(1, SlotOptions(smart_faces=smart_faces)) as slots:
            rendered = await slots.render(astronaut, transform, time.monotonic() + 30)
        expected = engine.render(astronaut, transform, smart_faces=smart_faces)
        assert rendered.body == expected.body
        faces = find_faces(np.asarray(decoded(rendered)))
        assert bool(faces) == smart_faces


async def test_a_wait_for_a_slot_ends_with_the_deadline() -> None:
    async with RenderSlots(1, SlotOptions(timeout=30)) as slots:
        await render(slots, photo())
        (process,) = slots._alive
        os.kill(process.pid, signal.SIGSTOP)
        busy = asyncio.create_task(render(slots, photo()))
        await asyncio.sleep(0)
        transform = Transform(Mode.FILL, Size(60, 40), Anchor.SMART, 80)
        with pytest.raises(DeadlineExceeded):
            await slots.render(photo(), transform, time.monotonic() + 0.2)
        os.kill(process.pid, signal.SIGCONT)
        assert decoded(await busy).size == (60, 40)


@pytest.mark.parametrize("left", [-1.0, 0.0, 0.05])
async def test_a_request_with_no_time_left_costs_no_process(left: float) -> None:
    async with RenderSlots(1, SlotOptions()) as slots:
        (before,) = slots._alive
        transform = Transform(Mode.FILL, Size(60, 40), Anchor.SMART, 80)
        with pytest.raises(DeadlineExceeded, match="could not be made in time"):
            await slots.render(photo(), transform, time.monotonic() + left)
        await render(slots, photo())
        assert slots._alive == {before}
