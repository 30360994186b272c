from __future__ import annotations

import pytest

from micropic.domain.blame import blamed, incriminates_image, is_cheap, lasts
from micropic.domain.errors import (
    BrokenImage,
    MicropicError,
    NotAnImage,
    OriginRefused,
    OriginTimeout,
    PreviewTooLarge,
    RenderCrashed,
    RenderTimeout,
    SourceTooLarge,
    TooManyPixels,
)
from micropic.domain.model import Transform
from micropic.domain.urls import DEFAULT, parse_path


def transform(asked: str) -> Transform:
    return parse_path(f"/{asked}/h/x".encode(), b"", DEFAULT).transform


@pytest.mark.parametrize(
    "asked",
    ["fill/1920/1080", "fit/30/20/f=avif,q=100", "fill/300/200/dpr=4", "fill/9/9/g=face,rot=90"],
)
def test_small_previews_are_cheap(asked: str) -> None:
    assert is_cheap(transform(asked))


@pytest.mark.parametrize(
    "asked",
    ["fill/1920/1200", "fill/800/600/dpr=3", "fill/8192/1", "fit/1/4000"]
    + [f"fill/9/9/{option}" for option in ("blur=1", "sharpen=1", "explain=1", "trim=9", "anim=1")],
)
def test_large_previews_and_expensive_options_are_not(asked: str) -> None:
    assert not is_cheap(transform(asked))


@pytest.mark.parametrize(
    ("error", "cheap", "expensive"),
    [
        (NotAnImage("No."), True, True),
        (SourceTooLarge("No."), True, True),
        (TooManyPixels("No."), True, True),
        (OriginRefused("No.", 404, {}), True, True),
        (OriginRefused("No.", 403, {}), False, False),
        (BrokenImage("No."), True, False),
        (PreviewTooLarge("No."), False, False),
        (OriginTimeout("No."), False, False),
    ],
)
def test_errors_that_last(error: MicropicError, *, cheap: bool, expensive: bool) -> None:
    assert lasts(error, transform("fill/30/20")) is cheap
    assert lasts(error, transform("fill/30/20/anim=webp")) is expensive
    assert lasts(error, transform("fill/300/200")) is expensive


@pytest.mark.parametrize(
    ("error", "cheap"),
    [
        (RenderCrashed("No.", decoding=True), True),
        (RenderCrashed("No."), True),
        (RenderTimeout("No.", 5.0, decoding=True), True),
        (RenderTimeout("No.", 5.0), False),
    ],
)
def test_no_expensive_transform_incriminates_an_image(
    error: RenderCrashed | RenderTimeout, *, cheap: bool
) -> None:
    assert incriminates_image(error, transform("fill/30/20")) is cheap
    assert not incriminates_image(error, transform("fill/4096/4096"))


@pytest.mark.parametrize("other", ["fill/512/150", "fill/300/40", "fit/300/200"])
def test_a_drawing_is_blamed_for_sizes_like_this_one_alone(other: str) -> None:
    image = blamed("sha", transform("fill/300/200"), drawing=True)
    assert image == blamed("sha", transform("fill/310/190/q=9"), drawing=True)
    assert image != blamed("sha", transform(other), drawing=True)
    assert blamed("sha", transform(other), drawing=False) == "sha"
