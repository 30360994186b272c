"""How long commands take to start: `python -m benchmarks.start [--rounds N]`.

Medians of wall time. The limit of `micropic --version` is an empty Python program; that of
`micropic serve` is the import of its third-party packages.
"""

from __future__ import annotations

import argparse
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.processes import free_port, running, wait_for
from benchmarks.service import environment
from benchmarks.table import Row, format_table

_EMPTY = "pass"
_THIRD_PARTIES = (
    "import aiodns, aiohttp, orjson, prometheus_client, starlette.routing, structlog, typer\n"
    "import uvicorn, uvloop\n"
    "from pydantic import BaseModel, ByteSize, Field"
)
_PAUSE = 0.001


def main() -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.start", description=__doc__)
    parser.add_argument("--rounds", type=int, default=11, help="the median counts")
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="micropic-bench-") as folder:
        scratch = Path(folder)
        empty = _median(rounds, lambda _: _seconds(sys.executable, "-c", _EMPTY))
        imports = _median(rounds, lambda _: _seconds(sys.executable, "-c", _THIRD_PARTIES))
        version = _median(rounds, lambda _: _seconds(sys.executable, "-m", "micropic", "--version"))
        until_ready: list[float] = []
        listens = _median(rounds, lambda number: _serve(scratch / str(number), until_ready))
        ready = statistics.median(until_ready)
    rows = [
        _row("micropic --version", version, empty, "an empty program"),
        _row("micropic serve, until it listens", listens, imports, "its third-party imports"),
        _row("micropic serve, until it is ready", ready, imports, "its third-party imports"),
    ]
    print(format_table(rows))
    return 0


def _row(what: str, figure: float, limit: float, limit_name: str) -> Row:
    return Row(
        what=what, figure=figure, unit="s", limit=limit, limit_name=limit_name, digits=3
    )  # fmt: skip


def _median(rounds: int, measure: Callable[[int], float]) -> float:
    return statistics.median(measure(number) for number in range(rounds))


def _seconds(*command: str) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment())
    return time.perf_counter() - began


def _serve(scratch: Path, until_ready: list[float]) -> float:
    """Return the seconds until the port accepts connections; add those until /readyz is 200."""
    scratch.mkdir()
    port, log = free_port(), scratch / "output"
    settings = {
        "PROXY_HOST": "127.0.0.1",
        "PROXY_PORT": str(port),
        "HEALTH_HOST": "127.0.0.1",
        "HEALTH_PORT": "0",
        "CACHE_DIRNAME": str(scratch / "cache"),
        "LOG_FILE": str(scratch / "log"),
    }
    began = time.perf_counter()
    with running([sys.executable, "-m", "micropic", "serve"], log, environment(**settings)) as own:
        while not _listens(port):
            time.sleep(_PAUSE)
        listens = time.perf_counter() - began
        wait_for(f"http://127.0.0.1:{port}/readyz", own, log)
        until_ready.append(time.perf_counter() - began)
    return listens


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


if __name__ == "__main__":
    sys.exit(main())
