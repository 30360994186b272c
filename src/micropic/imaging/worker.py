"""The render process: one picture at a time, from a file in memory, until its socket closes.

Run by `render_process.py`, which describes the protocol, as
`python -m micropic.imaging.worker CONTROL_FD BODY_FD PHASE_FD OPTIONS`, the last as JSON.
"""

from __future__ import annotations

import gc
import json
import mmap
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Any

from micropic.domain import urls
from micropic.domain.errors import MicropicError
from micropic.domain.model import Transform
from micropic.imaging import engine, memory_file, sandbox, vips
from micropic.imaging.kinds import Limits
from micropic.imaging.phase import Phase

_NICENESS = 3
_Render = Callable[[bytes | memoryview, Transform], engine.Encoded]


def serve(control: int, body: int, render: _Render, held: sandbox.Sandbox) -> None:
    """Answer requests until the other end closes.

    The socket is read and written like a file: in the sandbox there are no calls for sockets.
    """
    _say(control, {"ready": True, "sandbox": asdict(held)})
    with open(control, "rb") as lines:
        for line in lines:
            _say(control, _answer(json.loads(line), body, render))


def _say(control: int, what: dict[str, Any]) -> None:
    os.write(control, json.dumps(what).encode() + b"\n")


def _answer(request: dict[str, Any], body: int, render: _Render) -> dict[str, Any]:
    transform = urls.parse_transform(request["transform"])
    sandbox.allow_time(request["seconds"])
    try:
        preview = _rendered(body, request["length"], transform, render)
    except MicropicError as error:
        return {"error": {"code": error.code, "detail": error.detail}}
    memory_file.write(body, preview.body)
    return {"length": len(preview.body), "media_type": preview.media_type}


def _rendered(body: int, length: int, transform: Transform, render: _Render) -> engine.Encoded:
    if not length:  # to mmap this means the whole file, where an older picture may lie
        return render(b"", transform)
    # Not closed here: what a render raises may still hold a view. The last view unmaps it.
    data = mmap.mmap(body, length, access=mmap.ACCESS_READ)
    return render(memoryview(data), transform)


def _stand_back() -> None:
    """Let the service's own process go first: it answers in a moment, and hands out the work.

    It takes a group of its own, so that a Ctrl-C in the terminal is for the service; not a
    session, since Linux would give that as much CPU as the service's (sched(7), autogroup).
    """
    os.setpgid(0, 0)
    os.nice(_NICENESS)


def main() -> None:
    """Take over the descriptors named on the command line."""
    control, body, phase = map(int, sys.argv[1:4])
    options = json.loads(sys.argv[4])
    progress = Phase(phase)
    _stand_back()
    sandbox.bound(options["max_memory"])
    vips.confine()
    held = sandbox.confine() if options["sandbox"] else sandbox.Sandbox()
    gc.freeze()  # the modules last as long as the process: no need to look at them again
    limits = Limits(**options["limits"])
    serve(
        control,
        body,
        partial(
            engine.render,
            limits=limits,
            smart_faces=options["smart_faces"],
            decoded=progress.decoded,
        ),
        held,
    )


if __name__ == "__main__":
    main()
