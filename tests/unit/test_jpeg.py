"""JPEG input: every kind comes out right, and what browsers show is shown."""

from __future__ import annotations

import io
import itertools
import re

import numpy as np
import pytest
import pyvips
import simplejpeg
from PIL import Image, ImageCms

from micropic.domain.errors import BrokenImage, NotAnImage
from micropic.domain.model import Size
from micropic.imaging import jpeg, jpeg_header, progressive
from micropic.imaging.kinds import Limits
from micropic.imaging.pixels import Pixels, to_srgb
from micropic.imaging.probe import probe
from tests.support import jpegs
from tests.support.pictures import (
    QUADRANTS,
    encode,
    oriented,
    photo,
    quadrant_colours,
    quadrants,
)

END = b"\xff\xd9"


def decode(data: bytes, minimum: tuple[int, int] = (20, 15)) -> Pixels:
    picture = probe(data, Limits())
    pixels = jpeg.decode(data, picture, Size(*minimum))
    return to_srgb(pixels, picture.profile) if picture.profile else pixels


def image(width: int = 320, height: int = 240) -> Image.Image:
    return Image.open(io.BytesIO(photo(width, height, "PNG"))).convert("RGB")


def busy(width: int, height: int) -> Image.Image:
    """Give a picture with something in every scan."""
    noise = np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)
    return Image.blend(image(width, height), Image.fromarray(noise), 0.3)


def progressive_file(width: int = 320, height: int = 240, subsampling: int = 2) -> bytes:
    return encode(
        busy(width, height), "JPEG", progressive=True, quality=85, subsampling=subsampling
    )


def baseline(sampling: str = "420") -> bytes:
    data: bytes = simplejpeg.encode_jpeg(np.asarray(image()), colorsubsampling=sampling)
    return data


# --- kinds -------------------------------------------------------------------------------------


@pytest.mark.parametrize("sampling", ["444", "422", "420", "440", "411"])
def test_every_usual_sampling_is_as_pillow_has_it(sampling: str) -> None:
    data = baseline(sampling)
    assert jpeg_header.read(data).usual
    expected = np.asarray(Image.open(io.BytesIO(data))).astype(int)
    assert np.abs(decode(data, (320, 240)) - expected).max() <= 2


@pytest.mark.parametrize("minimum", [(48, 64), (12, 16)])
@pytest.mark.parametrize("data", [jpegs.SAMPLED_4_1_0, jpegs.SAMPLED_3_1])
def test_odd_samplings_come_out_right(data: bytes, minimum: tuple[int, int]) -> None:
    assert quadrant_colours(Image.fromarray(decode(data, minimum))) == QUADRANTS


@pytest.mark.parametrize("data", [jpegs.SAMPLED_4_1_0, jpegs.SAMPLED_3_1])
def test_damage_is_noticed_in_odd_samplings_too(data: bytes) -> None:
    whole = decode(data, (48, 64))
    for shown in (data[:-2], data[:20] + b"stray" + data[20:]):
        assert np.array_equal(decode(shown, (48, 64)), whole)
    with pytest.raises(BrokenImage):
        decode(data[:-60], (48, 64))


