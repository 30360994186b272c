from __future__ import annotations

import re
from contextlib import suppress
from itertools import product

import pytest

from micropic.domain.errors import BadRequest
from micropic.domain.model import Colour, Format, Formats, Mode, Size, Transform
from micropic.domain.options import OPTIONS, Defaults, negotiated, read, transform, write

CHROME = "image/avif,image/webp,image/apng,*/*;q=0.8"
J, P, W, A, G = Format.JPEG, Format.PNG, Format.WEBP, Format.AVIF, Format.GIF


def parse(options: str, accept: str = "", mode: Mode = Mode.FILL) -> Transform:
    return transform(mode, Size(300, 200), read(options.encode()), Defaults(), accept)


@pytest.mark.parametrize(
    ("options", "accept", "formats"),
    [
        ("", "", Formats(J, P)),
        ("", "*/*", Formats(J, P)),
        ("", CHROME, Formats(J, W)),
        ("f=jpeg", CHROME, Formats(J, J)),
        ("f=png", CHROME, Formats(P, P)),
        ("f=webp", "", Formats(W, W)),
        ("f=jpeg+webp", "", Formats(J, W)),
        ("f=auto", "", Formats(J, P)),
        ("f=auto", CHROME, Formats(A, A)),
        ("f=auto", "image/webp", Formats(W, W)),
        ("f=auto", "image/webp;q=0.5,image/jpeg", Formats(J, W)),
        ("bg=fff", CHROME, Formats(J, J)),
        ("bg=fff,f=webp", "", Formats(W, W)),
        ("anim=0", CHROME, Formats(J, W)),
        ("anim=1", CHROME, Formats(J, W, W)),
        ("anim=1", "", Formats(J, P, G)),
        ("anim=1,f=webp", "", Formats(W, W, W)),
        ("anim=1,f=jpeg", CHROME, Formats(J, J, G)),
        ("anim=1,f=auto", CHROME, Formats(A, A, W)),
        ("anim=webp", "", Formats(J, P, W)),
        ("anim=gif", CHROME, Formats(J, W, G)),
    ],
)
def test_formats_are_chosen_by_option_and_accept(
    options: str, accept: str, formats: Formats
) -> None:
    assert parse(options, accept).formats == formats


@pytest.mark.parametrize(
    ("size", "options", "formats"),
    [
        (Size(4096, 2160), "f=auto", Formats(A, A)),
        (Size(4096, 2161), "f=auto", Formats(W, W)),
        (Size(4096, 4097), "f=auto", Formats(J, P)),
        (Size(4096, 2161), "f=avif", Formats(A, A)),
        (Size(4096, 4097), "f=webp", Formats(W, W)),
        (Size(16384, 100), "", Formats(J, P)),
        (Size(4096, 4097), "", Formats(J, P)),
        (Size(16384, 100), "f=auto", Formats(A, A)),
        (Size(16384, 1000), "f=auto", Formats(J, P)),
        (Size(16384, 100), "anim=1", Formats(J, P, G)),
    ],
)
def test_formats_chosen_by_accept_can_have_so_many_pixels(
    size: Size, options: str, formats: Formats
) -> None:
    bounds = Defaults(max_side=16384, max_avif_pixels=4096 * 2160)
    asked = transform(Mode.FILL, size, read(options.encode()), bounds, CHROME)
    assert asked.formats == formats


@pytest.mark.parametrize(
    ("options", "media_types"),
    [
        ("", {"image/png", "image/webp"}),
        ("f=auto", {"image/jpeg", "image/png", "image/webp", "image/avif"}),
        ("f=jpeg", set()),
        ("bg=fff", set()),
        ("f=jpeg,anim=1", set()),
        ("f=jpeg,anim=gif", set()),
        ("bg=fff,anim=1", {"image/webp", "image/gif"}),
        ("anim=1", {"image/png", "image/webp", "image/gif"}),
    ],
)
def test_it_is_known_which_answers_depend_on_accept(options: str, media_types: set[str]) -> None:
    assert negotiated(read(options.encode())) == media_types


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("", "g=smart"),
        ("q=80,g=north", "g=north,q=80"),
        ("dpr=1", ""),
        ("rot=180,flip=h", "flip=v"),
        ("rot=0", ""),
        ("flip=v,rot=90", "rot=90,flip=v"),
        ("bg=ABC", "bg=aabbcc"),
        ("enlarge=1", ""),
        ("blur=2.0", "blur=2"),
        ("blur=1.004", "blur=1"),
        ("anim=0", ""),
        ("explain=0", ""),
        ("f=png,q=5", "f=png"),
        ("f=webp+webp", "f=webp"),
        ("bg=fff", "f=jpeg,bg=fff"),
    ],
)
def test_what_is_equal_is_written_equally(one: str, other: str) -> None:
    assert write(parse(one)) == write(parse(other))


