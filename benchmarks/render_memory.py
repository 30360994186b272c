"""The memory that one render takes: `python -m benchmarks.render_memory`.

Large pictures are asked as 300 x 200, each in a process of its own that is set up like a render
process. The figure is the highest resident set (proc(5), VmHWM: unlike getrusage's ru_maxrss it
knows nothing of the process before exec), with the mapped source in it.
"""

from __future__ import annotations

import io
import mmap
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks import photos
from benchmarks.processes import ROOT
from micropic.domain.errors import MicropicError
from micropic.domain.model import Anchor, Mode, Size, Transform
from micropic.imaging import engine
from micropic.imaging.vips import confine

_TRANSFORM = Transform(Mode.FILL, Size(300, 200), Anchor.SMART, 80)
_SIZES = {50: Size(8660, 5772), 16: Size(4898, 3265)}
_KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "JPEG, baseline 4:2:0": ("JPEG", {"quality": 85}),
    "JPEG, baseline 4:4:4": ("JPEG", {"quality": 85, "subsampling": 0}),
    "JPEG, progressive 4:2:0": ("JPEG", {"quality": 85, "progressive": True}),
    "JPEG, progressive 4:4:4": ("JPEG", {"quality": 85, "subsampling": 0, "progressive": True}),
    "PNG": ("PNG", {"compress_level": 1}),
    "WebP": ("WEBP", {"quality": 75, "method": 0}),
    "AVIF": ("AVIF", {"quality": 60, "speed": 10}),
    "GIF": ("GIF", {}),
    "TIFF, LZW": ("TIFF", {"compression": "tiff_lzw"}),
}
_LIMIT = 150
"""MiB, for a baseline JPEG of 50 megapixels."""
_ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "VIPS_CONCURRENCY": "1", "MALLOC_ARENA_MAX": "1"}


def main() -> None:
    """Print the table; or, given a file's name, render it and print what it took."""
    if sys.argv[1:]:
        _render(Path(sys.argv[1]))
        return
    print("| picture | megapixels | file (MB) | before (MiB) | highest (MiB) | seconds |")
    print("| --- | --- | --- | --- | --- | --- |")
    met = True
    with tempfile.TemporaryDirectory(prefix="micropic-memory-") as folder:
        for name, megapixels, data in _pictures():
            path = Path(folder) / "picture"
            path.write_bytes(data)
            before, highest, seconds, outcome = _measure(path)
            if megapixels == max(_SIZES) and "baseline" in name:
                met = met and int(highest) < _LIMIT
            print(
                f"| {name} | {megapixels} | {len(data) / 1e6:.1f} | {before} | {highest} "
                f"| {seconds}{outcome} |",
                flush=True,
            )
    print(f"\nTarget: baseline JPEG under {_LIMIT} MiB: {'met' if met else 'missed'}.")


def _pictures() -> Iterator[tuple[str, int, bytes]]:
    found = photos.find(ROOT / ".cache" / "benchmarks")
    photo = Image.open(io.BytesIO(found.read()[4])).convert("RGB")
    for megapixels, size in _SIZES.items():
        large = _tiled(photo, size)
        for name, (form, options) in _KINDS.items():
            data = io.BytesIO()
            large.save(data, form, **options)
            yield name, megapixels, data.getvalue()


def _tiled(photo: Image.Image, size: Size) -> Image.Image:
    """Fill a large picture with a photo: enlarged, it would be smoother than any camera's."""
    large = Image.new("RGB", size)
    for top in range(0, size.height, photo.height):
        for left in range(0, size.width, photo.width):
            large.paste(photo, (left, top))
    return large


def _measure(path: Path) -> tuple[str, str, str, str]:
    command = [sys.executable, "-m", "benchmarks.render_memory", str(path)]
    environment = {**os.environ, **_ENVIRONMENT}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    before, highest, seconds, *outcome = done.stdout.split()
    return before, highest, seconds, "".join(f" ({word})" for word in outcome)


def _render(path: Path) -> None:
    confine()
    before, outcome = _highest(), ""
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
        memoryview(data) as view,
    ):
        started = time.perf_counter()
        try:
            engine.render(view, _TRANSFORM)
        except MicropicError as error:
            outcome = error.code
        seconds = time.perf_counter() - started
    print(before, _highest(), f"{seconds:.2f}", outcome)


def _highest() -> int:
    """Give this process's highest resident set, in MiB."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) // 1024


if __name__ == "__main__":
    main()
