"""No transform that a stranger picks puts other previews of an image out of service."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator

import pytest
from PIL import Image

from tests.integration.test_quarantine import CRASHED, ENDLESS, HUNG, REFUSED, crash
from tests.support.client import Answer
from tests.support.cluster import Cluster
from tests.support.origin import Origin, Received, Reply
from tests.support.pictures import animation, drawing, encode, photo, quadrants
from tests.support.service import Service

TOO_LARGE = (413, "preview_too_large")
BROKEN = (422, "broken_image")
MODERN = {"Accept": "image/avif,image/webp,*/*"}
_sizes = itertools.count(40)


@pytest.fixture(scope="module", params=["embedded", "distributed"])
def hasty(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """Give a service in which large previews time out, with one process that counts all strikes."""
    settings = {
        "RENDER_TIMEOUT": "0.5",
        "PROXY_TIMEOUT": "20",
        "RENDER_SLOTS": "1",
        "RENDER_MAX_AVIF_OUTPUT_PIXELS": "1000000",
        "CACHE_STALE_WHILE_REVALIDATE": "0",
    }
    directory = tmp_path_factory.mktemp("hasty")
    if request.param == "embedded":
        service = Service(directory, **settings)
    else:
        service = Cluster(directory, request.getfixturevalue("rabbitmq"), 1, **settings)
    try:
        yield service.start()
    finally:
        service.close()


def assert_served(service: Service, source: str) -> None:
    """Check that an ordinary size, which no cache has yet, is rendered."""
    width = next(_sizes)
    assert service.get(f"/fill/{width}/30/{source}").picture.size == (width, 30)


def test_avif_previews_that_the_encoder_has_no_memory_for(hasty: Service) -> None:
    for height in (5791, 5792, 5793):
        answer = hasty.get(f"/fill/5792/{height}/f=avif,q=100/sample:rocket.jpg")
        assert answer.error in {TOO_LARGE, (413, "too_much_work")}
    assert_served(hasty, "sample:rocket.jpg")
    assert_served(hasty, "sample:rocket.jpg?3")


@pytest.mark.parametrize(
    ("asked", "form"),
    [
        ("fit/2000/2000/f=avif", None),
        ("fit/900/2000/f=avif", "avif"),
        ("fill/1001/1000/f=jpeg+avif", "jpeg"),
        ("fill/1001/1000/f=auto", "webp"),
        ("fill/1000/1000/f=auto", "avif"),
    ],
)
def test_the_bound_of_avif_is_for_what_becomes_an_avif(
    hasty: Service, origin: Origin, asked: str, form: str | None
) -> None:
    source = origin.on("/a", Reply(encode(quadrants(1200, 1000), "PNG")))
    answer = hasty.get(f"/{asked}/{source}", MODERN)
    if form:
        assert answer.headers["Content-Type"] == f"image/{form}"
    else:
        assert answer.error == TOO_LARGE
    assert_served(hasty, source)


def test_animations_are_bounded_in_the_pixels_of_all_their_frames(
    hasty: Service, origin: Origin
) -> None:
    source = origin.on("/a", Reply(animation("GIF", 8)))
    for width in (4000, 4001, 4002):
        assert hasty.get(f"/fill/{width}/3000/anim=webp/{source}").error == TOO_LARGE
    assert hasty.get(f"/fill/18/12/anim=webp/{source}").picture.size == (18, 12)
    assert_served(hasty, source)


def test_damage_that_only_large_previews_show_does_not_concern_thumbnails(
    hasty: Service, origin: Origin
) -> None:
    """A thumbnail is made of the first scans of a progressive JPEG; here the last is damaged."""
    body = encode(Image.open(io.BytesIO(photo(2400, 1600))), "JPEG", progressive=True)
    source = origin.on("/a", Reply(body[:-1000] + b"\xff" * 998 + body[-2:]))
    assert hasty.get(f"/fill/600/400/{source}").error == BROKEN
    assert_served(hasty, source)


def test_expensive_previews_that_time_out(hasty: Service, origin: Origin) -> None:
    source = origin.on("/a", Reply(photo(640, 480)))
    for options in ("blur=100,sharpen=10", "f=png", "f=webp,q=100", "trim=9"):
        assert hasty.get(f"/fill/4096/8190/{options}/{source}").status in {413, 504}, options
    assert_served(hasty, source)


def test_one_expensive_preview_is_quarantined_whatever_the_query(
    hasty: Service, origin: Origin
) -> None:
    origin.fallback = Reply(photo(640, 480, seed=2))
    targets = [f"/fill/4096/8190/f=webp,q=100/{origin.authority}/a?{n}" for n in range(4)]
    assert [hasty.get(target).error for target in targets] == [HUNG] * 3 + [REFUSED]
    assert_served(hasty, f"{origin.authority}/a?5")


def test_an_image_that_hangs_the_decoder_is_quarantined_whatever_the_query(
    hasty: Service, origin: Origin
) -> None:
    origin.fallback = Reply(ENDLESS)
    targets = [f"/fill/{800 + n}/600/{origin.authority}/a?{n}" for n in range(4)]
    assert [hasty.get(target).error for target in targets] == [HUNG] * 3 + [REFUSED]
    assert hasty.get(f"/fill/700/520/{origin.authority}/b").error == REFUSED


def test_a_drawing_that_hangs_in_large_sizes_alone_is_drawn_in_others(
    hasty: Service, origin: Origin
) -> None:
    """What it takes to draw one depends on the size, which any stranger may choose."""
    noise = '<filter id="f"><feTurbulence baseFrequency="0.1" numOctaves="9"/></filter>'
    filtered = '<rect filter="url(#f)" width="64" height="48"/>' * 10
    source = origin.on("/a", Reply(drawing(noise + filtered)))
    for width in (2040, 2039, 2038):
        assert hasty.get(f"/fill/{width}/1020/{source}").error == HUNG
    assert hasty.get(f"/fill/2037/1020/{source}").error == REFUSED
    for mode in ("fill", "fit"):
        assert hasty.get(f"/{mode}/40/30/{source}").status == 200


def test_stale_previews_are_served_while_their_new_image_is_quarantined(
    hasty: Service, origin: Origin
) -> None:
    source = origin.on("/a", _stale_at_once(photo(seed=5)))
    kept = hasty.get(f"/fill/700/600/{source}")
    origin.on("/a", _stale_at_once(ENDLESS.replace(b"9", b"8")))
    for width in (800, 801, 802):
        assert hasty.get(f"/fill/{width}/600/{source}").error == HUNG
    assert hasty.get(f"/fill/803/600/{source}").error == REFUSED
    _assert_stale(hasty.get(f"/fill/700/600/{source}"), kept.body)


def test_stale_previews_of_an_unchanged_image_are_renewed_in_quarantine(
    hasty: Service, origin: Origin
) -> None:
    """Nothing is rendered: they were made of these very bytes."""
    source = origin.on("/a", _unchanged)
    kept = hasty.get(f"/fill/30/20/{source}")
    for width in (51, 52, 53):
        assert crash(hasty, f"/fill/{width}/40/{source}").error == CRASHED
    assert hasty.get(f"/fill/54/40/{source}").error == REFUSED
    renewed = hasty.get(f"/fill/30/20/{source}")
    assert (renewed.status, renewed.body) == (200, kept.body)
    assert "stale-if-error" not in renewed.headers["Cache-Status"]


def test_stale_previews_are_served_when_the_renderer_crashes(
    hasty: Service, origin: Origin
) -> None:
    source = origin.on("/a", _stale_at_once(photo(seed=6)))
    kept = hasty.get(f"/fill/33/20/{source}")
    origin.on("/a", _stale_at_once(photo(form="PNG", seed=7)))
    _assert_stale(crash(hasty, f"/fill/33/20/{source}"), kept.body)


def _stale_at_once(body: bytes) -> Reply:
    return Reply(body, headers={"Cache-Control": "max-age=0"})


def _unchanged(request: Received) -> Reply:
    fields = {"Cache-Control": "max-age=0", "ETag": '"a"'}
    if request.values("If-None-Match"):
        return Reply(status=304, headers=fields)
    return Reply(photo(form="PNG", seed=8), headers=fields)


def _assert_stale(answer: Answer, body: bytes) -> None:
    assert (answer.status, answer.body) == (200, body)
    assert "stale-if-error" in answer.headers["Cache-Status"]
