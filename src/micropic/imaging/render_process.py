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

The source lies in the memory file from its beginning; the preview takes its place there, and
zeros that of both once the preview is read. End of file on the socket means that the process died.
Some libraries end it when they get no memory: GLib, librsvg and OpenBLAS do; and `drawing_time`
does over an SVG that takes too long. What was written before tells these from a crash. `phase`
tells whether it was decoding still.

A process may have been hijacked by its image. What it says is read by `replies`; a
process that says anything else, or when nothing is asked, is killed, and that is a RenderCrashed.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import re
import socket
import sys
from dataclasses import asdict
from typing import cast

import orjson

from micropic.domain import urls
from micropic.domain.drawings import is_drawing
from micropic.domain.errors import (
    MicropicError,
    RenderCrashed,
    RenderTimeout,
    TooComplex,
    TooMuchMemory,
)
from micropic.domain.model import Transform
from micropic.imaging import memory_file, phase, replies
from micropic.imaging.drawing_time import LAST_WORDS
from micropic.imaging.kinds import Limits, no_memory

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
        self._transform: Transform
        self._is_drawing = False
        self._ready: asyncio.Future[dict[str, list[str]]] = loop.create_future()
        self._reply: asyncio.Future[Reply] | None = None
        self._timer: asyncio.TimerHandle
        self._transport: asyncio.Transport
        self._process: asyncio.subprocess.Process
        self._is_distrusted = False
        """Whether it said what it may not: then its last words explain nothing."""
        self._renders = 0
        self.most_renders = math.inf
        """How many pictures it is to be given."""
        self.worn: asyncio.Future[None] = loop.create_future()
        """Done once it has been given as many."""
        self._is_retired = False
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
        return not (self.killed or self._is_retired or self.gone.done())

    def send(
        self, body: bytes | bytearray, transform: Transform, seconds: float
    ) -> asyncio.Future[Reply]:
        """Hand a picture over; give what will be its preview, or else a MicropicError.

        If that takes more than `seconds`, the process is killed. Who is no longer interested has
        to leave the future alone: the process is not free before it is done.
        """
        loop = asyncio.get_running_loop()
        self._used = len(body)
        self._transform = transform
        self._is_drawing = is_drawing(body)
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
        self._renders += 1
        if self._renders >= self.most_renders and not self.worn.done():
            self.worn.set_result(None)
        return self._reply

    def kill(self) -> None:
        """End the process at once."""
        self.killed = True
        if self._process.returncode is None:
            self._process.kill()

    async def retire(self) -> None:
        """Take no more pictures, and end once the one that it is at is done."""
        self._is_retired = True
        if self._reply:
            await asyncio.wait([self._reply])
        await self.stop()

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
        """Take what it says: one line, when one is awaited."""
        self._received += data
        try:
            if line := self._whole_line():
                self._take(line)
        except Exception:  # noqa: BLE001 # it speaks out of turn, or nonsense
            self._received.clear()
            self._is_distrusted = True
            self.kill()

    def _whole_line(self) -> bytes:
        """Give the line that is awaited, or nothing while it lacks its end.

        Raises:
            ReplyError: none is awaited, it is too long, or there is more.

        """
        said, awaited = self._received, self._reply or self._ready
        end = said.find(b"\n")
        is_over = end >= 0 and end != len(said) - 1
        if self.killed or awaited.done() or len(said) > replies.LONGEST_LINE or is_over:
            raise replies.ReplyError(said)
        if end < 0:
            return b""
        self._received = bytearray()
        return bytes(said)

    def _take(self, line: bytes) -> None:
        if self._reply is None:
            self._ready.set_result(replies.ready(line))
            return
        largest = min(os.fstat(self._body).st_size, self._max_preview_bytes)
        said = replies.reply(line, self._transform, largest)
        if isinstance(said, MicropicError):
            self._clear(0)
            self._reply.set_exception(said)
        else:
            preview = os.pread(self._body, said.length, 0)
            replies.check_preview(preview, said)
            self._clear(said.length)
            self._reply.set_result((said.format.media_type, preview))
        self._timer.cancel()

    def _time_up(self, reply: asyncio.Future[Reply], seconds: float) -> None:
        self.kill()
        if not reply.done():
            msg = f"The picture could not be rendered within {max(seconds, 0):.1f} s."
            decoding = phase.is_decoding(self._phase)
            reply.set_exception(RenderTimeout(msg, seconds, decoding=decoding))

    def _clear(self, length: int) -> None:
        """Leave nothing of a picture and its preview of `length` to the next one's client."""
        memory_file.clear(self._body, max(self._used, length))
        if os.fstat(self._words).st_size:  # of no interest: the process lives
            os.ftruncate(self._words, os.lseek(self._words, 0, os.SEEK_SET))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 # however it ended
        """Note its end, and what it said before."""
        if self._process.returncode is None:  # it may have closed its socket, and live on
            self._process.kill()
        os.close(self._body)
        written = os.fstat(self._words).st_size
        words = os.pread(self._words, _SAID, max(0, written - _SAID))
        os.close(self._words)
        decoding = phase.is_decoding(self._phase)
        os.close(self._phase)
        self.said = replies.printable(words)
        self.gone.set_result(None)
        for awaited in (self._ready, self._reply):
            if awaited and not awaited.done():
                believed = "" if self._is_distrusted else self.said
                end = _end(believed, drawing=self._is_drawing, decoding=decoding)
                awaited.set_exception(end)
        if self._reply:
            self._timer.cancel()


def _end(said: str, *, drawing: bool, decoding: bool) -> MicropicError:
    """Give the error for the end of a process, by its last words, as far as they can be true."""
    error: MicropicError
    if drawing and LAST_WORDS in said:
        error = TooComplex("Drawing the SVG takes more time than render.max_drawing_time allows.")
    elif _OUT_OF_MEMORY.search(said):
        error = no_memory()
    else:
        msg = "The renderer crashed over this picture, which may be damaged."
        error = RenderCrashed(msg, decoding=decoding)
    error.ended_process = True
    return error


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name.startswith(_ENVIRONMENT)}
    return kept | ONE_THREAD | _NO_SCRATCH
