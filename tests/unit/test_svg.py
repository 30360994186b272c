"""What is counted in an SVG before it is drawn."""

from __future__ import annotations

import base64
from urllib.parse import quote

import pytest

from micropic.domain.errors import BrokenImage, TooManyPixels
from micropic.imaging.kinds import Limits
from micropic.imaging.probe import probe
from micropic.imaging.svg import survey
from tests.support.pictures import SVG, drawing, photo


def data_url(body: bytes, media_type: str = "image/png") -> str:
    return f"data:{media_type};base64,{base64.b64encode(body).decode()}"


@pytest.mark.parametrize(
    ("inner", "drawn"),
    [
        ("<g/><g/>", 3),
        ('<g id="a"><rect/><rect/></g><use href="#a"/><use xlink:href="#a"/>', 12),
        ('<g id="a"><g id="b"><rect/></g></g><use href="#a"/>', 8),
        ('<pattern id="p"><rect/></pattern><rect fill="url(#p)"/><g style="fill:url(\'#p\')"/>', 9),
        ('<g id="a"><use href="#a"/></g>', 3),
        ('<g id="a"><use href="#b"/></g><g id="b"><use href="#a"/></g>', 7),
        ('<use href="#nothing"/>', 2),
    ],
)
def test_elements_count_as_often_as_they_are_drawn(inner: str, drawn: int) -> None:
    assert survey(drawing(inner)).drawn == drawn


def test_what_doubles_a_thousand_times_is_counted_at_once() -> None:
    doubled = "".join(f'<g id="a{n}">{f"""<use href="#a{n - 1}"/>""" * 2}</g>' for n in range(1000))
    assert survey(drawing(doubled)).drawn >= 10**9


def test_a_document_with_a_fault_is_counted_up_to_it() -> None:
    assert survey(drawing("<g/><g/></a><g/>")).elements == 3
    assert survey(b'<?xml version="1.0" encoding="nonsense"?><svg/>').elements == 0
    assert survey(b"\xff\xfe<svg").elements == 0


def test_embedded_pictures_are_found() -> None:
    urls = [data_url(b"one"), f"data:,{quote(b'two')}", "data:;base64,!", "http://a/b.png"]
    pictures = "".join(f'<image href="{url}"/>' for url in urls)
    assert survey(drawing(pictures)).pictures == [b"one", b"two"]


def test_the_pixels_of_embedded_pictures_count_together() -> None:
    body = drawing(f'<image href="{data_url(photo(form="PNG"))}"/>' * 2)
    assert probe(body, Limits(pixels=2 * 320 * 240)).size == (64, 48)
    with pytest.raises(TooManyPixels):
        probe(body, Limits(pixels=2 * 320 * 240 - 1))


def test_an_embedded_picture_that_cannot_be_shown_does_not_matter() -> None:
    for inner in (b"hello", photo(form="PNG")[:20]):
        assert probe(drawing(f'<image href="{data_url(inner)}"/>'), Limits()).size == (64, 48)


def test_drawings_lie_in_one_another_only_so_deep() -> None:
    bodies = [SVG]
    for _ in range(3):
        bodies.append(drawing(f'<image href="{data_url(bodies[-1], "image/svg+xml")}"/>'))
    *shown, too_deep = bodies
    for body in shown:
        assert probe(body, Limits()).size == (64, 48)
    with pytest.raises(BrokenImage, match="too many times"):
        probe(too_deep, Limits())
