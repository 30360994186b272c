"""Wear the service out, and see that nothing gives: `python -m benchmarks.soak`.

Both shapes run at the same time under a bounded load of hits, misses, changes, purges, private
pictures, mistakes, hostile origins and clients that leave, while render processes are killed and
hung, and each part is stopped, killed and started again. Each preview is compared with a fresh
render of its source, to the byte; every other answer has to be the one that its request is to get,
or to be excused by a fault at that moment. In the end memory is flat and nothing is left.

Memory is judged in the processes that last: each service, and one of its render processes, which
is never killed alone. One slope is fitted to all lives of such a process, without the first minute
of each: by then all caches, which are small here, are full.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType

from benchmarks.processes import cores
from benchmarks.soak.shapes import Distributed, Embedded, Plan
from benchmarks.soak.soak import soak
from benchmarks.table import aligned

_SHAPES = {"embedded": Embedded, "distributed": Distributed}
_HEADINGS = ("shape", "what", "found", "wanted", "verdict")
_COLUMNS = "seconds,shape,part,place,process,rss,own"


def main() -> int:
    """Soak, print the table, and tell by the exit code whether all was as it has to be."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, _leave)
    plan = Plan(seconds=arguments.seconds, rate=arguments.rate, seed=arguments.seed)
    chosen = [_SHAPES[name] for name in arguments.shape or _SHAPES]
    print(
        f"{cores()} cores; {plan.seconds:g} s, {plan.rate:g} requests/s for each shape, "
        f"seed {plan.seed}",
        flush=True,
    )
    with tempfile.TemporaryDirectory(prefix="micropic-soak-") as folder:
        try:
            done = soak(chosen, Path(folder), plan)
        except KeyboardInterrupt:
            return 130
    if arguments.samples:
        arguments.samples.write_text("\n".join([_COLUMNS, *done.samples, ""]))
    print(aligned(_HEADINGS, [check.cells() for check in done.checks]))
    for example in done.examples:
        print(example, file=sys.stderr)
    if failed := done.failed:
        print(f"soak: {len(failed)} of {len(done.checks)} checks missed", file=sys.stderr)
    return 1 if failed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600, help="how long it lasts")
    parser.add_argument("--rate", type=float, default=25, help="requests a second, each shape")
    parser.add_argument("--seed", type=int, default=1, help="of all that is left to chance")
    parser.add_argument("--shape", choices=_SHAPES, action="append", help="one alone")
    parser.add_argument("--samples", type=Path, help="a file for each sample of memory, as CSV")
    return parser.parse_args()


def _leave(_number: int, _frame: FrameType | None) -> None:
    """Leave as Ctrl-C does, so that every process is stopped and every folder removed."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
