"""What `g=face` keeps: the largest face and whoever fits beside it."""

import numpy as np
import pytest

from micropic.domain.model import Box, Size
from micropic.imaging import faces
from micropic.imaging.saliency import place_salient

PIXELS = np.random.default_rng(1).integers(0, 255, (300, 600, 3), np.uint8)
LARGE, BESIDE, FAR = Box(400, 100, 90, 100), Box(300, 100, 60, 70), Box(10, 100, 60, 70)


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
    monkeypatch.setattr(faces, "installed", lambda: False)
    assert faces.find_faces(PIXELS) == []


@pytest.mark.skipif(not faces.installed(), reason="the extra micropic[faces] is not installed")
@pytest.mark.parametrize(("width", "height"), [(600, 300), (20, 20), (1, 1), (900, 3)])
def test_a_picture_of_any_size_can_be_searched(width: int, height: int) -> None:
    assert faces.find_faces(np.full((height, width, 3), 90, np.uint8)) == []
