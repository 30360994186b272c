"""How far the estimates of a render's cost (domain/cost.py) are from what it takes."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable
from importlib import resources

import numpy as np
import pyvips
from PIL import Image

from benchmarks.measures import Bench
from benchmarks.table import Row
from micropic.domain import cost
from micropic.domain.urls import DEFAULT, parse_path
from micropic.imaging import engine
from micropic.imaging.glance import claimed

_SIDE = 2000, 3000
_ROUNDS = 3
_PATHS = {
    "JPEG": ["fill/300/200", "fill/2000/1400", "fill/3000/4000", "fill/3000/2000/blur=2",
             "fill/3000/2000/blur=20", "fill/3000/2000/blur=100", "fill/3000/2000/sharpen=1",
             "fill/3000/2000/sharpen=10", "fill/900/600/trim=10", "fill/2000/1400/f=png",
             "fill/2000/1400/f=webp", "fill/1000/700/f=avif", "fill/1000/700/f=avif,q=100"],
    "progressive JPEG": ["fill/300/200", "fill/2000/1400"],
    "PNG": ["fill/300/200"],
    "WebP": ["fill/300/200"],
    "GIF": ["fill/300/200"],
    "TIFF": ["fill/300/200"],
    "BMP": ["fill/300/200"],
    "AVIF": ["fill/300/200"],
    "moving GIF": ["fill/300/200/anim=gif", "fill/300/200/anim=webp"],
}  # fmt: skip


def costs(_: Bench) -> list[Row]:
    """Compare the estimate with the CPU time, by kind of source and of transform.

    All estimates are for the reference core: on another machine each ratio is off by one factor,
    which is the median of them.
    """
    pyvips.cache_set_max(0)
    sources = _sources()
    return [_row(name, sources[name], path) for name, paths in _PATHS.items() for path in paths]


def _row(name: str, body: bytes, path: str) -> Row:
    asked = parse_path(f"/{path}/sample:x".encode(), b"", DEFAULT).transform
    source = claimed(body)
    assert source, name
    if name == "moving GIF":
        source = source._replace(frames=_FRAMES)
    engine.render(body, asked)
    seconds = min(_cpu_seconds(lambda: engine.render(body, asked)) for _ in range(_ROUNDS))
    print(f"{name} {path}: {1000 * seconds:.0f} ms", file=sys.stderr)
    return Row(
        what=f"cost of {name}, {path}",
        figure=1000 * cost.estimate(source, asked),
        unit="ms estimated",
        limit=1000 * seconds,
        limit_name="measured",
    )


def _cpu_seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


_FRAMES = 20


def _sources() -> dict[str, bytes]:
    """Give a photo with some noise, in each format."""
    sample = resources.files("micropic.samples").joinpath("rocket.jpg").read_bytes()
    with Image.open(io.BytesIO(sample)) as opened:
        photo = np.asarray(opened.convert("RGB").resize(_SIDE[::-1])).astype(np.int16)
    photo += np.random.default_rng(1).integers(-12, 12, photo.shape, np.int16)
    image = Image.fromarray(np.clip(photo, 0, 255).astype(np.uint8))

    def encoded(form: str, **options: object) -> bytes:
        target = io.BytesIO()
        image.save(target, form, **options)
        return target.getvalue()

    small = image.resize((480, 320))
    moving = io.BytesIO()
    frames = [small.rotate(number) for number in range(_FRAMES)]
    frames[0].save(moving, "GIF", save_all=True, append_images=frames[1:])
    return {
        "JPEG": encoded("JPEG", quality=85),
        "progressive JPEG": encoded("JPEG", quality=85, progressive=True),
        "PNG": encoded("PNG"),
        "WebP": encoded("WEBP", quality=80),
        "GIF": encoded("GIF"),
        "TIFF": encoded("TIFF", compression="tiff_lzw"),
        "BMP": encoded("BMP"),
        "AVIF": encoded("AVIF", speed=8),
        "moving GIF": moving.getvalue(),
    }
