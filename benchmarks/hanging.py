"""64 new pictures at once, of which 32 are on a server that says nothing: what the others pay."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from statistics import median

import uvloop

from benchmarks import service
from benchmarks.distributed import broker_running, cluster_running
from benchmarks.load import LoadFailedError
from benchmarks.measures import Bench
from benchmarks.open_loop import Connections
from benchmarks.service import Service, preview_path
from benchmarks.table import Row

_EACH = 32
_ROUNDS = 7
"""Of all shapes, with and without those that hang."""
_MOST_RATIO = 1.25
_OK = 200


def hanging(bench: Bench) -> list[Row]:
    """Measure both shapes, in their default settings."""
    with contextlib.ExitStack() as stack:
        silent = stack.enter_context(_silent_server())
        embedded = stack.enter_context(service.serving(bench.scratch / "embedded"))
        broker = stack.enter_context(broker_running(bench.scratch))
        cluster = stack.enter_context(cluster_running(bench.scratch / "cluster", broker))
        shapes = {"embedded": embedded, "distributed": cluster}
        return [row for name, shape in shapes.items() for row in _rows(bench, name, shape, silent)]


@contextlib.contextmanager
def _silent_server() -> Iterator[int]:
    """Give a port where the kernel takes connections and nobody answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        yield listener.getsockname()[1]


def _rows(bench: Bench, name: str, asked: Service, silent: int) -> list[Row]:
    alone, beside = list[list[float]](), list[list[float]]()
    for turn, (several, there) in itertools.product(
        range(-1, _ROUNDS), ((alone, 0), (beside, _EACH))
    ):
        label = f"{name}{turn}-{there}-"
        good = [
            f"{preview_path(bench.origin.port, f'{label}{number}')}/{photo}"
            for number, photo in zip(range(_EACH), itertools.cycle(bench.photos.names))
        ]
        held = [preview_path(silent, f"{label}{number}") for number in range(there)]
        times = uvloop.run(_at_once(asked.port, good, held))
        if turn >= 0:  # the first one warms up
            several.append(times)
    return [
        Row(
            what=f"{name}, 32 beside 32 that hang, {which}",
            figure=1000 * median(times[at] for times in beside),
            unit="ms",
            limit=1000 * median(times[at] for times in alone),
            limit_name="alone",
            most_ratio=_MOST_RATIO,
        )
        for which, at in (("half are answered", _EACH // 2), ("all are", -1))
    ]


async def _at_once(port: int, good: Sequence[str], held: Sequence[str]) -> list[float]:
    """Ask for all, the `held` ones first; give when each good one was answered, in order.

    Raises:
        LoadFailedError: one was not, or not with a preview.

    """
    connections = Connections(port)
    begin = time.perf_counter()
    waiting = [asyncio.create_task(connections.ask(path)) for path in held]

    async def answered(path: str) -> float:
        status = await connections.ask(path)
        if status != _OK:
            msg = f"{path} was answered with {status}"
            raise LoadFailedError(msg)
        return time.perf_counter() - begin

    times = sorted(await asyncio.gather(*map(answered, good)))
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    connections.close()
    print(f"{len(held)} that hang: {1000 * times[-1]:.0f} ms", file=sys.stderr)
    return times