@pytest.mark.parametrize("options", ["g=north", "enlarge=0", "g=0.1:0.2,enlarge=0"])
def test_what_means_nothing_to_fit_is_left_out(options: str) -> None:
    assert parse(options, mode=Mode.FIT) == parse("", mode=Mode.FIT)


def test_dpr_multiplies_the_size() -> None:
    assert parse("dpr=2").size == Size(600, 400)
    assert parse("dpr=1.5").size == Size(450, 300)
    with pytest.raises(BadRequest, match="would be 1200 x 800; a side may have 1000 pixels"):
        transform(Mode.FILL, Size(300, 200), read(b"dpr=4"), Defaults(max_side=1000))


def test_an_answer_of_too_many_pixels_is_refused_with_and_without_dpr() -> None:
    bounds = Defaults(max_pixels=60_000)
    assert transform(Mode.FILL, Size(300, 200), read(b""), bounds).size == Size(300, 200)
    for size, options in ((Size(300, 201), b""), (Size(200, 200), b"dpr=1.5")):
        with pytest.raises(BadRequest, match=r"pixels; 60000 are allowed\.$"):
            transform(Mode.FILL, size, read(options), bounds)
    assert transform(Mode.FIT, Size(300, 201), read(b""), bounds).size == Size(300, 201)


def test_each_format_has_a_quality_of_its_own() -> None:
    assert parse("f=avif").quality == 65
    assert parse("f=webp").quality == 80
    assert parse("f=avif,q=33").quality == 33
    assert parse("f=png+jpeg,q=33").quality == 33


def test_the_schema_of_a_focus_point_lets_pass_what_is_read_and_nothing_else() -> None:
    pattern = OPTIONS["g"].read.schema["pattern"]
    strings = ["".join(each) for n in range(6) for each in product("015.-", repeat=n)]
    passed, expected = set(), set()
    for text in strings:
        with suppress(ValueError):
            OPTIONS["g"].read(f"{text}:0.2")
            passed.add(text)
        if re.fullmatch(r"[01]?\.?|[01]?\.[0-9]+", text) and text not in {"", "."}:
            expected |= {text} if float(text) <= 1 else set()
    assert passed == expected
    assert passed == {text for text in strings if re.search(pattern, f"{text}:0.2")}
    assert {"0", "1.", "1.000", ".5", "0.15"} <= passed
    assert not {"1.5", "1.001", "00.5", "-0.5"} & passed


def test_colours_are_read_in_both_lengths() -> None:
    assert parse("bg=1af").background == Colour(0x11, 0xAA, 0xFF)
    assert parse("bg=10A0f0").background == Colour(0x10, 0xA0, 0xF0)


@pytest.mark.parametrize(
    "option",
    [
        "f=gif", "f=", "f=JPEG", "f=jpeg+", "f=jpeg+auto", "f=+png", "f=jpeg+gif",
        "dpr=0", "dpr=0.99", "dpr=5", "dpr=4.01", "dpr=x", "dpr=1e0", "dpr=", "dpr=1.", "dpr=-1",
        "rot=45", "rot=-90", "rot=", "flip=x", "flip=hv", "flip=",
        "trim=0", "trim=129", "trim=1.5", "trim=", "enlarge=2", "enlarge=", "enlarge=true",
        "bg=", "bg=ff", "bg=ggg", "bg=ffff", "bg=#fff", "bg=\u0661\u0661\u0661",
        "blur=0", "blur=0.2", "blur=100.01", "blur=inf", "blur=\u0661",
        "sharpen=0", "sharpen=10.5", "sharpen=nan", "anim=2", "anim=png", "anim=",
        "q=0", "q=101", "q=1.5", "g=up",
    ],
)  # fmt: skip
def test_a_value_out_of_bounds_is_told_what_it_must_be(option: str) -> None:
    name = option.partition("=")[0]
    with pytest.raises(BadRequest) as caught:
        parse(option)
    assert f" {name} must be {OPTIONS[name].expected}, not " in caught.value.detail
