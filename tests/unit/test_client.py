from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from micropic.client import Client, Options, url_for
from micropic.domain import options, signing
from micropic.domain.model import Mode, Size
from micropic.domain.urls import DEFAULT, Address, parse_path

SOURCE = "https://www.example.com/an owl?a=1&b=%2F#top"
KEY = "sixteen characters or more"


def read(url: str) -> Address:
    path, _, query = url.partition("?")
    return parse_path(path.encode(), query.encode(), DEFAULT)


def test_the_service_reads_what_the_client_writes() -> None:
    address = read(Client().url_for(SOURCE, width=300, height=200, q=70, f="webp"))
    assert address.transform == read("/fill/300/200/q=70,f=webp/a.example/x").transform
    assert str(address.source) == "https://www.example.com/an%20owl?a=1&b=%2F"


def test_without_a_height_it_is_a_square() -> None:
    assert read(Client().url_for("a.example/x", width=64, mode="fit")).transform.size == Size(
        64, 64
    )


def test_options_are_written_as_python_has_them() -> None:
    url = Client().url_for("sample:cat.jpg", width=9, enlarge=False, g="0.3:0.7", exp=2_000_000_000)
    assert read(url).transform == read("/fill/9/9/enlarge=0,g=0.3:0.7/a.example/x").transform
    assert read(url).expires == 2_000_000_000


def test_every_option_can_be_given() -> None:
    assert set(Options.__annotations__) == set(options.OPTIONS)


@pytest.mark.parametrize(("ratio", "written"), [(4 / 3, "1.33"), (2.0, "2"), (1.25, "1.25")])
def test_a_fraction_is_written_as_the_service_reads_it(ratio: float, written: str) -> None:
    assert f"/dpr={written}/" in url_for("a.example/x", width=9, dpr=ratio)


@pytest.mark.parametrize(
    "base", ["https://img.example.com/small", "https://img.example.com/small/"]
)
def test_an_address_is_signed_behind_the_base(base: str) -> None:
    url = Client(base, KEY).url_for(SOURCE, width=300)
    assert url == url_for(SOURCE, width=300, base=base, key=KEY)
    rest = url.removeprefix("https://img.example.com/small")
    signature, target = signing.split(rest.encode())
    assert signing.is_signed(target, signature, [KEY])


@pytest.mark.parametrize(
    "asked",
    [
        {"width": 0},
        {"width": 9, "height": 0},
        {"width": 9, "q": 101},
        {"width": 9, "x": 1},
        {"width": 9, "mode": "fill/9/9/evil.example"},
        {"width": "9/9/evil.example"},
        {"width": 9, "height": "9/evil.example"},
        {"width": 9, "g": "smart/evil.example"},
        {"width": 9, "g": "smart,dpr=4"},
    ],
)
def test_what_the_service_would_refuse_is_an_error(asked: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\.$"):
        Client().url_for(SOURCE, **asked)


_OPTIONS = {"q": "7", "f": "jpeg", "g": "smart", "dpr": "2", "bg": "fff", "exp": "2000000000"}
_PIECES = ["/", "/h", ",", ",q=1", "=", "%2F", "%2C", "%", "?", "#", ":", "+", ".", "1"]


@given(st.sampled_from(sorted(_OPTIONS)), st.lists(st.sampled_from(_PIECES), max_size=4))
def test_no_value_changes_what_else_is_asked_for(name: str, pieces: list[str]) -> None:
    value = "".join([_OPTIONS[name], *pieces])
    try:
        url = Client().url_for(SOURCE, width=300, **{name: value})  # type: ignore[arg-type] # mode is none of them
    except ValueError:
        return
    address, values = read(url), {name: options.OPTIONS[name].read(value)}
    assert address.source == read(Client().url_for(SOURCE, width=300)).source
    assert address.transform == options.transform(
        Mode.FILL, Size(300, 300), values, DEFAULT.defaults
    )


def test_a_srcset_has_each_width_in_its_shape() -> None:
    shapes = {None: ["fit/320/320", "fit/640/640"], 3 / 2: ["fill/320/213", "fill/640/427"]}
    for ratio, expected in shapes.items():
        parts = Client().srcset("a.example/x", widths=(320, 640), ratio=ratio, q=70).split(", ")
        assert parts == [
            f"/{shape}/q=70/a.example%2Fx {shape.split('/')[1]}w" for shape in expected
        ]


def test_a_comma_in_a_source_ends_no_part_of_a_srcset() -> None:
    (part,) = Client().srcset("a.example/x,", widths=[9], q=70, f="png").split(", ")
    assert part == "/fit/9/9/q=70,f=png/a.example%2Fx%2C 9w"
