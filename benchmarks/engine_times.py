"""Times renders by the engine, libvips and Pillow, in a process of its own.

`python -m benchmarks.engine_times PHOTOS ROUNDS` prints JSON: for each case, each contender's
milliseconds of CPU a picture. The contenders take turns at each picture, in no fixed order, so that
all see the same weather; of the rounds the median counts.
"""

from __future__ import annotations

import gc
import io
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from unittest import mock

import numpy as np
import pyvips
import uvloop
from PIL import Image, ImageOps

from benchmarks.service import SIZE
from micropic.domain import geometry
from micropic.domain.model import Mode, Size, Transform
from micropic.domain.options import Defaults, read, transform
from micropic.imaging import engine, jpeg, pixels
from micropic.imaging.encoders import encode
from micropic.imaging.frames import Frames
from micropic.imaging.kinds import Limits
from micropic.imaging.probe import probe
from micropic.imaging.slots import RenderSlots, SlotOptions

Contenders = Mapping[str, Callable[[bytes], object]]
Times = dict[str, float]
"""Milliseconds of CPU a picture, by contender."""

_OTHER_KINDS = {
    "PNG": (2560, {}),
    "WebP": (2560, {"quality": 85}),
    "AVIF": (1280, {"quality": 70, "speed": 8}),
    "GIF": (1280, {}),
}
"""How the other kinds are made of a photo: the largest width, and Pillow's options."""
_OF_EACH = 4
"""Photos that are made into each other kind."""
_WIDTH, _HEIGHT = SIZE
_DEADLINE = 60.0


