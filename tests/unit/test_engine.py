"""What the engine makes of pictures and options, without a process in between."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import pyvips
from PIL import Image, ImageSequence

from micropic.domain.errors import TooManyPixels, TooMuchWork
from micropic.domain.model import Format, Mode, Size
from micropic.domain.options import Defaults, read, transform
from micropic.imaging import engine
from micropic.imaging.kinds import Limits
from tests.support.pictures import (
    BLUE,
    GREEN,
    QUADRANTS,
    RED,
    YELLOW,
    animation,
    encode,
    oriented,
    photo,
    pyramid_below_black,
    quadrant_colours,
    quadrants,
)


def render(
    body: bytes,
    options: str = "",
    size: tuple[int, int] = (60, 40),
    mode: Mode = Mode.FILL,
    limits: Limits | None = None,
) -> Image.Image:
    """Render as an address with these options asks for, and decode what came out."""
    asked = transform(mode, Size(*size), read(options.encode()), Defaults())
    encoded = engine.render(body, asked, limits)
    picture = Image.open(io.BytesIO(encoded.body))
    assert picture.get_format_mimetype() == encoded.media_type
    assert picture.size == encoded.size
    return picture


def array(picture: Image.Image) -> npt.NDArray[Any]:
    return np.asarray(picture.convert("RGBA")).astype(int)


def spot(alpha: int = 255) -> bytes:
    """Give a PNG of 90 x 60: a red square in the middle of nothing."""
    picture = Image.new("RGBA", (90, 60), (0, 0, 255, 0))
    picture.paste((255, 0, 0, alpha), (30, 15, 60, 45))
    return encode(picture, "PNG")


# --- formats ---------------------------------------------------------------------------------


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_each_format_can_be_asked_for(format_: str) -> None:
    picture = render(photo(), f"f={format_.lower()},q=90,g=center")
    assert picture.format == format_
    original = Image.open(io.BytesIO(photo()))
    cut = original.resize((60, 40), Image.Resampling.LANCZOS, box=(0, 13.5, 320, 226.5))
    assert np.abs(array(picture) - array(cut)).mean() < 7


@pytest.mark.parametrize(
    ("body", "format_"),
    [
        (photo(form="PNG"), "JPEG"),
        (photo(form="WEBP"), "JPEG"),
        (encode(Image.new("RGBA", (80, 80), (9, 9, 9, 255)), "PNG"), "JPEG"),
        (spot(), "PNG"),
    ],
)
def test_a_picture_is_a_jpeg_unless_something_is_transparent(body: bytes, format_: str) -> None:
    assert render(body).format == format_


def test_transparency_is_kept_by_the_formats_that_have_it() -> None:
    for name in ("png", "webp", "avif"):
        pixels = array(render(spot(), f"f={name},q=95", (90, 60)))
        assert pixels[30, 45] == pytest.approx((255, 0, 0, 255), abs=6)
        assert pixels[5, 5, 3] == 0


def test_jpeg_lays_what_is_transparent_on_white_or_on_the_background_asked() -> None:
    assert array(render(spot(), "f=jpeg"))[2, 2, :3] == pytest.approx((255, 255, 255), abs=3)
    assert array(render(spot(), "bg=00ff00"))[2, 2] == pytest.approx((0, 255, 0, 255), abs=3)
    assert array(render(spot(), "bg=0f0,f=png"))[2, 2] == pytest.approx((0, 255, 0, 255))
    half = array(render(spot(alpha=128), "bg=000,f=png", (90, 60)))[30, 45]
    assert half == pytest.approx((128, 0, 0, 255), abs=2)


def test_colours_that_nobody_sees_do_not_bleed() -> None:
    """Blue lies, wholly transparent, around the red square."""
    for option in ("f=png", "f=png,blur=2"):
        pixels = array(render(spot(), option, (45, 30)))
        seen = pixels[pixels[:, :, 3] > 16]
        assert seen[:, 2].max() < 10


def test_sixteen_bits_become_eight() -> None:
    grey = (np.linspace(0, 65535, 90)[None, :] * np.ones((60, 1))).astype(np.uint16)
    picture = render(encode(Image.fromarray(grey), "PNG"), "f=png", (90, 60))
    expected = np.linspace(0, 255, 90)
    assert np.abs(array(picture)[30, :, 0] - expected).max() < 2


def test_metadata_is_stripped() -> None:
    body = oriented(6)
    for name in ("jpeg", "png", "webp", "avif"):
        picture = render(body, f"f={name}")
        assert not picture.getexif()
        assert "icc_profile" not in picture.info


# --- turning, trimming, enlarging --------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "colours"),
    [
        ("rot=90", (BLUE, RED, YELLOW, GREEN)),
        ("rot=180", (YELLOW, BLUE, GREEN, RED)),
        ("rot=270", (GREEN, YELLOW, RED, BLUE)),
        ("flip=h", (GREEN, RED, YELLOW, BLUE)),
        ("flip=v", (BLUE, YELLOW, RED, GREEN)),
        ("rot=90,flip=h", (RED, BLUE, GREEN, YELLOW)),
    ],
)
@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_turning_comes_after_the_cameras_orientation(
    option: str, colours: tuple[Any, ...], form: str
) -> None:
    """A quarter turn is clockwise: what was at the lower left is then at the upper left."""
    for orientation in (1, 6):
        picture = render(oriented(orientation, form), option, (96, 96), Mode.FIT)
        assert picture.size == ((58, 96) if "rot=90" in option or "270" in option else (96, 58))
        assert quadrant_colours(picture) == colours


def bordered(inner: tuple[int, int], border: int = 40) -> bytes:
    width, height = inner
    picture = Image.new("RGB", (width + 2 * border, height + 3 * border), (250, 250, 250))
    picture.paste(quadrants(width, height), (border, 2 * border))
    return encode(picture, "PNG")


def test_a_border_is_trimmed_before_the_cut() -> None:
    for option in ("trim=8", "trim=8,rot=180"):
        picture = render(bordered((120, 80)), option, (600, 600), Mode.FIT)
        assert picture.size == (120, 80)
    assert quadrant_colours(render(bordered((120, 80)), "trim=8")) == QUADRANTS


def test_a_border_of_noise_within_the_tolerance_is_trimmed() -> None:
    noisy = Image.open(io.BytesIO(bordered((120, 80)))).convert("RGB")
    pixels = np.asarray(noisy).astype(int)
    pixels[:, ::7] -= 5
    body = encode(Image.fromarray(pixels.clip(0, 255).astype(np.uint8)), "PNG")
    assert render(body, "trim=6", (600, 600), Mode.FIT).size == (120, 80)
    assert render(body, "trim=4", (600, 600), Mode.FIT).size != (120, 80)


def test_a_picture_of_one_colour_is_not_trimmed_away() -> None:
    body = encode(Image.new("RGB", (90, 60), (7, 7, 7)), "PNG")
    assert render(body, "trim=5", (600, 600), Mode.FIT).size == (90, 60)


def test_a_large_picture_is_trimmed_from_a_smaller_copy() -> None:
    picture = render(bordered((1200, 800), 400), "trim=8", (60, 40))
    assert quadrant_colours(picture) == QUADRANTS
    whole = render(bordered((1200, 800), 400), "trim=8", (150, 150), Mode.FIT)
    assert whole.size in {(150, 100), (150, 101), (150, 99)}


def test_fill_enlarges_unless_told_not_to() -> None:
    body = photo(100, 100, "PNG")
    assert render(body, "", (300, 200)).size == (300, 200)
    assert render(body, "enlarge=0", (300, 200)).size == (100, 67)
    assert render(body, "enlarge=0", (60, 40)).size == (60, 40)


def test_dpr_makes_a_larger_answer() -> None:
    assert render(photo(), "dpr=2").size == (120, 80)


def test_blur_takes_detail_away_and_sharpening_adds_it() -> None:
    edges = encode(quadrants(120, 80), "PNG")

    def contrast(option: str) -> float:
        pixels = array(render(edges, f"f=png{option}", (120, 80)))
        return float(np.abs(np.diff(pixels[:, :, 1], axis=1)).max())

    assert contrast(",blur=3") < contrast("") / 3
    assert contrast(",sharpen=1.5") > contrast("") + 5


# --- animations --------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["GIF", "WEBP"])
def test_an_animation_is_answered_by_its_first_frame(form: str) -> None:
    picture = render(animation(form, frames=5))
    assert (picture.format, getattr(picture, "n_frames", 1)) == ("JPEG", 1)
    assert np.abs(array(picture)[20, 30, :3] - RED).max() < 12


@pytest.mark.parametrize("form", ["GIF", "WEBP"])
@pytest.mark.parametrize(("option", "wanted"), [("anim=1", "GIF"), ("anim=webp", "WEBP")])
def test_an_animation_is_kept_where_that_is_asked(form: str, option: str, wanted: str) -> None:
    picture = render(animation(form, frames=4), option)
    assert (picture.format, picture.n_frames) == (wanted, 4)  # type: ignore[attr-defined]
    frames = ImageSequence.Iterator(picture)
    for frame, colour, duration in zip(frames, QUADRANTS, (40, 80, 120, 160), strict=True):
        assert np.abs(array(frame)[20, 30, :3] - colour).max() < 25
        if wanted == "GIF":
            assert frame.info["duration"] == duration


def test_a_picture_that_does_not_move_stays_a_jpeg_with_anim() -> None:
    assert render(photo(form="GIF"), "anim=1").format == "JPEG"
    assert render(photo(), "anim=webp").format == "JPEG"


def test_an_animation_is_bounded_in_frames_and_in_pixels() -> None:
    body = animation("GIF", frames=4)
    assert render(body, "anim=1", limits=Limits(frames=3)).n_frames == 3  # type: ignore[attr-defined]
    few = Limits(pixels=2 * 90 * 60)
    assert render(body, "anim=1", limits=few).n_frames == 2  # type: ignore[attr-defined]
    assert render(body, "anim=1", limits=Limits(pixels=90 * 60)).format == "JPEG"


def test_options_are_done_to_every_frame() -> None:
    picture = render(animation("GIF", frames=4), "anim=webp,rot=90,blur=1,bg=fff", (30, 45))
    assert picture.n_frames == 4  # type: ignore[attr-defined]
    assert picture.size == (30, 45)


# --- limits and levels ---------------------------------------------------------------------------


def test_avif_has_a_limit_of_its_own() -> None:
    limits = Limits(pixels=320 * 240, avif_pixels=320 * 240 - 1)
    assert render(photo(), limits=limits).size == (60, 40)
    with pytest.raises(TooManyPixels, match="AVIF picture has 320 x 240 pixels"):
        render(photo(form="AVIF"), limits=limits)


def colour_at(body: bytes, width: int) -> tuple[int, ...]:
    return tuple(array(render(body, "f=png", (width, width)))[5, 5, :3])


def test_a_pyramid_of_pages_is_read_at_the_smallest_level_that_is_large_enough() -> None:
    levels = [Image.new("RGB", (800 >> n, 800 >> n), QUADRANTS[n]) for n in range(4)]
    body = encode(levels[0], "TIFF", save_all=True, append_images=levels[1:])
    assert [colour_at(body, width) for width in (700, 400, 150, 60, 10)] == [
        RED, GREEN, BLUE, YELLOW, YELLOW,
    ]  # fmt: skip


def test_a_pyramid_of_subifds_is_read_at_a_smaller_level_too() -> None:
    body = pyramid_below_black()
    assert [colour_at(body, width) for width in (700, 400, 10)] == [(0, 0, 0), RED, RED]


def test_pages_of_a_document_are_no_pyramid() -> None:
    pages = [quadrants(80, 60), Image.new("RGB", (79, 60)), Image.new("RGB", (40, 30))]
    body = encode(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    assert quadrant_colours(render(body, "", (20, 15))) == QUADRANTS


def test_a_png_in_an_icon_counts_its_own_pixels() -> None:
    """The icon's directory says less than the PNG in it claims."""
    icon = encode(Image.new("RGB", (64, 64)), "ICO", sizes=[(64, 64)])
    start = icon.index(b"\x89PNG")
    inner = encode(Image.new("RGB", (3000, 3000)), "PNG")
    claims = icon[:14] + len(inner).to_bytes(4, "little") + icon[18:start] + inner
    with pytest.raises(TooManyPixels, match="3000 x 3000"):
        render(claims, limits=Limits(pixels=1_000_000))
    assert Format(render(icon).format.lower()) is Format.JPEG  # type: ignore[union-attr]


