from __future__ import annotations

import gc
import weakref
from dataclasses import replace

import pytest

from micropic.domain.errors import (
    BrokenImage,
    MicropicError,
    NotAnImage,
    OriginRefused,
    OriginTimeout,
    Overloaded,
    PreviewTooLarge,
    RenderCrashed,
    SourceTooLarge,
    TooComplex,
    TooManyPixels,
    TooMuchMemory,
    TooMuchWork,
)
from micropic.domain.model import Preview, PreviewRequest
from micropic.domain.urls import keyed_by
from micropic.pipeline.remembered_errors import RememberedErrors
from tests.support.preview_requests import preview_request


class Failing:
    """Fails, and counts how often it was asked."""

    def __init__(self, error: MicropicError) -> None:
        self.error: MicropicError | None = error
        self.calls = 0

    async def preview(self, request: PreviewRequest) -> Preview:
        self.calls += 1
        if self.error:
            raise self.error
        return Preview(request.key.encode(), "image/jpeg", 0.0, 1.0)


@pytest.mark.parametrize(
    "error",
    [
        OriginRefused("No.", 404, {}),
        OriginRefused("No.", 410, {}),
        NotAnImage("No."),
        BrokenImage("No."),
        SourceTooLarge("No."),
        TooManyPixels("No."),
    ],
)
async def test_what_lasts_is_remembered_for_a_while(error: MicropicError, now: list[float]) -> None:
    inner = Failing(error)
    previewer = RememberedErrors(10, inner)
    for _ in range(3):
        with pytest.raises(type(error)):
            await previewer.preview(preview_request())
    with pytest.raises(type(error)):  # another size of the same source
        await previewer.preview(preview_request("/fit/9/9/h/x"))
    assert inner.calls == 1
    now[0] += 10
    inner.error = None
    assert (await previewer.preview(preview_request())).body
    assert inner.calls == 2


@pytest.mark.parametrize(
    "error",
    [PreviewTooLarge("No."), TooComplex("No."), TooMuchMemory("No."), TooMuchWork("No.")],
)
async def test_what_depends_on_the_size_is_remembered_of_that_size_alone(
    error: MicropicError, now: list[float]
) -> None:
    inner = Failing(error)
    previewer = RememberedErrors(10, inner)
    for _ in range(3):
        with pytest.raises(type(error)):
            await previewer.preview(preview_request())
    assert inner.calls == 1
    inner.error = None
    assert (await previewer.preview(preview_request("/fit/9/9/h/x"))).body
    with pytest.raises(type(error)):
        await previewer.preview(preview_request())
    now[0] += 10
    assert (await previewer.preview(preview_request())).body
    assert inner.calls == 3


@pytest.mark.parametrize(
    "error",
    [
        OriginRefused("No.", 403, {}),
        OriginRefused("No.", 401, {}),
        OriginTimeout("No."),
        Overloaded("No.", retry_after=1),
        RenderCrashed("No."),
    ],
)
async def test_what_may_be_right_the_next_time_is_asked_for_again(error: MicropicError) -> None:
    inner = Failing(error)
    previewer = RememberedErrors(10, inner)
    for _ in range(3):
        with pytest.raises(type(error)):
            await previewer.preview(preview_request())
    assert inner.calls == 3


async def test_other_sources_are_not_blamed(now: list[float]) -> None:
    inner = Failing(NotAnImage("No."))
    previewer = RememberedErrors(10, inner)
    for number in range(10_003):
        with pytest.raises(NotAnImage):
            await previewer.preview(preview_request(f"/fill/30/20/h/{number}"))
    assert inner.calls == 10_003
    assert now == [1000.0]


@pytest.mark.parametrize(
    "error", [OriginRefused("No.", 404, {}), NotAnImage("No."), TooComplex("No.")]
)
async def test_clients_whom_an_origin_may_tell_apart_are_not_blamed(error: MicropicError) -> None:
    inner = Failing(error)
    previewer = RememberedErrors(10, inner)
    plain, robot = preview_request(), (("user-agent", "robot"),)
    others = [
        plain,
        replace(plain, headers=robot),
        replace(plain, headers=(("referer", "https://evil.example/"),)),
        replace(plain, headers=(("accept-language", "evil"),)),
        replace(plain, key=keyed_by(plain.key, "ab")),
        replace(plain, key=keyed_by(plain.key, "ab"), headers=robot),
    ]
    for _ in range(2):
        for request in others:
            with pytest.raises(type(error)):
                await previewer.preview(request)
    assert inner.calls == len(others)


@pytest.mark.parametrize(
    ("vary", "calls"), [("origin, user-agent", 1), ("accept-language", 1), ("*", 2)]
)
async def test_a_refusal_that_varies_by_what_no_field_tells_is_not_remembered(
    vary: str, calls: int
) -> None:
    inner = Failing(OriginRefused("No.", 404, {"Vary": vary}))
    previewer = RememberedErrors(10, inner)
    for _ in range(2):
        with pytest.raises(OriginRefused):
            await previewer.preview(preview_request())
    assert inner.calls == calls


async def test_damage_that_a_large_preview_shows_is_remembered_of_that_alone() -> None:
    inner = Failing(BrokenImage("No."))
    previewer = RememberedErrors(10, inner)
    for _ in range(2):
        with pytest.raises(BrokenImage):
            await previewer.preview(preview_request("/fill/1200/800/h/x"))
    assert inner.calls == 1
    inner.error = None
    assert (await previewer.preview(preview_request())).body


class Holding:
    """Fails with something large in hand."""

    def __init__(self) -> None:
        self.held: list[weakref.ref[Picture]] = []

    async def preview(self, _: PreviewRequest) -> Preview:
        picture = Picture()
        self.held.append(weakref.ref(picture))
        msg = "No."
        raise SourceTooLarge(msg) from ValueError(picture)


class Picture:
    """Something that takes up room."""


async def test_what_is_remembered_holds_nothing_of_the_request() -> None:
    inner = Holding()
    previewer = RememberedErrors(10, inner)
    for _ in range(2):
        with pytest.raises(SourceTooLarge, match=r"No\."):
            await previewer.preview(preview_request())
    gc.collect()
    assert [each() for each in inner.held] == [None]
