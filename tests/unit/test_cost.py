from __future__ import annotations

import pytest

from micropic.domain import cost
from micropic.domain.cost import Source
from micropic.domain.model import Format, Size, Transform
from micropic.domain.urls import DEFAULT, parse_path

PHOTO = Source("JPEG", Size(4000, 3000))
DEFAULT_MOST = 4.0


def asked(path: str) -> Transform:
    return parse_path(f"/{path}/sample:x".encode(), b"", DEFAULT).transform


@pytest.mark.parametrize(
    "path",
    [
        "fill/300/200",
        "fill/4096/8192",
        "fill/4096/8192/f=webp",
        "fill/4096/8192/blur=100",
        "fill/4000/2000/f=avif",
        "fill/4000/2000/f=avif,q=100",
        "fill/2000/1000/blur=20,sharpen=10",
        "fit/4000/3000/trim=10",
    ],
)
def test_large_previews_are_allowed_by_default(path: str) -> None:
    assert cost.estimate(PHOTO, asked(path)) < DEFAULT_MOST


@pytest.mark.parametrize(
    "path", ["fill/4096/8192/sharpen=10", "fill/4096/8192/f=avif", "fill/5792/5792/f=avif,q=100"]
)
def test_what_takes_longer_than_any_request_has_is_not(path: str) -> None:
    assert cost.estimate(PHOTO, asked(path)) > DEFAULT_MOST
    assert cost.least(asked(path)) > DEFAULT_MOST


@pytest.mark.parametrize(
    ("less", "more"),
    [
        ("fit/300/300", "fit/600/600"),
        ("fill/900/600", "fill/900/600/blur=5"),
        ("fill/900/600/blur=5", "fill/900/600/blur=20"),
        ("fill/900/600/sharpen=1", "fill/900/600/sharpen=10"),
        ("fill/900/600", "fill/900/600/trim=10"),
        ("fill/900/600/f=jpeg", "fill/900/600/f=webp"),
        ("fill/900/600/f=avif,q=80", "fill/900/600/f=avif,q=90"),
        ("fill/900/600", "fill/8000/4000"),
        ("fill/8000/4000/enlarge=0", "fill/8000/4000"),
    ],
)
def test_more_work_costs_more(less: str, more: str) -> None:
    assert cost.estimate(PHOTO, asked(less)) < cost.estimate(PHOTO, asked(more))


def test_a_large_blur_costs_no_more_than_a_smaller_one() -> None:
    large, larger = (asked(f"fill/2000/1000/blur={sigma}") for sigma in (50, 100))
    assert cost.estimate(PHOTO, large) == cost.estimate(PHOTO, larger)


def test_each_frame_of_an_animation_counts_if_it_is_to_move() -> None:
    still, moving = Source("GIF", Size(300, 200)), Source("GIF", Size(300, 200), 100)
    animated = asked("fill/300/200/anim=gif")
    assert cost.estimate(moving, animated) > 50 * cost.estimate(still, animated)
    assert cost.estimate(moving, asked("fill/300/200")) == cost.estimate(
        still, asked("fill/300/200")
    )


def test_the_format_counts_once_it_is_known() -> None:
    path = asked("fill/3000/2000")
    assert cost.estimate(PHOTO, path) == cost.estimate(PHOTO, path, Format.JPEG)
    assert cost.estimate(PHOTO, path, Format.PNG) > cost.estimate(PHOTO, path, Format.JPEG)


def test_a_progressive_jpeg_costs_more_unless_little_of_it_is_decoded() -> None:
    progressive = PHOTO._replace(kind=cost.PROGRESSIVE_JPEG)
    small, large = asked("fill/300/200"), asked("fill/4000/3000")
    assert cost.estimate(progressive, small) < 1.1 * cost.estimate(PHOTO, small)
    assert cost.estimate(progressive, large) > 2 * cost.estimate(PHOTO, large)


def test_an_svg_costs_what_is_drawn() -> None:
    tiny, photo = Source("SVG", Size(10, 10)), Source("PNG", Size(10, 10))
    path = asked("fill/1000/1000")
    assert cost.estimate(tiny, path) > cost.estimate(photo, path)


def test_whatever_a_trim_leaves_is_within_the_estimate() -> None:
    """A narrow rest fills more of the box than the whole would."""
    square = Source("PNG", Size(2000, 2000))
    tall, taller = asked("fit/200/2000"), asked("fit/200/2000/trim=1")
    each = cost.estimate(square, taller) - cost.estimate(square, tall)
    assert each > 0.04 * 0.8**2  # all that is decoded is looked through
    drawn = asked("fit/200/2000/explain=1")
    assert cost.estimate(square, drawn) < cost.estimate(square, taller)


def test_the_least_cost_is_below_every_estimate() -> None:
    for path in ("fit/900/600", "fill/900/600/enlarge=0", "fill/900/600/f=avif", "fill/900/600"):
        least = cost.least(asked(path))
        assert least <= cost.estimate(Source("PNG", Size(1, 1)), asked(path)) + 1e-9
        assert least < cost.unknown(asked(path))


def test_photos_are_short_and_huge_previews_long() -> None:
    assert not cost.is_long(cost.estimate(PHOTO, asked("fill/300/200")))
    assert cost.is_long(cost.estimate(PHOTO, asked("fill/4096/8190/blur=100")))
