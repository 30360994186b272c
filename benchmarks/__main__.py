"""Run the benchmarks: `python -m benchmarks [WHAT]`; without it all of them."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType

from benchmarks import engine, load, measures, origin, overload, photos
from benchmarks.cost import costs
from benchmarks.distributed import distributed
from benchmarks.engine import EngineFailedError
from benchmarks.fair_share import fair_share
from benchmarks.hanging import hanging
from benchmarks.load import LoadFailedError
from benchmarks.processes import ROOT, NotStartedError, cores
from benchmarks.service import WrongAnswerError
from benchmarks.shared_cache import shared
from benchmarks.table import Row, format_table

_MEASURES = {
    "engine": engine.engine,
    "cold": measures.cold,
    "cached": measures.cached,
    "memory": measures.memory,
    "shared": shared,
    "distributed": distributed,
    "overload": overload.overload,
    "overload-distributed": overload.distributed,
    "hanging": hanging,
    "cost": costs,
    "fair-share": fair_share,
}


def main() -> int:
    """Measure, print the table, and leave nothing behind but the photos."""
    arguments = _arguments()
    chosen = list(_MEASURES) if arguments.what == "all" else [arguments.what]
    signal.signal(signal.SIGTERM, _leave)
    try:
        rows = _measure(chosen, arguments.seconds, arguments.rounds)
    except (EngineFailedError, LoadFailedError, NotStartedError, WrongAnswerError) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(format_table(rows))
    return 0


def _measure(chosen: list[str], seconds: int, rounds: int) -> list[Row]:
    pictures = photos.find(ROOT / ".cache" / "benchmarks")
    with (
        tempfile.TemporaryDirectory(prefix="micropic-bench-") as folder,
        origin.serving(pictures, Path(folder)) as server,
    ):
        print(
            f"{cores()} cores; load by {load.generator()}; origin {server.name}; "
            f"{len(pictures.names)} photos: {pictures.origin}; "
            f"median of {rounds} rounds of {seconds} s\n",
            flush=True,
        )
        bench = measures.Bench(
            photos=pictures, origin=server, scratch=Path(folder), seconds=seconds, rounds=rounds
        )
        return [row for name in chosen for row in _MEASURES[name](bench)]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("what", nargs="?", choices=[*_MEASURES, "all"], default="all")
    parser.add_argument("--seconds", type=int, default=10, help="how long a round lasts")
    parser.add_argument("--rounds", type=int, default=3, help="how many; the median counts")
    return parser.parse_args()


def _leave(_number: int, _frame: FrameType | None) -> None:
    """Leave as Ctrl-C does, so that every process is stopped and every folder removed."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
