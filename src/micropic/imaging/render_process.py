r"""A render process, as the service sees it.

It is started by exec, with one end of a socket pair for control and a memory file for bodies.
Control is one JSON object a line:

```
process -> us   {"ready": true, "sandbox": {...}}                   once, after its start
us -> process   {"transform": "fill/300/200/f=jpeg+png,g=smart,q=80", "length": 351588,
                 "seconds": 4.9}
process -> us   {"media_type": "image/jpeg", "length": 7046}        the preview, in its place
             or {"error": {"code": "broken_image", "detail": "..."}}
```

The source lies in the memory file from its beginning; the preview takes its place there. End
of file on the socket means that the process died. Some libraries end it when they get no memory:
GLib, librsvg and OpenBLAS do; and `drawing_time` does over an SVG that takes too long. What was
written before tells these from a crash. `phase` tells whether it was decoding still.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import sys
from dataclasses import asdict
from typing import Any, cast

import orjson

from micropic.domain import urls
from micropic.domain.errors import (
    MicropicError,
    RenderCrashed,
    RenderTimeout,
    TooComplex,
    TooMuchMemory,
    from_wire,
)
from micropic.domain.model import Transform
from micropic.imaging import memory_file, phase
from micropic.imaging.drawing_time import LAST_WORDS
from micropic.imaging.kinds import Limits, no_memory

_KEPT_BODY = 4 * 1024 * 1024
"""Bytes of a memory file that stay allocated between two pictures."""
_LONGEST_LINE = 64 * 1024
_START_TIMEOUT = 30.0
_STOP_TIMEOUT = 2.0
_SAID = 4096
"""Bytes of what a process wrote over a picture that are read if it died: the last ones."""
_OUT_OF_MEMORY = re.compile(
    r"failed to alloc|memory allocation|AllocError|bad_alloc|out of memory|MemoryError"
    r"|Cannot allocate memory|unable to write to memory|Insufficient memory"
    r"|can't start new thread",
    re.IGNORECASE,
)
"""What GLib, Rust, OpenBLAS, C++, libvips, libjpeg and Python say when they get none."""

_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_", "LD_LIBRARY_PATH", "TMPDIR", "PYTHON", "OPENBLAS_",
                "COVERAGE_", "VIRTUAL_ENV")  # fmt: skip
"""What a render process sees of the environment, by prefix: no secret of the service's."""
ONE_THREAD = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "VIPS_CONCURRENCY": "1",
    "MALLOC_ARENA_MAX": "1",
}
"""There are as many processes as can be of use: none is to have threads of its own."""
_NO_SCRATCH = {"VIPS_DISC_THRESHOLD": "1000g"}
"""Else libvips writes what takes more than 100 MB to a file, which it may not."""

Reply = tuple[str, bytes]
"""A preview: its media type and its bytes."""


