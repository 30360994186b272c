"""Pictures that are cut short, lie about themselves, or ask for too much work."""

from __future__ import annotations

import base64
import gzip
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.claims import SIDE, claiming
from tests.support.drawings import ENTITIES, HUGE, LAUGHS, references
from tests.support.origin import Origin, Reply
from tests.support.pictures import FORMATS, SVG, drawing, encode, photo, quadrants
from tests.support.service import Service

AT_ONCE = 1.0
"""Seconds that bad input may cost beyond a good picture of its size."""
MANY_PIXELS = (413, "too_many_pixels")
NO_IMAGE = (415, "not_an_image")
BROKEN = (422, "broken_image")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Give a service that remembers no error, so that what it keeps is kept in its cache."""
    yield from forgetful(tmp_path_factory, SOURCE_MAX_BYTES="1MiB")


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Give the same, with little time for drawings and much for the rest."""
    yield from forgetful(
        tmp_path_factory, RENDER_MAX_DRAWING_TIME="0.1", RENDER_SLOTS="1", PROXY_TIMEOUT="30"
    )


def forgetful(folders: pytest.TempPathFactory, **settings: str) -> Iterator[Service]:
    shared = Service(folders.mktemp("service"), CACHE_NEGATIVE_AGE="0", **settings)
    try:
        yield shared.start()
    finally:
        shared.close()


def refused(service: Service, origin: Origin, body: bytes, options: str = "") -> tuple[int, str]:
    """Give the error of a picture, which comes soon, each time anew, and harms nobody else."""
    target = f"/fill/60/40{options}/{origin.on('/bad', Reply(body))}"
    started = time.monotonic()
    error = service.get(target).error
    assert time.monotonic() - started < AT_ONCE
    assert service.get(target).error == error
    assert origin.targets == ["/bad", "/bad"]
    good = origin.on("/good", Reply(photo()))
    assert service.get(f"/fill/60/40/{good}").picture.size == (60, 40)
    return error


def shown(
    service: Service, origin: Origin, body: bytes, options: str = "", good: bytes = SVG
) -> Image.Image:
    """Give the preview of a picture, which comes soon after the time that a good one takes."""
    took, answers = [], []
    for path, sent in (("/good", good), ("/a", body)):
        started = time.monotonic()
        answers.append(service.get(f"/fill/60/40{options}/{origin.on(path, Reply(sent))}"))
        took.append(time.monotonic() - started)
    assert took[1] < took[0] + AT_ONCE
    return answers[1].picture


# --- truncated, corrupt, mislabelled, empty --------------------------------------------------


@pytest.mark.parametrize("form", FORMATS)
def test_a_truncated_picture_is_a_422(service: Service, origin: Origin, form: str) -> None:
    assert refused(service, origin, photo(form=form)[:-3000]) == BROKEN


@pytest.mark.parametrize("form", ["PNG", "WEBP", "AVIF", "TIFF", "ICO"])
def test_a_picture_with_a_corrupt_header_is_a_422(
    service: Service, origin: Origin, form: str
) -> None:
    body = photo(form=form)
    assert refused(service, origin, body[:16] + b"\xff" * 64 + body[80:]) == BROKEN


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("label", ["image/jpeg", "text/html", ""])
def test_a_mislabelled_picture_is_shown(
    service: Service, origin: Origin, form: str, label: str
) -> None:
    headers = {"Content-Type": label} if label else {}
    source = origin.on("/owl.jpg", Reply(photo(form=form), headers=headers))
    assert service.get(f"/fill/60/40/{source}").picture.size == (60, 40)


@pytest.mark.parametrize(
    "body",
    [b"<html><body>", b"\x00", b"MZ" + bytes(99), gzip.compress(SVG, mtime=0), b"P6 1 1 255 aaa"],
)
def test_what_is_no_picture_is_a_415(service: Service, origin: Origin, body: bytes) -> None:
    assert refused(service, origin, body) == NO_IMAGE


def test_an_empty_answer_is_a_502(service: Service, origin: Origin) -> None:
    assert refused(service, origin, b"") == (502, "origin_failed")


# --- huge in claimed size --------------------------------------------------------------------


@pytest.mark.parametrize("form", [form for form in FORMATS if form != "WEBP"])
def test_a_claim_of_four_gigapixels_is_a_413(service: Service, origin: Origin, form: str) -> None:
    assert refused(service, origin, claiming(form, SIDE, SIDE)) == MANY_PIXELS