@pytest.mark.parametrize("minimum", [(320, 240), (40, 30)])
def test_a_profile_is_applied_as_littlecms_does(minimum: tuple[int, int]) -> None:
    srgb = pyvips.Image.new_from_array(np.asarray(image()))
    stored = srgb.icc_transform("p3", input_profile="srgb")
    profile = stored.get("icc-profile-data")
    picture = Image.fromarray(stored.numpy())
    data = encode(picture, "JPEG", quality=95, icc_profile=profile)
    pixels = decode(data, minimum)
    plain = Image.fromarray(decode(encode(picture, "JPEG", quality=95), minimum))
    expected = ImageCms.profileToProfile(
        plain, ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
    )
    assert expected is not None
    assert np.abs(pixels.astype(int) - np.asarray(expected)).max() <= 2
    assert np.abs(pixels.astype(int) - np.asarray(plain)).max() > 4
    with pytest.raises(BrokenImage):
        decode(data[: len(data) // 2])


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_a_profile_that_does_not_fit_counts_as_none(mode: str) -> None:
    picture = image().convert(mode)
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    for profile in (b"no profile", lab[:200], lab):
        damaged = encode(picture, "JPEG", icc_profile=profile)
        assert np.array_equal(decode(damaged), decode(encode(picture, "JPEG")))


@pytest.mark.parametrize("minimum", [(32, 32), (8, 8), (4, 4)])
@pytest.mark.parametrize("data", [jpegs.ARITHMETIC, jpegs.ARITHMETIC_PROGRESSIVE])
def test_arithmetic_coding_comes_out_right(data: bytes, minimum: tuple[int, int]) -> None:
    assert quadrant_colours(Image.fromarray(decode(data, minimum))) == QUADRANTS


@pytest.mark.parametrize("sampling", [0x11, 0x22, 0x12, 0x41])
def test_grey_is_grey_whatever_sampling_it_claims(sampling: int) -> None:
    data = bytearray(encode(image().convert("L"), "JPEG"))
    data[data.index(b"\xff\xc0") + 11] = sampling
    pixels = decode(bytes(data), (320, 240))
    expected = np.asarray(image().convert("L"))
    assert np.array_equal(pixels[..., 0], pixels[..., 2])
    assert np.abs(pixels[..., 1].astype(int) - expected).mean() < 2


@pytest.mark.parametrize("minimum", [(320, 240), (40, 30)])
def test_cmyk_is_what_the_inks_let_through(minimum: tuple[int, int]) -> None:
    inks = np.random.default_rng(1).integers(0, 256, (4, 4, 4), np.uint8)
    inks = inks.repeat(80, axis=1).repeat(60, axis=0)
    data = encode(Image.fromarray(inks, "CMYK"), "JPEG", quality=98)
    pixels = decode(data, minimum)
    light = (255 - inks[..., :3].astype(int)) * (255 - inks[..., 3:].astype(int)) / 255
    step = 320 // pixels.shape[1]
    middle = light[30::60, 40::80]
    at = pixels[30 // step :: 60 // step, 40 // step :: 80 // step].astype(int)
    assert np.abs(at[: len(middle), :4] - middle).max() < 4


def test_ycck_is_undone_before_the_inks() -> None:
    data = jpegs.ycck(quadrants(64, 64))
    assert quadrant_colours(Image.open(io.BytesIO(data))) == QUADRANTS
    pixels = Image.fromarray(decode(data, (64, 64)))
    assert quadrant_colours(pixels) == QUADRANTS
    reference = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)
    assert np.abs(np.asarray(pixels) - reference).max() <= 2


@pytest.mark.parametrize("transform", [2, 1])
def test_four_components_with_an_unknown_transform_are_ycck(transform: int) -> None:
    data = jpegs.with_transform(jpegs.ycck(quadrants(64, 64)), transform)
    assert quadrant_colours(Image.fromarray(decode(data))) == QUADRANTS


def test_rgb_in_a_jpeg_is_not_taken_for_ycc() -> None:
    for data in (
        encode(quadrants(64, 64), "JPEG", keep_rgb=True),
        jpegs.with_adobe(encode(quadrants(64, 64), "JPEG"), 1),
    ):
        assert quadrant_colours(Image.fromarray(decode(data))) == QUADRANTS
    stored_as_it_is = jpegs.with_adobe(
        encode(Image.merge("YCbCr", quadrants(64, 64).split()), "JPEG", subsampling=0), 0
    )
    assert quadrant_colours(Image.fromarray(decode(stored_as_it_is))) == QUADRANTS


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("minimum", [(160, 96), (20, 12)])
def test_every_orientation_is_undone(orientation: int, minimum: tuple[int, int]) -> None:
    for data in (oriented(orientation), _progressive_again(oriented(orientation))):
        pixels = decode(data, minimum)
        assert (pixels.shape[1], pixels.shape[0]) == minimum
        assert quadrant_colours(Image.fromarray(pixels)) == QUADRANTS


def _progressive_again(data: bytes) -> bytes:
    picture = Image.open(io.BytesIO(data))
    return encode(picture, "JPEG", progressive=True, exif=picture.getexif())


def test_12_bits_and_lossless_are_refused_by_name() -> None:
    data = bytearray(baseline())
    frame = data.index(b"\xff\xc0")
    data[frame + 4] = 12
    with pytest.raises(NotAnImage, match="12 bits a sample"):
        probe(bytes(data), Limits())
    data[frame + 1] = 0xC3
    with pytest.raises(NotAnImage, match="Lossless"):
        probe(bytes(data), Limits())


@pytest.mark.parametrize(
    ("minimum", "shape"), [((21, 10), (10, 21)), ((21, 11), (11, 21)), ((84, 42), (42, 84))]
)
def test_a_row_that_lies_partly_outside_of_the_picture_is_left_out(
    minimum: tuple[int, int], shape: tuple[int, int]
) -> None:
    """At 2/8 it has 10.5 rows."""
    assert decode(photo(84, 42), minimum).shape[:2] == shape
    assert decode(photo(42, 84), minimum[::-1]).shape[:2] == shape[::-1]
    turned = Image.open(io.BytesIO(photo(42, 84)))
    exif = Image.Exif()
    exif[0x0112] = 6
    sideways = encode(turned, "JPEG", exif=exif)
    assert decode(sideways, minimum).shape[:2] == shape


# --- progressive -------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(320, 240), (317, 243), (9, 7), (1, 1), (8, 300)])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_what_an_eighth_cannot_show_is_left_out_and_nothing_changes(
    size: tuple[int, int], subsampling: int
) -> None:
    _assert_nothing_changes(progressive_file(*size, subsampling=subsampling))


def test_other_scripts_of_scans_change_nothing_either() -> None:
    grey = encode(image(317, 243).convert("L"), "JPEG", progressive=True)
    rgb = encode(image(317, 243), "JPEG", progressive=True, keep_rgb=True)
    for data in (jpegs.MOZJPEG_SCRIPT, grey, rgb):
        _assert_nothing_changes(data)


def _assert_nothing_changes(data: bytes) -> None:
    header = jpeg_header.read(data)
    fewer = progressive.shown(memoryview(data), header, 1)
    assert len(jpeg_header.read(fewer).scans) < len(header.scans)
    width, height = header.frame.size
    options = {"min_width": -(-width // 8), "min_height": -(-height // 8), "min_factor": 1}
    whole = simplejpeg.decode_jpeg(data, **options)
    assert np.array_equal(simplejpeg.decode_jpeg(fewer, **options), whole)


def test_larger_scales_and_other_kinds_keep_every_scan() -> None:
    data = progressive_file()
    header = jpeg_header.read(data)
    assert all(progressive.shown(data, header, scale) is data for scale in range(2, 9))
    for other in (baseline(), jpegs.ARITHMETIC_PROGRESSIVE):
        assert progressive.shown(other, jpeg_header.read(other), 1) is other


# --- what browsers show is shown -----------------------------------------------------------------


@pytest.mark.parametrize("data", [baseline(), progressive_file(), encode(image(), "JPEG")])
@pytest.mark.parametrize("minimum", [(320, 240), (40, 30)])
def test_only_the_end_marker_may_be_missing(data: bytes, minimum: tuple[int, int]) -> None:
    whole = decode(data, minimum)
    for shorter in (data[:-1], data[:-2], data[:-2] + bytes(900)):
        assert np.array_equal(decode(shorter, minimum), whole)
    for cut in (3, 10, len(data) // 3, len(data) * 2 // 3):
        with pytest.raises(BrokenImage):
            decode(data[:-cut], minimum)


def test_a_progressive_file_cut_between_scans_is_shown() -> None:
    data = progressive_file()
    scans = jpeg_header.read(data).scans
    for scan, following in itertools.pairwise(scans):
        for cut in range(scan.end, following.sos + 1, 3):
            assert decode(data[:cut]).shape == (30, 40, 3)
        middle = (scan.sos + 14 + scan.end) // 2
        with pytest.raises(BrokenImage):
            decode(data[:middle])


def test_a_file_that_lacks_a_component_is_broken() -> None:
    data = progressive_file()
    first = jpeg_header.read(data).scans[0]
    luma_alone = b"\xff\xda\x00\x08\x01\x01\x00\x00\x00\x01"
    with pytest.raises(BrokenImage):
        probe(data[: first.sos] + luma_alone + data[first.sos + 14 : first.end] + END, Limits())


def test_a_cut_arithmetic_file_is_broken() -> None:
    for data in (jpegs.ARITHMETIC, jpegs.ARITHMETIC_PROGRESSIVE):
        for cut in (1, 2, 10, 30):
            with pytest.raises(BrokenImage):
                decode(data[:-cut])


def test_stray_bytes_are_passed_over() -> None:
    data = baseline()
    whole = decode(data)
    sos = jpeg_header.read(data).sos
    for place in (20, sos, len(data) - 2):
        odd = data[:place] + b"stray\x00\xff\x00" + data[place:]
        assert np.array_equal(decode(odd), whole)
    assert np.array_equal(decode(data + b"trailer" * 99), whole)
    with pytest.raises(BrokenImage):
        decode(data[:20] + b"stray" + data[20 : len(data) // 2])


@pytest.mark.parametrize("parameters", [(0, 0, 0), (1, 63, 0), (0, 63, 0x11), (5, 2, 0)])
def test_odd_scan_parameters_of_a_baseline_file_say_nothing(parameters: tuple[int, ...]) -> None:
    data = baseline()
    place = jpeg_header.read(data).sos + 11
    odd = data[:place] + bytes(parameters) + data[place + 3 :]
    assert np.array_equal(decode(odd), decode(data))
    with pytest.raises(BrokenImage):
        decode(odd[: len(odd) // 2])


def test_unknown_versions_and_damaged_profiles_are_passed_over() -> None:
    data = encode(image(), "JPEG")
    whole = decode(data)
    icc = b"\xff\xe2\x00\x14ICC_PROFILE\x00\x05\x02sRGB"
    for odd in (
        data[:11] + b"\x09" + data[12:],
        data[:20] + icc + data[20:],
        jpegs.with_adobe(data, 9),
        b"".join([data[:11], b"\x09", data[12:-2]]),
    ):
        assert np.array_equal(decode(odd), whole)


def test_what_a_lost_restart_marker_takes_with_it_is_missed() -> None:
    data = jpegs.with_restarts(image())
    markers = [found.start() for found in re.finditer(rb"\xff[\xd0-\xd7]", data)]
    assert len(markers) > 4
    assert decode(data).shape == (30, 40, 3)
    third, fourth = markers[2:4]
    swapped = data[: third + 1] + b"\xd6" + data[third + 2 :]
    for damaged in (swapped, data[:third] + data[fourth:], data[:third] + data[third + 2 :]):
        with pytest.raises(BrokenImage):
            decode(damaged)


def test_a_sound_file_is_decoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    original = simplejpeg.decode_jpeg

    def counted(*arguments: object, **options: object) -> object:
        calls.append(options)
        return original(*arguments, **options)

    monkeypatch.setattr(simplejpeg, "decode_jpeg", counted)
    for data in (baseline(), progressive_file()):
        decode(data)
    assert len(calls) == 2


def test_many_scans_of_a_large_picture_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encode(image(), "JPEG", progressive=True)
    scans = len(jpeg_header.read(data).scans)
    monkeypatch.setattr("micropic.imaging.probe._MOST_SCANNED", scans * 320 * 240)
    assert probe(data, Limits()).stored == Size(320, 240)
    monkeypatch.setattr("micropic.imaging.probe._MOST_SCANNED", scans * 320 * 240 - 1)
    with pytest.raises(BrokenImage, match=f"too many scans: {scans}"):
        probe(data, Limits())
