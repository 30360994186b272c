"""What is asked for, and by whom, decides what comes back."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

from tests.support.client import Answer
from tests.support.origin import Origin, Reply
from tests.support.pictures import animation, encode, photo
from tests.support.service import Service, StartService

CHROME = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"
TRANSPARENT = encode(Image.new("RGBA", (90, 60), (9, 9, 9, 99)), "PNG")


def kind(answer: Answer) -> str:
    """Give what the body is; the header must say the same."""
    assert answer.status == 200, answer.body
    picture = Image.open(io.BytesIO(answer.body))
    assert answer.headers["Content-Type"] == picture.get_format_mimetype()
    return str(picture.format)


def test_auto_is_what_the_client_takes_best(service: Service, origin: Origin) -> None:
    path = f"/fill/30/20/f=auto/{origin.on('/a.tiff', Reply(photo()))}"
    answers = {
        accept: service.get(path, {"Accept": accept})
        for accept in (CHROME, "image/webp,*/*", "*/*", "image/avif;q=0.5,image/jpeg")
    }
    assert [kind(answer) for answer in answers.values()] == ["AVIF", "WEBP", "JPEG", "JPEG"]
    assert {answer.headers["Vary"] for answer in answers.values()} == {"Accept"}
    assert 'filename="a.avif"' in answers[CHROME].headers["Content-Disposition"]
    again = service.get(path, {"Accept": CHROME})
    assert (kind(again), again.cache_status) == ("AVIF", "micropic; hit")


def test_transparency_outlives_the_preview(service: Service, origin: Origin) -> None:
    path = f"/fill/30/20/{origin.on('/t', Reply(TRANSPARENT))}"
    for accept, expected in ((CHROME, "WEBP"), ("*/*", "PNG")):
        answer = service.get(path, {"Accept": accept})
        assert (kind(answer), answer.headers["Vary"]) == (expected, "Accept")


def test_an_opaque_picture_is_a_jpeg_for_all(service: Service, origin: Origin) -> None:
    path = f"/fill/30/20/{origin.on('/o', Reply(photo(form='PNG')))}"
    for accept in (CHROME, "*/*"):
        answer = service.get(path, {"Accept": accept})
        assert kind(answer) == "JPEG"
        assert "Vary" not in answer.headers


def test_equal_options_share_an_entry(start_service: StartService, origin: Origin) -> None:
    service = start_service()
    source = origin.on("/e", Reply(photo()))
    first = service.get(f"/fill/60/40/q=80,blur=2,g=north/{source}")
    for options in ("g=north,blur=2.0", "blur=2,g=north,dpr=1,anim=0,enlarge=1"):
        answer = service.get(f"/fill/60/40/{options}/{source}")
        assert (answer.cache_status, answer.body) == ("micropic; hit", first.body)
    doubled = service.get(f"/fill/30/20/dpr=2,blur=2,g=north/{source}")
    assert doubled.cache_status == "micropic; hit"


def test_an_animation_is_kept_on_request(service: Service, origin: Origin) -> None:
    source = origin.on("/m", Reply(animation("GIF", frames=5)))
    still = service.get(f"/fill/30/20/{source}")
    moving = service.get(f"/fill/30/20/anim=1/{source}", {"Accept": CHROME})
    assert (kind(still), kind(moving), moving.headers["Vary"]) == ("JPEG", "WEBP", "Accept")
    assert Image.open(io.BytesIO(moving.body)).n_frames == 5  # type: ignore[attr-defined]


def test_the_operator_sets_the_quality_of_each_format(
    start_service: StartService, origin: Origin, tmp_path: Path
) -> None:
    source = origin.on("/q", Reply(photo()))
    coarse = start_service(PREVIEWER_QUALITY="20", PREVIEWER_AVIF_QUALITY="10")
    fine = start_service(
        PREVIEWER_QUALITY="95", PREVIEWER_AVIF_QUALITY="95", CACHE_DIRNAME=str(tmp_path / "fine")
    )
    for name in ("jpeg", "webp", "avif"):
        path = f"/fill/120/80/f={name}/{source}"
        assert 2 * len(coarse.get(path).body) < len(fine.get(path).body)


def test_limits_of_kinds_are_settings(start_service: StartService, origin: Origin) -> None:
    service = start_service(RENDER_MAX_AVIF_PIXELS="1000", RENDER_MAX_FRAMES="2")
    refused = service.get(f"/fill/30/20/{origin.on('/a', Reply(photo(form='AVIF')))}")
    assert (refused.status, refused.problem["code"]) == (413, "too_many_pixels")
    source = origin.on("/g", Reply(animation("GIF", frames=5)))
    kept = service.get(f"/fill/30/20/anim=gif/{source}")
    assert Image.open(io.BytesIO(kept.body)).n_frames == 2  # type: ignore[attr-defined]