def test_a_webp_at_its_own_limit_is_a_413(service: Service, origin: Origin) -> None:
    """It has 14 bits a side; libwebp reads no frame that is cut short even to learn its size."""
    body = encode(Image.new("RGB", (16383, 4000)), "WEBP", method=0)
    assert refused(service, origin, body) == MANY_PIXELS


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "AVIF", "WEBP", "ICO"])
def test_a_claim_within_the_limit_that_the_data_does_not_keep_is_a_422(
    service: Service, origin: Origin, form: str
) -> None:
    assert refused(service, origin, claiming(form, 3900, 3900)) == BROKEN


def test_a_drawing_may_be_of_any_size_that_is_within_the_limit(
    service: Service, origin: Origin
) -> None:
    body = drawing("<rect/>", f'width="{SIDE}" height="{SIDE}"')
    assert refused(service, origin, body) == MANY_PIXELS


@pytest.mark.parametrize("size", ['width="1e9" height="1e9"', 'viewBox="0 0 1e9 1e9"',
                                  'width="0" height="0"', 'width="-5" height="9"'])  # fmt: skip
def test_a_drawing_of_an_impossible_size_is_a_422(
    service: Service, origin: Origin, size: str
) -> None:
    assert refused(service, origin, drawing("<rect/>", size)) == BROKEN


# --- huge in frames --------------------------------------------------------------------------


