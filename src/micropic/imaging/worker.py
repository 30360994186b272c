"""The render process: one picture at a time, from a file in memory, until its socket closes.

Run by `render_process.py`, which describes the protocol, as
`python -m micropic.imaging.worker CONTROL_FD BODY_FD MAX_MEMORY LIMITS`, the last as JSON.
"""

from __future__ import annotations

import ctypes
import gc
import json
import mmap
import resource
import signal
import socket
import sys
from typing import Any

from micropic.domain import urls
from micropic.domain.errors import MicropicError
from micropic.domain.model import Transform
from micropic.imaging import engine, memory_file, vips
from micropic.imaging.kinds import Limits

_PR_SET_PDEATHSIG = 1


def confine(max_memory: int) -> None:
    """Bound what a picture can make this process do; `max_memory` is address space in bytes."""
    resource.setrlimit(resource.RLIMIT_AS, (max_memory, max_memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    vips.confine()


def serve(control: socket.socket, body: int, limits: Limits) -> None:
    """Answer requests until the other end closes."""
    lines = control.makefile("rb")
    control.sendall(b'{"ready": true}\n')
    for line in lines:
        reply = _answer(json.loads(line), body, limits)
        control.sendall(json.dumps(reply).encode() + b"\n")


def _answer(request: dict[str, Any], body: int, limits: Limits) -> dict[str, Any]:
    transform = urls.parse_transform(request["transform"])
    try:
        preview = _render(body, request["length"], transform, limits)
    except MicropicError as error:
        return {"error": error.to_wire()}
    memory_file.write(body, preview.body)
    return {"length": len(preview.body), "media_type": preview.media_type}


def _render(body: int, length: int, transform: Transform, limits: Limits) -> engine.Encoded:
    if not length:  # to mmap this means the whole file, where an older picture may lie
        return engine.render(b"", transform, limits)
    # Not closed here: what a render raises may still hold a view. The last view unmaps it.
    data = mmap.mmap(body, length, access=mmap.ACCESS_READ)
    return engine.render(memoryview(data), transform, limits)


def main() -> None:
    """Take over the descriptors named on the command line."""
    control, body, max_memory = map(int, sys.argv[1:4])
    limits = Limits(**json.loads(sys.argv[4]))
    confine(max_memory)
    gc.freeze()  # the modules last as long as the process: no need to look at them again
    serve(socket.socket(fileno=control), body, limits)


if __name__ == "__main__":
    main()
