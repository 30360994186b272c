"""What more workers are good for: `python -m benchmarks.scale_demo`.

One worker that makes two previews a second, then five of them, under the same load with a
time-out of five seconds. Nothing but RabbitMQ is needed: the pictures are those of the package.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.distributed import broker_running
from benchmarks.processes import NotStartedError
from tests.support.cluster import Cluster

_RATE = "2"
"""Previews a second of one worker."""
_TIMEOUT = "5"
_TOKEN = "demo"  # of a service that ends with the demonstration
_WORKERS = 5
_CLIENTS = 20
_SIZES = ",".join(f"{side}x{side // 2}" for side in range(100, 260, 10))
_SAMPLES = "\n".join(f"sample:{name}.jpg" for name in ("cat", "coffee", "rocket", "astronaut"))


def main() -> int:
    """Run both, and print their summaries side by side."""
    with tempfile.TemporaryDirectory(prefix="micropic-demo-") as folder:
        try:
            with broker_running(Path(folder)) as broker:
                cluster = Cluster(
                    Path(folder) / "cluster",
                    broker,
                    PREVIEWER_MAX_RATE=_RATE,
                    PROXY_TIMEOUT=_TIMEOUT,
                    PROXY_PURGE_TOKEN=_TOKEN,
                )
                try:
                    before, after = _measure(cluster.start())
                finally:
                    cluster.close()
        except NotStartedError as error:
            print(f"scale-demo: {error}", file=sys.stderr)
            return 1
    _print(before, after)
    return 0


def _measure(cluster: Cluster) -> tuple[dict[str, Any], dict[str, Any]]:
    print("one worker ...", file=sys.stderr)
    before = _warm(cluster.port)
    _micropic("purge", "--all", "--at", f"http://127.0.0.1:{cluster.port}", "--token", _TOKEN)
    print(f"{_WORKERS} workers ...", file=sys.stderr)
    while len(cluster.workers) < _WORKERS:
        cluster.add_worker()
    return before, _warm(cluster.port)


def _warm(port: int) -> dict[str, Any]:
    told = _micropic(
        "warm", "-", "--proxy", f"http://127.0.0.1:{port}/fill", "--sizes", _SIZES,
        "--workers", str(_CLIENTS), "--json", given=_SAMPLES,
    )  # fmt: skip
    summary: dict[str, Any] = json.loads(told)
    return summary


def _micropic(*arguments: str, given: str = "") -> str:
    command = [sys.executable, "-m", "micropic", *arguments]
    # Errors among the answers are part of the story.
    return subprocess.run(command, input=given, capture_output=True, text=True, check=False).stdout


def _print(before: dict[str, Any], after: dict[str, Any]) -> None:
    print("| | 1 worker | 5 workers |\n|---|---|---|")
    for name in dict.fromkeys([*_flat(before), *_flat(after)]):
        print(f"| {name} | {_flat(before).get(name, 0)} | {_flat(after).get(name, 0)} |")


def _flat(summary: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in summary.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}, ")
        else:
            flat[f"{prefix}{name}"] = round(value, 2) if isinstance(value, float) else value
    return flat


if __name__ == "__main__":
    sys.exit(main())