@pytest.mark.parametrize("options", ["", "/anim=1"])
def test_ten_thousand_frames_are_shown_as_far_as_is_allowed(
    service: Service, origin: Origin, options: str
) -> None:
    frames = [Image.new("RGB", (8, 8), (n % 256, n // 256, 99)) for n in range(2)]
    body = encode(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=50)
    start = body.index(b"\x21\xf9")
    few, many = (body[:start] + body[start:-1] * count + b"\x3b" for count in (50, 5000))
    picture = shown(service, origin, many, options, few)
    assert getattr(picture, "n_frames", 1) <= 100
    assert picture.format == ("GIF" if options else "JPEG")


# --- drawings that ask for much --------------------------------------------------------------

FILTERED = '<rect filter="url(#f)" width="64" height="48"/>'
OUTSIDE = '<!DOCTYPE svg [<!ENTITY a SYSTEM "file:///etc/passwd">]>'


@pytest.mark.parametrize(
    "body",
    [
        drawing("<g>" * 100_000 + "</g>" * 100_000),
        drawing("<g>" * 100_000),
        drawing(LAUGHS),
        drawing(f'<defs>{LAUGHS}</defs><use xlink:href="#a9"/>'),
        drawing("<text>&a9;</text>", before=ENTITIES),
        drawing("<text>&a;</text>", before=OUTSIDE),
    ],
    ids=["deep", "unclosed", "uses", "uses in defs", "entities", "an outside entity"],
)
def test_a_drawing_without_end_is_a_422(service: Service, origin: Origin, body: bytes) -> None:
    assert refused(service, origin, body) == BROKEN


@pytest.mark.parametrize(
    "inner",
    [
        f'<filter id="f" {HUGE}><feGaussianBlur stdDeviation="1e6"/></filter>{FILTERED}',
        f'<filter id="f"><feTurbulence numOctaves="1000000"/></filter>{FILTERED}',
        '<g id="a"><use xlink:href="#a"/></g>',
        '<path d="M0 0H1e6" stroke="red" stroke-dasharray="1e-3"/>',
    ],
    ids=["filter", "turbulence", "circle", "dashes"],
)
def test_a_drawing_that_asks_for_the_absurd_is_drawn_without_it(
    service: Service, origin: Origin, inner: str
) -> None:
    assert shown(service, origin, drawing(inner)).size == (60, 40)


def repeated(element: str, count: int, before: str = "") -> bytes:
    """Give a drawing of the element `count` times, with a number for each `#`."""
    return drawing(before + "".join(element.replace("#", str(n)) for n in range(count)))


LINES = "".join(f"L{n * 37 % 64} {n * 29 % 48}" for n in range(20_000))
MARKER = '<marker id="m" markerWidth="9" markerHeight="9"><circle r="3"/></marker>'
MATRIX = f'<feConvolveMatrix order="20" kernelMatrix="{"1 " * 400}"/>'


@pytest.mark.parametrize(
    "body",
    [
        repeated('<rect x="#" width="9" height="9"/>', 100_000),
        repeated("<g/>", 1_200_000),
        repeated('<text y="9">#</text>', 20_000),
        drawing(f"<text>{'hello ' * 400_000}</text>"),
        drawing(f'<path d="M0 0{LINES}"/>'),
        drawing(f'<path fill="none" stroke="red" d="M0 0{LINES}"/>'),
        drawing(f'{MARKER}<path marker-mid="url(#m)" d="M0 0{LINES}"/>'),
        drawing(f'<filter id="f">{MATRIX}</filter>' + FILTERED * 100),
        drawing('<filter id="f"><feMorphology radius="20"/></filter>' + FILTERED * 100),
        drawing(f"<style>{'g rect:not(.a) {fill: red}' * 3000}</style>{'<rect/>' * 3000}"),
    ],
    ids=["rects", "groups", "texts", "one text", "area", "line", "markers", "matrix", "morphology",
         "style sheet"],
)  # fmt: skip
def test_a_drawing_that_takes_too_long_is_a_413(
    impatient: Service, origin: Origin, body: bytes
) -> None:
    before = impatient.renderers()
    source = origin.on("/bad", Reply(body))
    assert impatient.get(f"/fill/60/40/{source}").error == (413, "too_complex")
    good = origin.on("/good", Reply(SVG))
    assert impatient.get(f"/fill/60/40/{good}").picture.size == (60, 40)
    assert impatient.renderers() != before


def test_a_huge_picture_in_a_drawing_is_a_413(service: Service, origin: Origin) -> None:
    inner = base64.b64encode(claiming("PNG", SIDE, SIDE)).decode()
    body = drawing(f'<image width="64" height="48" href="data:image/png;base64,{inner}"/>')
    assert refused(service, origin, body) == MANY_PIXELS


# --- what lies outside of a drawing ----------------------------------------------------------


def test_a_drawing_reads_no_file(service: Service, origin: Origin, tmp_path: Path) -> None:
    """The files are there and red; nothing red is drawn."""
    picture, vector = tmp_path / "red.png", tmp_path / "red.svg"
    picture.write_bytes(encode(Image.new("RGB", (64, 48), (255, 0, 0)), "PNG"))
    vector.write_bytes(drawing('<rect id="a" width="64" height="48" fill="#f00"/>'))
    for name in (str(picture), str(vector)):
        for url in (name, f"file://{name}", f"../../../../../..{name}"):
            for inner in references(url):
                body = drawing(f'<rect width="64" height="48" fill="#00f"/>{inner}')
                answer = service.get(f"/fill/60/40/{origin.on('/a', Reply(body))}?{hash(inner)}")
                red, _, blue = np.asarray(answer.picture.convert("RGB")).reshape(-1, 3).T
                assert red.max() < 40 or blue.min() > 200, inner


@pytest.mark.parametrize("place", ["/a.png", "/a.svg", "/a.css", "/a.dtd"])
def test_a_drawing_asks_no_server(service: Service, origin: Origin, place: str) -> None:
    url = f"http://{origin.on(place, Reply(photo(form='PNG')))}"
    doctypes = [
        f'<!DOCTYPE svg SYSTEM "{url}">',
        f'<!DOCTYPE svg [<!ENTITY % a SYSTEM "{url}">%a;]>',
        f'<?xml version="1.0"?><?xml-stylesheet type="text/css" href="{url}"?>',
    ]
    bodies = [drawing("<rect/>", before=doctype) for doctype in doctypes]
    for number, body in enumerate([*bodies, *map(drawing, references(url))]):
        source = origin.on(f"/{number}", Reply(body))
        assert service.get(f"/fill/60/40/{source}").status in {200, 422}
    assert place not in origin.targets


def test_a_drawing_inside_a_drawing_reads_nothing_either(
    service: Service, origin: Origin, tmp_path: Path
) -> None:
    red = tmp_path / "red.png"
    red.write_bytes(encode(quadrants(64, 48), "PNG"))
    seen = f"http://{origin.on('/seen', Reply(red.read_bytes()))}"
    for url in (f"file://{red}", seen):
        for inner in references(url):
            nested = base64.b64encode(drawing(inner)).decode()
            body = drawing(
                f'<image width="64" height="48" href="data:image/svg+xml;base64,{nested}"/>'
            )
            answer = service.get(f"/fill/60/40/{origin.on('/a', Reply(body))}?{hash(inner)}")
            pixels = np.asarray(answer.picture.convert("RGBA"))
            assert len(np.unique(pixels.reshape(-1, 4), axis=0)) < 3, inner
    assert "/seen" not in origin.targets


def test_what_a_drawing_holds_itself_is_shown(service: Service, origin: Origin) -> None:
    """So the tests above would see what was read."""
    red = base64.b64encode(encode(Image.new("RGB", (64, 48), (255, 0, 0)), "PNG")).decode()
    for inner in references(f"data:image/png;base64,{red}")[:2]:
        pixels = np.asarray(shown(service, origin, drawing(inner)).convert("RGB"))
        assert pixels[20, 30] == pytest.approx((255, 0, 0), abs=3)
