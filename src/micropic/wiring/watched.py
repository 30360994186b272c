"""Which part of a process tells which metric."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from micropic.adapters.origins import Origins
from micropic.domain.waiting import Backlog, Line, Room
from micropic.imaging.slots import RenderSlots
from micropic.pipeline.admission import Gate
from micropic.services import metrics
from micropic.services.health import Health
from micropic.services.metrics import Metrics, Sample

_OF_A_LEVEL = {
    "entries": metrics.CACHE_ENTRIES,
    "bytes": metrics.CACHE_BYTES,
    "max_bytes": metrics.CACHE_MAX_BYTES,
    "unused": metrics.CACHE_UNUSED,
    "hits": metrics.CACHE_HITS,
    "misses": metrics.CACHE_MISSES,
    "evictions": metrics.CACHE_EVICTIONS,
}


def health(told: Metrics, of: Health) -> None:
    """Tell of each part whether it does its work, and how full the cache is."""

    def ready() -> Iterator[Sample]:
        for part, is_there in of.needed.items():
            yield metrics.READY, (part,), is_there()
        for part, trouble in of.helpful.items():
            yield metrics.READY, (part,), not trouble()

    told.add(ready)
    levels(told, of.usage)


def levels(told: Metrics, usage: Callable[[], Mapping[str, Mapping[str, float | None]]]) -> None:
    """Tell how full each level of a cache is, and what it was asked."""

    def samples() -> Iterator[Sample]:
        for level, figures in usage().items():
            for name, metric in _OF_A_LEVEL.items():
                if (figure := figures[name]) is not None:
                    yield metric, (level,), figure

    told.add(samples)


def queue(told: Metrics, length: Callable[[], int | None]) -> None:
    """Tell how many requests wait for previewers, as long as the broker says so."""

    def samples() -> Iterator[Sample]:
        if (waiting := length()) is not None:
            yield metrics.QUEUE_LENGTH, (), waiting

    told.add(samples)


def gate(told: Metrics, of: Gate) -> None:
    """Tell how many previews are being made."""
    told.number(metrics.IN_FLIGHT, lambda: of.inside)
    told.number(metrics.IN_FLIGHT_LIMIT, lambda: of.limit)
    told.number(metrics.REFUSALS, lambda: of.refused, "in_flight")


def backlogs(told: Metrics, *of: Backlog) -> None:
    """Tell how often workers had too much to do already."""
    told.number(metrics.REFUSALS, lambda: sum(each.door.refused for each in of), "workers")


def fetches(told: Metrics, of: Line) -> None:
    """Tell how many sources are being fetched, and how many wait for that."""
    told.number(metrics.FETCHES_IN_FLIGHT, lambda: of.busy)
    told.number(metrics.FETCHES_LIMIT, lambda: of.servers)
    told.number(metrics.FETCHES_WAITING, lambda: of.waiting)
    told.number(metrics.REFUSALS, lambda: of.door.refused, "fetch")


def room(told: Metrics, of: Room) -> None:
    """Tell how many bytes of sources are held."""
    told.number(metrics.HELD_BYTES, lambda: of.held)
    told.number(metrics.HELD_BYTES_LIMIT, lambda: of.limit)
    told.number(metrics.REFUSALS, lambda: of.refused, "bytes")


def origins(told: Metrics, of: Origins) -> None:
    """Tell how many origins are left alone."""
    told.number(metrics.ORIGINS_LEFT_ALONE, lambda: of.left_alone)


def renderer(told: Metrics, of: RenderSlots) -> None:
    """Tell what the render processes do, and what became of them."""
    told.number(metrics.RENDER_PROCESSES, lambda: of.usable)
    told.number(metrics.RENDER_BUSY, lambda: of.line.busy)
    told.number(metrics.RENDER_WAITING, lambda: of.line.waiting)
    told.number(metrics.REFUSALS, lambda: of.line.refused, "render")
    told.number(metrics.RENDER_ENDS, lambda: of.killed, "killed")
    told.number(metrics.RENDER_ENDS, lambda: of.died, "died")
