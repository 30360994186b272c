"""What a process holds: descriptors, threads, children; and what is left once it is gone."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from benchmarks.footprint import children

Holdings = Counter[str]
"""How many of each kind: sockets, pipes, memory files, files, others, threads, children."""

_KINDS = {"socket:": "sockets", "pipe:": "pipes", "/memfd:": "memory files", "/": "files"}


def holdings(pid: int) -> Holdings:
    """Count what a process holds now."""
    held = Counter(_kind(target) for target in _descriptors(pid))
    held["threads"] = len(os.listdir(f"/proc/{pid}/task"))  # noqa: PTH208 # names are enough
    held["children"] = len(children(pid))
    return held


def processes_with(variable: str) -> list[int]:
    """Give all processes that were started with `NAME=value` in their environment."""
    wanted, found = os.fsencode(variable), []
    for directory in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if wanted in (directory / "environ").read_bytes().split(b"\0"):
                found.append(int(directory.name))
    return found


def files_below(directory: Path) -> list[Path]:
    """Give every file."""
    return [path for path in directory.rglob("*") if path.is_file()]


def _descriptors(pid: int) -> Iterator[str]:
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed since
            yield str(descriptor.readlink())


def _kind(target: str) -> str:
    return next((kind for start, kind in _KINDS.items() if target.startswith(start)), "others")