class RenderProcess(asyncio.Protocol):
    """One render process, from its start to its end."""

    def __init__(self, body: int, words: int, phase_file: int, max_preview_bytes: int) -> None:
        loop = asyncio.get_running_loop()
        self._body = body
        self._max_preview_bytes = max_preview_bytes
        self._words = words
        self._phase = phase_file
        self._received = bytearray()
        self._used = 0
        self._ready: asyncio.Future[dict[str, list[str]]] = loop.create_future()
        self._reply: asyncio.Future[Reply] | None = None
        self._timer: asyncio.TimerHandle
        self._transport: asyncio.Transport
        self._process: asyncio.subprocess.Process
        self.killed = False
        """Whether it was ended by us."""
        self.gone: asyncio.Future[None] = loop.create_future()
        self.sandbox: dict[str, list[str]]
        """What holds it (`sandbox.Sandbox`): what is `active`, and what is `missing`."""
        self.said = ""
        """Once it is gone: its last words."""

    @classmethod
    async def start(
        cls, max_memory: int, limits: Limits, *, sandbox: bool = True, smart_faces: bool = True
    ) -> RenderProcess:
        """Start a process and wait until it takes pictures; `max_memory` in bytes.

        Raises:
            OSError: it cannot be started, or ends before it is ready.

        """
        ours, theirs = socket.socketpair()
        body = os.memfd_create("micropic-render", os.MFD_CLOEXEC)
        os.ftruncate(body, _KEPT_BODY)
        words = os.memfd_create("micropic-words", os.MFD_CLOEXEC)
        phase_file = phase.create()
        process = cls(body, words, phase_file, limits.preview_bytes)
        try:
            options = {
                "max_memory": max_memory,
                "limits": asdict(limits),
                "sandbox": sandbox,
                "smart_faces": smart_faces,
            }
            arguments = (theirs.fileno(), body, phase_file, json.dumps(options))
            process._process = await asyncio.create_subprocess_exec(  # its own class
                sys.executable,
                *("-P", "-m", "micropic.imaging.worker", *map(str, arguments)),
                pass_fds=(theirs.fileno(), body, phase_file),
                env=_environment(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=words,
                stderr=words,
            )
        except BaseException:
            ours.close()
            os.close(body)
            os.close(words)
            os.close(phase_file)
            raise
        finally:
            theirs.close()
        await asyncio.get_running_loop().create_unix_connection(lambda: process, sock=ours)
        try:
            async with asyncio.timeout(_START_TIMEOUT):
                process.sandbox = await process._ready
        except (TimeoutError, RenderCrashed, TooMuchMemory) as error:
            await process.stop()
            msg = f"a render process ended, or hung, at its start: {process.said}"
            raise OSError(msg) from error
        except BaseException:
            process.kill()
            raise
        return process

    @property
    def pid(self) -> int:
        """Its id."""
        return self._process.pid

    @property
    def usable(self) -> bool:
        """Tell whether it can be given a picture."""
        return not (self.killed or self.gone.done())

    def send(
        self, body: bytes | bytearray, transform: Transform, seconds: float
    ) -> asyncio.Future[Reply]:
        """Hand a picture over; give what will be its preview, or else a MicropicError.

        If that takes more than `seconds`, the process is killed. Who is no longer interested has
        to leave the future alone: the process is not free before it is done.
        """
        loop = asyncio.get_running_loop()
        self._used = len(body)
        memory_file.write(self._body, body)
        phase.begin(self._phase)
        request = {
            "transform": urls.build_transform(transform),
            "length": len(body),
            "seconds": seconds,
        }
        self._reply = loop.create_future()
        self._timer = loop.call_later(seconds, self._time_up, self._reply, seconds)
        self._transport.write(orjson.dumps(request) + b"\n")
        return self._reply

    def kill(self) -> None:
        """End the process at once."""
        self.killed = True
        if self._process.returncode is None:
            self._process.kill()

    async def stop(self) -> None:
        """End the process: by closing its socket, or at once if it does not heed that."""
        self._transport.close()
        try:
            async with asyncio.timeout(_STOP_TIMEOUT):
                await self._process.wait()
        except TimeoutError:
            self.kill()
            await self._process.wait()

    # --- asyncio.Protocol --------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take our end of the socket pair."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Take what it says."""
        self._received += data
        if self._received.endswith(b"\n"):
            line, self._received = self._received, bytearray()
            try:
                self._take(orjson.loads(line))
            except Exception:  # noqa: BLE001 # it speaks out of turn, or nonsense
                self.kill()  # it is not to be trusted
        elif len(self._received) > _LONGEST_LINE:
            self.kill()

    def _take(self, said: dict[str, Any]) -> None:
        if self._reply is None:
            self._ready.set_result(said["sandbox"])
            return
        length = said.get("length", 0)
        if length > self._max_preview_bytes:  # it was to say so instead: it is not to be trusted
            raise ValueError
        preview = self._preview(length)
        if "error" in said:
            self._reply.set_exception(from_wire(said["error"]))
        else:
            self._reply.set_result((said["media_type"], preview))
        self._timer.cancel()

    def _time_up(self, reply: asyncio.Future[Reply], seconds: float) -> None:
        self.kill()
        if not reply.done():
            msg = f"The picture could not be rendered within {max(seconds, 0):.1f} s."
            decoding = phase.is_decoding(self._phase)
            reply.set_exception(RenderTimeout(msg, seconds, decoding=decoding))

    def _preview(self, length: int) -> bytes:
        """Take the preview out at once: when the process has died the memory file is gone."""
        preview = os.pread(self._body, length, 0)
        if max(self._used, length) > _KEPT_BODY:
            os.ftruncate(self._body, _KEPT_BODY)
        if os.lseek(self._words, 0, os.SEEK_CUR):  # of no interest: the process lives
            os.ftruncate(self._words, os.lseek(self._words, 0, os.SEEK_SET))
        return preview

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 # however it ended
        """Note its end, and what it said before."""
        if self._process.returncode is None:  # it may have closed its socket, and live on
            self._process.kill()
        os.close(self._body)
        written = os.lseek(self._words, 0, os.SEEK_CUR)
        words = os.pread(self._words, _SAID, max(0, written - _SAID))
        os.close(self._words)
        self.said = words.decode(errors="replace")
        decoding = phase.is_decoding(self._phase)
        os.close(self._phase)
        self.gone.set_result(None)
        for awaited in (self._ready, self._reply):
            if awaited and not awaited.done():
                awaited.set_exception(_end(self.said, decoding=decoding))
        if self._reply:
            self._timer.cancel()


def _end(said: str, *, decoding: bool = False) -> MicropicError:
    """Give the error for the end of a process, by its last words, and by what it was at."""
    if LAST_WORDS in said:
        return TooComplex("Drawing the SVG takes more time than render.max_drawing_time allows.")
    if _OUT_OF_MEMORY.search(said):
        return no_memory()
    msg = "The renderer crashed over this picture, which may be damaged."
    return RenderCrashed(msg, decoding=decoding)


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name.startswith(_ENVIRONMENT)}
    return kept | ONE_THREAD | _NO_SCRATCH