def test_a_png_of_a_photo_is_filtered() -> None:
    """Without filters a photo's PNG is half as large again."""
    asked = transform(Mode.FILL, Size(300, 200), read(b"f=png,g=center"), Defaults())
    body = engine.render(photo(640, 480), asked).body
    unfiltered = pyvips.Image.new_from_buffer(body, "").pngsave_buffer(filter="none")
    assert len(body) < 0.8 * len(unfiltered)


def test_what_costs_more_than_is_allowed_is_refused_before_it_is_decoded() -> None:
    """Be it for its source or for what is asked of it."""
    source, bounded = photo(640, 480), Limits(cost=0.05)
    render(source, limits=bounded)
    for options, size in (("", (2000, 1500)), ("sharpen=10", (800, 600)), ("f=avif", (800, 600))):
        with pytest.raises(TooMuchWork):
            render(source[:2000], options, size, limits=bounded)
    with pytest.raises(TooMuchWork):
        render(photo(4000, 3000, "PNG")[:2000], limits=bounded)


def test_a_format_that_costs_too_much_is_refused_once_it_is_known() -> None:
    """An image turns out to be transparent only when it is decoded."""
    bounded = Limits(cost=0.1)
    render(photo(640, 480), "f=jpeg", (1600, 1200), limits=bounded)
    transparent = encode(Image.new("RGBA", (640, 480), (255, 0, 0, 9)), "PNG")
    with pytest.raises(TooMuchWork):
        render(transparent, "f=jpeg+png", (1600, 1200), limits=bounded)
