"""Colours come out as LittleCMS, by Pillow, says that they should."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from micropic.domain.model import Mode, Size
from micropic.domain.options import Defaults, read, transform
from micropic.imaging import engine, icc
from micropic.imaging.kinds import Limits
from micropic.imaging.pixels import to_srgb
from micropic.imaging.probe import probe
from tests.support import profiles
from tests.support.pictures import encode

P3 = profiles.profile(profiles.DISPLAY_P3)
ADOBE = profiles.profile(profiles.ADOBE_RGB, gamma=563 / 256)
SRGB = profiles.profile(profiles.SRGB)
PROFILES = {"Display P3": P3, "Adobe RGB": ADOBE, "sRGB": SRGB}
_SRGB_OF_PILLOW = ImageCms.createProfile("sRGB")


def patches() -> Image.Image:
    """Give colours that sRGB can show in either space: 12 x 8 patches of 8 x 8 pixels."""
    random = np.random.default_rng(5)
    colours = random.integers(60, 200, (8, 12, 3), np.uint8)
    return Image.fromarray(colours.repeat(8, axis=0).repeat(8, axis=1))


def reference(picture: Image.Image, profile: bytes) -> np.ndarray:
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    converted = ImageCms.profileToProfile(picture, source, _SRGB_OF_PILLOW, outputMode="RGB")
    assert converted is not None
    return np.asarray(converted).astype(int)


def rendered(body: bytes) -> np.ndarray:
    asked = transform(Mode.FILL, Size(96, 64), read(b"f=png"), Defaults())
    preview = engine.render(body, asked).body
    return np.asarray(Image.open(io.BytesIO(preview)).convert("RGB")).astype(int)


def middles(pixels: np.ndarray) -> np.ndarray:
    """Give the middle of each patch, which no codec blurs."""
    return pixels[4::8, 4::8]


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize("form", ["PNG", "TIFF", "JPEG", "WEBP"])
def test_a_profile_is_applied(name: str, form: str) -> None:
    profile = PROFILES[name]
    options: dict[str, dict[str, Any]] = {
        "WEBP": {"lossless": True},
        "JPEG": {"quality": 100, "subsampling": 0},
    }
    body = encode(patches(), form, icc_profile=profile, **options.get(form, {}))
    stored = Image.open(io.BytesIO(body)).convert("RGB")
    difference = np.abs(middles(rendered(body)) - middles(reference(stored, profile)))
    assert difference.max() <= 2
    if name != "sRGB":
        assert np.abs(middles(rendered(body)) - middles(np.asarray(stored).astype(int))).max() > 8


def test_srgb_is_told_by_its_primaries_and_curve() -> None:
    assert icc.is_srgb(SRGB)
    assert icc.is_srgb(ImageCms.ImageCmsProfile(_SRGB_OF_PILLOW).tobytes())
    assert not icc.is_srgb(profiles.profile(profiles.DISPLAY_P3, name="like sRGB, but not sRGB"))
    assert not icc.is_srgb(ADOBE)
    assert not icc.is_srgb(profiles.profile(profiles.SRGB, gamma=1.8))
    assert not icc.is_srgb(profiles.profile(profiles.SRGB, gamma=2.2))


@pytest.mark.parametrize("length", [0, 20, 131, 140, 200, 300])
def test_a_profile_that_is_cut_off_is_not_srgb(length: int) -> None:
    assert not icc.is_srgb(SRGB[:length])


def test_pixels_stay_with_a_profile_that_makes_no_sense() -> None:
    pixels = np.asarray(patches())
    for profile in (b"", b"\xff" * 600, P3[:200]):
        assert (to_srgb(pixels, profile) == pixels).all()


def test_pixels_are_brought_to_srgb() -> None:
    converted = to_srgb(np.asarray(patches()), P3)
    assert np.abs(converted.astype(int) - reference(patches(), P3)).max() <= 2


def test_only_profiles_for_rgb_are_taken_for_such() -> None:
    assert icc.is_profile(P3)
    assert not icc.is_profile(b"sRGB" * 40)
    assert icc.is_rgb(P3)
    assert not icc.is_rgb(P3[:16] + b"GRAY" + P3[20:])
    assert not icc.is_rgb(b"")


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_a_picture_with_a_damaged_profile_is_shown_all_the_same(form: str) -> None:
    body = encode(patches(), form, icc_profile=b"damaged" * 30)
    plain = encode(patches(), form)
    assert np.abs(rendered(body) - rendered(plain)).max() <= 2


@pytest.mark.parametrize(
    ("profile", "applied", "managed"),
    [(SRGB, False, False), (P3, True, False), (P3[:16] + b"GRAY" + P3[20:], False, True)],
    ids=["sRGB", "RGB", "grey"],
)
@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_who_applies_a_profile_is_known_from_the_header(
    profile: bytes, form: str, *, applied: bool, managed: bool
) -> None:
    if managed and form == "PNG":
        return  # libpng leaves out a profile that does not fit the pixels
    picture = probe(encode(patches(), form, icc_profile=profile), Limits())
    assert (bool(picture.profile), bool(picture.managed)) == (applied, managed)
