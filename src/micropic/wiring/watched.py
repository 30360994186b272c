"""Which part of a process tells which metric."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

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


def gate(told: Metrics, of: Gate) -> None:
    """Tell how many previews are being made."""
    told.number(metrics.IN_FLIGHT, lambda: of.inside)
    told.number(metrics.IN_FLIGHT_LIMIT, lambda: of.limit)


def renderer(told: Metrics, of: RenderSlots) -> None:
    """Tell what the render processes do, and what became of them."""
    told.number(metrics.RENDER_PROCESSES, lambda: of.usable)
    told.number(metrics.RENDER_BUSY, lambda: of.busy)
    told.number(metrics.RENDER_WAITING, lambda: of.waiting)
    told.number(metrics.RENDER_ENDS, lambda: of.killed, "killed")
    told.number(metrics.RENDER_ENDS, lambda: of.died, "died")