def times(folder: Path, rounds: int) -> dict[str, Times]:
    """Time all cases."""
    photos = [path.read_bytes() for path in sorted(folder.glob("*.jpg"))]
    results = {"JPEG": timed(photos, rounds, _into_jpeg(_shrunk_jpeg))}
    for kind in _OTHER_KINDS:
        pictures = _of_kind(kind, folder)
        results[kind] = timed(pictures, rounds, _into_jpeg(_opened))
    for name in ("webp", "avif"):
        results[f"to {name}"] = timed(photos[:: len(photos) // _OF_EACH], rounds, _into(name))
    results["split"] = uvloop.run(_split(photos, rounds))
    return results


def timed(pictures: Sequence[bytes], rounds: int, contenders: Contenders) -> Times:
    """Give each contender's milliseconds of CPU a picture."""
    sums: dict[str, list[float]] = {name: [] for name in contenders}
    names, order = list(contenders), random.Random(1)
    for number in range(rounds + 1):
        spent = dict.fromkeys(contenders, 0.0)
        for picture in pictures:
            order.shuffle(names)  # each leaves the caches and the heap as the next one finds them
            for name in names:
                work = contenders[name]
                started = time.process_time()
                work(picture)
                spent[name] += time.process_time() - started
        if number:  # the first round warms up
            for name, seconds in spent.items():
                sums[name].append(1000 * seconds / len(pictures))
    return {name: median(several) for name, several in sums.items()}


def asked(options: str) -> Transform:
    """Give the fill that is asked of every contender, with `options`."""
    return transform(Mode.FILL, Size(*SIZE), read(options.encode()), Defaults())


def _into_jpeg(load: Callable[[bytes, Size], pyvips.Image]) -> Contenders:
    centre, smart = asked("g=center,f=jpeg"), asked("g=smart,f=jpeg")
    return {
        "center": lambda data: engine.render(data, centre),
        "smart": lambda data: engine.render(data, smart, smart_faces=False),
        "thumbnail": lambda data: _thumbnail(data, "centre").jpegsave_buffer(Q=80),
        "thumbnail, attention": lambda data: _thumbnail(data, "attention").jpegsave_buffer(Q=80),
        "load, resize": lambda data: _loaded(data, load).jpegsave_buffer(Q=80),
        "Pillow": lambda data: _pillow(data, "JPEG", 80),
    }


def _into(name: str) -> Contenders:
    """Give who encodes to WebP or AVIF: the others at their own efforts, at our quality."""
    wanted, plain = asked(f"g=center,f={name}"), asked("g=center,f=jpeg")
    quality = wanted.quality

    def saved(image: pyvips.Image) -> object:
        if name == "webp":
            return image.webpsave_buffer(Q=quality, keep="none")
        return image.heifsave_buffer(compression="av1", Q=quality, bitdepth=8, keep="none")

    return {
        "center": lambda data: engine.render(data, wanted),
        "JPEG": lambda data: engine.render(data, plain),
        "thumbnail": lambda data: saved(_thumbnail(data, "centre")),
        "load, resize": lambda data: saved(_loaded(data, _shrunk_jpeg)),
        "Pillow": lambda data: _pillow(data, name.upper(), quality),
    }


def _thumbnail(data: bytes, crop: str) -> pyvips.Image:
    return pyvips.Image.thumbnail_buffer(data, _WIDTH, height=_HEIGHT, crop=crop)


def _loaded(data: bytes, load: Callable[[bytes, Size], pyvips.Image]) -> pyvips.Image:
    """Load scaled as far as the loader can, resize, and cut the middle."""
    header = pyvips.Image.new_from_buffer(data, "")
    cover = geometry.cover_size(Size(header.width, header.height), Size(*SIZE))
    image = load(data, cover)
    image = image.resize(cover.width / image.width, vscale=cover.height / image.height)
    left, top = (image.width - _WIDTH) // 2, (image.height - _HEIGHT) // 2
    return image.crop(left, top, _WIDTH, _HEIGHT)


def _shrunk_jpeg(data: bytes, cover: Size) -> pyvips.Image:
    header = pyvips.Image.jpegload_buffer(data)
    room = min(header.width / cover.width, header.height / cover.height)
    shrink = max(scale for scale in (1, 2, 4, 8) if scale == 1 or scale <= room)
    return pyvips.Image.jpegload_buffer(data, shrink=shrink, access="sequential")


def _opened(data: bytes, _: Size) -> pyvips.Image:
    image = pyvips.Image.new_from_buffer(data, "", access="sequential")
    return image if image.bands == 3 else image.colourspace("srgb").flatten()


def _pillow(data: bytes, form: str, quality: int) -> bytes:
    picture = Image.open(io.BytesIO(data))
    picture.draft("RGB", SIZE)
    fitted = ImageOps.fit(picture.convert("RGB"), SIZE, Image.Resampling.LANCZOS)
    encoded = io.BytesIO()
    fitted.save(encoded, form, quality=quality)
    return encoded.getvalue()


# --- what is not the decode ------------------------------------------------------------------


async def _split(photos: Sequence[bytes], rounds: int) -> Times:
    """Time the decode, the engine, and a render from end to end: service and render process."""
    centre, smart = asked("g=center,f=jpeg"), asked("g=smart,f=jpeg")
    stages: Contenders = {
        "decode": _decode,
        "probe": lambda data: probe(data, Limits()),
        "engine, center": lambda data: engine.render(data, centre),
        "engine, smart": lambda data: engine.render(data, smart, smart_faces=False),
        "engine, center, new shape": lambda data: _rendered_anew(data, centre),
    }
    ends = {"end to end, center": centre, "end to end, smart": smart}
    previews = [np.asarray(Image.open(io.BytesIO(engine.render(p, centre).body))) for p in photos]
    rows: list[Times] = []
    gc.collect()
    gc.freeze()  # as the service does
    async with RenderSlots(1, SlotOptions(smart_faces=False)) as slots:
        cpu = _cpu_with_renderer()
        for number in range(rounds + 1):
            spent = dict.fromkeys((*stages, *ends, "encode"), 0.0)
            for photo, preview in zip(photos, previews, strict=True):
                for name, work in stages.items():
                    started = time.process_time()
                    work(photo)
                    spent[name] += time.process_time() - started
                for name, wanted in ends.items():
                    started = cpu()
                    await slots.render(photo, wanted, time.monotonic() + _DEADLINE)
                    spent[name] += cpu() - started
                started = time.process_time()
                encode(Frames((preview,)), centre.formats.opaque, 80)
                spent["encode"] += time.process_time() - started
            if number:
                rows.append(spent)
    return {name: 1000 * median(row[name] for row in rows) / len(photos) for name in rows[0]}


def _decode(data: bytes) -> object:
    picture = probe(data, Limits())
    return jpeg.decode(data, picture, geometry.whole_size(picture.size, Mode.FILL, Size(*SIZE)))


def _rendered_anew(data: bytes, wanted: Transform) -> object:
    """Render as if no picture of this shape had come before."""
    with mock.patch.object(pixels, "_resampler", pixels._Resampler):  # noqa: SLF001
        return engine.render(data, wanted)


def _cpu_with_renderer() -> Callable[[], float]:
    """Give what tells the seconds of CPU of this process and of the one that it has started."""
    (child,) = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    # clock_getcpuclockid(3): the clock of a whole process has this number on Linux.
    clock = (~int(child) << 3) | 2
    return lambda: time.process_time() + time.clock_gettime(clock)


# --- pictures of other kinds -----------------------------------------------------------------


def _of_kind(kind: str, photos: Path) -> list[bytes]:
    """Give some of the photos as pictures of another kind, made once and kept beside them."""
    folder = photos.parent / f"{photos.name}-{kind.lower()}"
    if not folder.is_dir():
        paths = sorted(photos.glob("*.jpg"))
        with tempfile.TemporaryDirectory(dir=photos.parent) as scratch:
            made = Path(scratch) / folder.name
            made.mkdir()
            for path in paths[:: max(1, len(paths) // _OF_EACH)]:
                _make(kind, path, made / path.stem)
            made.rename(folder)
    return [path.read_bytes() for path in sorted(folder.iterdir())]


def _make(kind: str, photo: Path, target: Path) -> None:
    width, options = _OTHER_KINDS[kind]
    picture = Image.open(photo).convert("RGB")
    picture.thumbnail((width, width), Image.Resampling.LANCZOS)
    picture.save(target, kind, **options)


def main() -> None:
    """Measure and print."""
    # As in a render process, for all contenders.
    pyvips.cache_set_max(0)
    pyvips._remove_log_handler()  # noqa: SLF001
    print(json.dumps(times(Path(sys.argv[1]), int(sys.argv[2]))))


if __name__ == "__main__":
    main()
