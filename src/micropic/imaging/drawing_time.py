"""A bound on the CPU time of drawing an SVG, which librsvg does not stop before it is done.

What a drawing costs cannot be told from its text: a thousand gradients take 0.7 s at 300 x 200
and 30 s at 2000 x 1500, ten filters of a kilobyte 130 s. So it is measured. CPU time, unlike the
time on the wall, says something of the drawing even where the machine is busy with others.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

LAST_WORDS = "The drawing was given up: it took too much CPU time."
_LEAST_WAIT = 0.01
"""Seconds."""


@contextmanager
def bounded(seconds: float) -> Iterator[None]:
    """End this process, with last words, if what is done within takes it more CPU time; 0: never.

    It takes a process that is replaced. The watch is a thread: the codec lets it run meanwhile.
    """
    if not seconds:
        yield
        return
    done = threading.Event()
    until = time.process_time() + seconds
    watch = threading.Thread(target=_watch, args=(done, until), daemon=True)
    watch.start()
    try:
        yield
    finally:
        done.set()
        watch.join()


def _watch(done: threading.Event, until: float) -> None:
    while (left := until - time.process_time()) > 0:
        if done.wait(max(left, _LEAST_WAIT)):
            return
    os.write(sys.stderr.fileno(), LAST_WORDS.encode())
    os._exit(1)
