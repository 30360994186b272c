"""What the service is measured against."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import simplejpeg

from benchmarks.processes import cores, free_port, running, wait_for
from benchmarks.service import SIZE

_DECODE_ROUNDS = 5


def decode_rate(photos: Sequence[bytes]) -> float:
    """Give how many of `photos` a second all cores could decode, if they did nothing else.

    Every preview of a JPEG needs this much: the smallest DCT-scaled decode that covers the
    preview. One thread is timed, the mean of some rounds: the load meets the same machine, with
    its good moments and its bad ones.
    """
    mean = sum(_decode_all(photos) for _ in range(_DECODE_ROUNDS)) / _DECODE_ROUNDS
    return cores() * len(photos) / mean


@contextlib.contextmanager
def bare_server(size: int, scratch: Path) -> Iterator[int]:
    """Run uvicorn answering `size` bytes to everything; give its port on 127.0.0.1."""
    port, log = free_port(), scratch / "bare.log"
    command = [sys.executable, "-m", "benchmarks.bare", str(port), str(size)]
    with running(command, log) as process:
        wait_for(f"http://127.0.0.1:{port}/", process, log)
        yield port


def _decode_all(photos: Sequence[bytes]) -> float:
    """Decode each photo once; give the seconds."""
    width, height = SIZE
    started = time.perf_counter()
    for photo in photos:
        simplejpeg.decode_jpeg(photo, min_width=width, min_height=height, min_factor=1)
    return time.perf_counter() - started
