"""What becomes of a service that is asked for more than it can do: goodput and latency.

The load comes at a fixed rate and does not wait for answers (`open_loop.py`). It, nginx and the
service share the machine's cores; the load generator takes a few hundredths of one.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from benchmarks import load, service
from benchmarks.distributed import broker_running, cluster_running
from benchmarks.load import Load, LoadFailedError
from benchmarks.measures import Bench
from benchmarks.open_loop import Outcome, Stream
from benchmarks.processes import ROOT
from benchmarks.service import Service, preview_path
from benchmarks.table import Row

_FACTORS = (0.5, 1, 2, 5)
_AT_ONCE = 8
"""Clients whose requests, each after the last one's answer, tell the capacity."""
_WARM_UP = 8.0
"""Seconds in which what is asked for too much has become no burst any more."""
_PAUSE = 2.0
"""Seconds after which the load before is forgotten."""
_HITS = 50.0
"""Cached answers a second that are asked for beneath it all."""
_LEAST_GOODPUT = 0.9
_MOST_LATENCY = 2.0
_MOST_HIT_MS = 50.0
_MOST_REFUSAL_MS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Level:
    """What one rate came to; rates a second, latencies in ms."""

    factor: float
    asked_for: float
    capacity: float
    goodput: float
    answered: list[float]
    refused: int
    others: int
    hits: list[float]
    refusals: list[float]
    """Time of each refusal within the service, by its log."""


def overload(bench: Bench) -> list[Row]:
    """Measure the embedded service."""
    folder = bench.scratch / "overload"
    with service.serving(folder) as started:
        return _measured("embedded", bench, started, folder / "log")


def distributed(bench: Bench) -> list[Row]:
    """Measure a proxy, a worker and a shared cache around RabbitMQ."""
    folder = bench.scratch / "overload"
    with (
        broker_running(bench.scratch) as broker,
        cluster_running(folder, broker) as asked,
    ):
        (log,) = folder.glob("*/proxy/log")
        return _measured("distributed", bench, asked, log)


def _measured(name: str, bench: Bench, asked: Service, log: Path) -> list[Row]:
    """Put a service under each load, and tell what became of it."""
    hit = f"{preview_path(bench.origin.port, 'hit')}/{bench.photos.names[0]}"
    asked.fetch(hit)
    idle = _ms(_flow([Stream(asked.port, _HITS, hit, 0.0, 2.0)])[0].latencies[200])
    levels = [_level(bench, asked, factor, hit, log) for factor in _FACTORS]
    return [
        *(_goodput(name, level) for level in levels),
        *_latencies(name, levels),
        *(_hits(name, level, idle) for level in levels),
        *_refusals(name, levels),
    ]


def _level(bench: Bench, asked: Service, factor: float, hit: str, log: Path) -> _Level:
    """Measure what a rate of so many times the capacity comes to.

    The capacity is measured before and after: the machine may have changed its mind meanwhile.
    """
    new, names = preview_path(bench.origin.port, f"at{factor:g}-"), bench.photos.names
    job = Load(port=asked.port, connections=_AT_ONCE, prefix=f"{new}before", photos=names)
    before = load.run_for(bench.seconds, job).rate
    begin = log.stat().st_size
    new_ones, hits = _flow(
        [
            Stream(
                asked.port, factor * before, new + "{number}/{name}", _WARM_UP, bench.seconds,
                tuple(names),
            ),
            Stream(asked.port, _HITS, hit, _WARM_UP, bench.seconds),
        ]
    )  # fmt: skip
    time.sleep(_PAUSE)
    after = load.run_for(bench.seconds, replace(job, prefix=f"{new}after")).rate
    answered = _ms(new_ones.latencies.pop(200, []))
    level = _Level(
        factor=factor,
        asked_for=factor * before,
        capacity=(before + after) / 2,
        goodput=len(answered) / bench.seconds,
        answered=answered,
        refused=len(new_ones.latencies.pop(503, [])),
        others=sum(map(len, new_ones.latencies.values())) + new_ones.unanswered,
        hits=_ms(hits.latencies.get(200, [])),
        refusals=_refusals_in(log, begin),
    )
    _say(level)
    return level


