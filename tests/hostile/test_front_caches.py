"""No header field of one client breaks an image for others behind a shared cache."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from PIL import Image

from tests.support.client import Fields
from tests.support.front_cache import FrontCache, Nginx, Varnish
from tests.support.origin import Origin, Received, Reply
from tests.support.pictures import encode, photo
from tests.support.service import Service

GOOD, EVIL = photo(), encode(Image.new("RGB", (64, 48), (255, 0, 0)), "PNG")


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    directory = tmp_path_factory.mktemp("backend")
    service = Service(directory, SOURCE_READ_TIMEOUT="0.5", SOURCE_MAX_BYTES="1MiB")
    try:
        yield service.start()
    finally:
        service.close()


@pytest.fixture(scope="module", params=[Nginx, Varnish])
def front(
    request: pytest.FixtureRequest, backend: Service, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FrontCache]:
    cache: FrontCache = request.param(tmp_path_factory.mktemp("front"), backend.port).start()
    try:
        yield cache
    finally:
        cache.close()


def field(name: str) -> Callable[[Received], bool]:
    return lambda request: any("evil" in value for value in request.values(name))


# What the attacker sends, what the origin does about it, and what it comes to.
ATTACKS = {
    "only-if-cached": ({"Cache-Control": "only-if-cached"}, None, 504),
    "loop": ({"CDN-Loop": "micropic"}, None, 508),
    "loop among others": ({"CDN-Loop": "a; b=c, MicroPic"}, None, 508),
    "400": ({"X-Evil": "evil"}, Reply(b"no", 400), 400),
    "431": ({"Accept-Language": "evil" * 3000}, Reply(b"no", 431), 431),
    "hotlink": ({"Referer": "https://evil.example/"}, Reply(b"no", 403), 403),
    "hotlink 404": ({"Referer": "https://evil.example/"}, Reply(b"no", 404), 404),
    "hotlink page": ({"Origin": "https://evil.example"}, Reply(b"<html>"), 415),
    "language 404": ({"Accept-Language": "evil"}, Reply(b"no", 404), 404),
    "robot 410": ({"User-Agent": "evil"}, Reply(b"no", 410), 410),
    "keyed 404": ({"X-Evil": "evil"}, Reply(b"no", 404), 404),
    "varying 404": (
        {"Accept-Language": "evil"}, Reply(b"no", 404, {"Vary": "Accept-Language"}), 404,
    ),
    "429": ({"Priority": "evil"}, Reply(b"no", 429), 429),
    "500": ({"Accept-Language": "evil"}, Reply(b"no", 500), 502),
    "hang-up": ({"Sec-CH-UA": "evil"}, Reply(GOOD, cut_after=9), 502),
    "silence": ({"Pragma": "evil"}, "hang", 504),
    "too large": ({"X-Evil": "evil"}, Reply(b"x" * 1100 * 1024), 413),
    "broken": ({"X-Evil": "evil"}, Reply(GOOD[:300]), 422),
    "theme": ({"X-Evil": "evil"}, Reply(EVIL), 200),
    "many fields": ({f"X-{i}-{'evil' * 25}": "evil" for i in range(50)}, None, 200),
    "range": ({"Range": "bytes=9999999-"}, None, 416),
}  # fmt: skip


@pytest.mark.parametrize("name", ATTACKS)
def test_an_innocent_client_gets_the_image(front: FrontCache, origin: Origin, name: str) -> None:
    fields, reply, status = ATTACKS[name]
    sent: Fields = fields
    hanging = Reply(gate=origin.gate())

    def answer(request: Received) -> Reply:
        if not isinstance(reply, Reply | str) or not any(field(name)(request) for name in fields):
            return Reply(GOOD)
        return hanging if isinstance(reply, str) else reply

    target = f"/fill/8/8/f=png/{origin.on('/a', answer)}"
    if front.withheld & fields.keys():
        pytest.skip(f"{front.binary} does not hand this field on")
    assert front.get(target, sent).status == status
    innocent = front.get(target)
    assert innocent.status == 200, innocent
    assert innocent.picture.size == (8, 8)
    assert innocent.picture.getpixel((1, 1)) != (255, 0, 0)


def test_ordinary_previews_and_missing_images_are_cached_in_front(
    front: FrontCache, origin: Origin
) -> None:
    browser = {"User-Agent": "owl/1", "Accept-Language": "de", "Referer": "https://h/"}
    targets = [
        f"/fill/8/8/{origin.on('/a', Reply(GOOD))}",
        f"/fill/8/8/{origin.on('/missing', Reply(b'no', 404))}",
    ]
    for target, fields in zip(targets, (browser, {}), strict=True):
        first, second = front.get(target, fields), front.get(target)
        assert not front.was_hit(first)
        assert front.was_hit(second), second
