"""What a render costs beside libvips' own ways and Pillow, and beside the decode alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from benchmarks.measures import Bench
from benchmarks.processes import ROOT
from benchmarks.table import Row
from micropic.imaging.render_process import ONE_THREAD

_NAMES = {
    "thumbnail": "libvips' thumbnail_buffer",
    "thumbnail, attention": "libvips' thumbnail_buffer, crop=attention",
    "load, resize": "libvips' load (scaled where it can), resize, crop",
    "Pillow": "Pillow",
    "JPEG": "our JPEG of the same",
}
_TARGETS = {("JPEG", "thumbnail"): 0.75, ("JPEG", "load, resize"): 0.9}
_NO_SLOWER = 1.05
"""Than libvips, for everything else."""


class EngineFailedError(Exception):
    """The process that measures ended without a result."""


def engine(bench: Bench) -> list[Row]:
    """Measure CPU milliseconds a picture, as fill 300x200."""
    command = [sys.executable, "-m", "benchmarks.engine_times", str(bench.photos.folder)]
    finished = subprocess.run(
        [*command, str(2 * bench.rounds + 1)],
        cwd=ROOT,
        env=os.environ | ONE_THREAD,  # as render processes run, here for all contenders
        capture_output=True,
        text=True,
        check=False,
    )
    if finished.returncode:
        raise EngineFailedError(finished.stderr[-2000:])
    times = json.loads(finished.stdout)
    split = times.pop("split")
    return [row for case in times for row in _beside_others(case, times[case])] + _shares(split)


def _beside_others(case: str, times: dict[str, float]) -> list[Row]:
    what = case if case.startswith("to ") else f"{case} in"
    rows = [
        _row(f"engine, {what}", times["center"], times[other], name, _target(case, other))
        for other, name in _NAMES.items()
        if other in times and other != "thumbnail, attention"
    ]
    if "smart" in times:
        attention = "thumbnail, attention"
        limit = times[attention]
        rows.append(
            _row(f"engine, {what}, smart", times["smart"], limit, _NAMES[attention], _NO_SLOWER)
        )
    return rows


def _target(case: str, other: str) -> float | None:
    if other in {"Pillow", "JPEG"}:
        return None
    return _TARGETS.get((case, other), _NO_SLOWER)


def _shares(split: dict[str, float]) -> list[Row]:
    """Compare what is not the decode with the decode.

    From end to end is the CPU time of `RenderSlots.render`, of the service's process and of the
    render process together; what is left of it without the engine is the hand-over.
    """
    decode = split["decode"] - split["probe"]
    name = "the scaled decode"
    whole, smart = split["end to end, center"], split["end to end, smart"]
    handover = whole - split["engine, center"]
    resample = split["engine, center"] - split["decode"] - split["encode"]
    anew = split["engine, center, new shape"] - split["engine, center"]
    return [
        _row("not the decode, center", whole - decode, decode, name, 0.22),
        _row("the same, of shapes not seen lately", whole + anew - decode, decode, name),
        _row("not the decode, smart", smart - decode, decode, name, 0.35),
        _row("of it: probe", split["probe"], decode, name),
        _row("of it: cut, resample, the engine's own", resample, decode, name),
        _row("of it: encode", split["encode"], decode, name),
        _row("of it: hand-over to the process and back", handover, decode, name),
        _row("engine, smart", split["engine, smart"], split["engine, center"], "center", 1.08),
    ]


def _row(what: str, figure: float, limit: float, name: str, target: float | None = None) -> Row:
    return Row(
        what=what,
        figure=figure,
        unit="ms",
        limit=limit,
        limit_name=name,
        most_ratio=target,
        digits=2,
    )
