"""What is measured: new previews, cached previews, and memory."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, median

from benchmarks import limits, load, service
from benchmarks.footprint import Peak, of_tree
from benchmarks.load import Load, Result
from benchmarks.origin import Origin
from benchmarks.photos import Photos
from benchmarks.service import preview_path
from benchmarks.table import Row

_MIB = 1024**2
_TYPICAL_PREVIEW = 8_000
"""Bytes."""
_MANY_PREVIEWS = 5_000
_CACHED_CONNECTIONS = 32
_IN_TURN = 500
"""Many more than there are connections, so that no two ask for one at the same time."""
_CACHED_TARGETS = {"memory": 0.45, "304": 0.45, "disk": 0.25}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What all measurements share."""

    photos: Photos
    origin: Origin
    scratch: Path
    seconds: int
    """How long one round lasts."""
    rounds: int


def cold(bench: Bench) -> list[Row]:
    """Measure previews that nobody asked for before, cut by content and in the middle."""
    return [_cold(bench, "smart", ""), _cold(bench, "center", "g=center")]


def cached(bench: Bench) -> list[Row]:
    """Measure cached previews, from memory and from disk.

    Equal requests at the same time share one read of the disk, so that asking for one preview
    hardly touches it; many previews in turn do.
    """
    with contextlib.ExitStack() as stack:
        memory = stack.enter_context(service.serving(bench.scratch / "from-memory"))
        disk = stack.enter_context(service.serving(bench.scratch / "from-disk", CACHE_MEMORY="0"))
        photo, path, body = _typical_preview(bench, memory)
        disk.fetch(path)
        many = _many_in_turn(bench, disk, photo)
        bare = stack.enter_context(limits.bare_server(len(body), bench.scratch))
        loads = {
            "bare": _same(bare, "/"),
            "cached, memory, one preview": _same(memory.port, path),
            "cached, 304": replace(_same(memory.port, path), etag=memory.etag(path)),
            "cached, disk, one preview": _same(disk.port, path),
            f"cached, disk, {many.distinct} previews in turn": many,
        }
        if bench.origin.still:
            bench.origin.still.write_bytes(body)
            loads["nginx, static"] = _same(bench.origin.port, "/still.jpg")
        rates = in_turns(bench, loads)
    return _cached_rows(rates, len(body))


def _cached_rows(rates: dict[str, float], size: int) -> list[Row]:
    """Compare rates (per second, of `size` bytes) with that of the bare server.

    Without wrk there is no verdict: the load generator in Python is slower than the bare
    server, so that all rates come out near its own, and their ratios near 1.
    """
    targets = _CACHED_TARGETS if load.has_wrk() else {}
    return [
        Row(
            what=what,
            figure=rate,
            unit=f"answers/s of {size:,} bytes",
            limit=rates["bare"],
            limit_name="from bare uvicorn",
            least_ratio=next((t for start, t in targets.items() if start in what), None),
        )
        for what, rate in rates.items()
        if what != "bare"
    ]


def memory(bench: Bench) -> list[Row]:
    """Measure what the service and its render processes take once they have made many."""
    with service.serving(bench.scratch / "memory") as started:
        before, peak = of_tree(started.pid), Peak(started.pid)
        with peak.sampled():
            _say(f"memory: {_MANY_PREVIEWS} previews")
            load.run_count(_MANY_PREVIEWS, _distinct(bench, started, "m", connections=32))
        after = of_tree(started.pid)
    figures = {
        f"PSS after {_MANY_PREVIEWS:,} previews": (after.pss, before.pss),
        "PSS at its peak": (peak.footprint.pss, before.pss),
        f"RSS after {_MANY_PREVIEWS:,} previews": (after.rss, before.rss),
        "RSS at its peak": (peak.footprint.rss, before.rss),
    }
    return [
        Row(
            what=f"memory, {name}",
            figure=figure / _MIB,
            unit="MiB",
            limit=start / _MIB,
            limit_name="after its start",
            figure_below=400,
        )
        for name, (figure, start) in figures.items()
    ]


def _cold(bench: Bench, name: str, options: str) -> Row:
    photos = bench.photos.read()
    ceilings = [limits.decode_rate(photos)]
    results: list[Result] = []
    with service.serving(bench.scratch / name) as started:
        started.fetch_all(preview_path(bench.origin.port, "check", options), bench.photos.names)
        for number in range(bench.rounds):
            label = f"{name}{number}-"
            job = _distinct(bench, started, label, connections=8, options=options)
            results.append(load.run_for(bench.seconds, job))
            ceilings.append(limits.decode_rate(photos))
            _say(f"cold, {name}: {results[-1].rate:,.0f}/s, decode {ceilings[-1]:,.0f}/s")
    p50, p99 = (
        1000 * median(times) for times in zip(*((r.p50, r.p99) for r in results), strict=True)
    )
    return Row(
        what=f"cold, {name}",
        figure=median(result.rate for result in results),
        unit="previews/s",
        limit=fmean(ceilings),
        limit_name="decoded",
        least_ratio=0.7,
        detail=f"p50 {p50:.0f} ms, p99 {p99:.0f} ms",
    )


def _distinct(
    bench: Bench, target: service.Service, label: str, *, connections: int, options: str = ""
) -> Load:
    return Load(
        port=target.port,
        connections=connections,
        prefix=preview_path(bench.origin.port, label, options),
        photos=bench.photos.names,
    )


def _same(port: int, path: str) -> Load:
    return Load(port=port, connections=_CACHED_CONNECTIONS, prefix=path)


def _many_in_turn(bench: Bench, target: service.Service, photo: str) -> Load:
    """Put previews of equal bytes and different paths in the cache, to be asked for in turn."""
    turns = Load(
        port=target.port,
        connections=_CACHED_CONNECTIONS,
        prefix=preview_path(bench.origin.port, "turn"),
        photos=[photo],
        distinct=_IN_TURN,
    )
    load.run_count(_IN_TURN, turns)
    return turns


def in_turns(bench: Bench, loads: dict[str, Load]) -> dict[str, float]:
    """Run each load, round by round, so that all see the same weather; give median rates."""
    rates: dict[str, list[float]] = {name: [] for name in loads}
    for _ in range(bench.rounds):
        for name, job in loads.items():
            rates[name].append(load.run_for(bench.seconds, job).rate)
            _say(f"{name}: {rates[name][-1]:,.0f}/s")
    return {name: median(several) for name, several in rates.items()}


def _typical_preview(bench: Bench, target: service.Service) -> tuple[str, str, bytes]:
    """Give the photo, the path and the bytes of a preview that is neither plain nor rich."""
    prefix = preview_path(bench.origin.port, "cached")
    bodies = target.fetch_all(prefix, bench.photos.names)
    pairs = zip(bench.photos.names, bodies, strict=True)
    name, body = min(pairs, key=lambda pair: abs(len(pair[1]) - _TYPICAL_PREVIEW))
    return name, f"{prefix}/{name}", body


def _say(text: str) -> None:
    print(text, file=sys.stderr)