def _flow(streams: Sequence[Stream]) -> list[Outcome]:
    told = json.dumps([asdict(stream) for stream in streams])
    command = [sys.executable, "-m", "benchmarks.open_loop", told]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        msg = f"the load failed: {done.stderr[-2000:]}"
        raise LoadFailedError(msg)
    return [
        Outcome({int(status): times for status, times in each["latencies"].items()},
                each["unanswered"])
        for each in json.loads(done.stdout)
    ]  # fmt: skip


def _refusals_in(log: Path, begin: int) -> list[float]:
    """Give the ms that each 503 took within the service, of the log from byte `begin` on."""
    with log.open("rb") as lines:
        lines.seek(begin)
        told = [json.loads(line) for line in lines if b'"status":503' in line]
    return sorted(line["duration_ms"] for line in told if line["event"] == "request")


def _ms(seconds: Sequence[float]) -> list[float]:
    return sorted(1000 * each for each in seconds)


def _at(share: float, ordered: Sequence[float]) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def _goodput(name: str, level: _Level) -> Row:
    p50, p99 = _at(0.5, level.answered), _at(0.99, level.answered)
    return Row(
        what=f"{name}, {level.factor:g} x capacity",
        figure=level.goodput,
        unit=f"previews/s of {level.asked_for:,.0f} asked for",
        limit=level.capacity,
        limit_name="in turn",
        least_ratio=_LEAST_GOODPUT if level.factor == max(_FACTORS) else None,
        detail=f"p50 {p50:.0f} ms, p99 {p99:.0f} ms, {level.refused} refused, "
        f"{level.others} failed",
    )


def _latencies(name: str, levels: Sequence[_Level]) -> list[Row]:
    at_capacity = next(level for level in levels if level.factor == 1)
    return [
        Row(
            what=f"{name}, {level.factor:g} x capacity, p99",
            figure=_at(0.99, level.answered),
            unit="ms",
            limit=_at(0.99, at_capacity.answered),
            limit_name="at capacity",
            most_ratio=_MOST_LATENCY,
        )
        for level in levels
        if level.factor == max(_FACTORS)
    ]


def _hits(name: str, level: _Level, idle: Sequence[float]) -> Row:
    return Row(
        what=f"{name}, hits beneath {level.factor:g} x, p99",
        figure=_at(0.99, level.hits),
        unit="ms",
        limit=_at(0.99, idle),
        limit_name="alone",
        figure_below=_MOST_HIT_MS,
        detail=f"p50 {_at(0.5, level.hits):.1f} ms",
        digits=1,
    )


def _refusals(name: str, levels: Sequence[_Level]) -> list[Row]:
    return [
        Row(
            what=f"{name}, a refusal at {level.factor:g} x, in the service",
            figure=_at(0.5, level.refusals),
            unit="ms",
            limit=_at(0.5, level.answered),
            limit_name="for a preview",
            figure_below=_MOST_REFUSAL_MS,
            detail=f"p99 {_at(0.99, level.refusals):.2f} ms",
            digits=2,
        )
        for level in levels
        if level.factor == max(_FACTORS)
    ]


def _say(level: _Level) -> None:
    print(
        f"{level.factor:g} x {level.capacity:.0f}/s: {level.goodput:.0f}/s, "
        f"p50 {_at(0.5, level.answered):.0f} ms, p99 {_at(0.99, level.answered):.0f} ms, "
        f"{level.refused} refused in {_at(0.5, level.refusals):.2f} ms, "
        f"{level.others} failed; hits p99 {_at(0.99, level.hits):.1f} ms",
        file=sys.stderr,
        flush=True,
    )
