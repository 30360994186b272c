r"""Render slots: processes that can be killed, one picture at a time each.

A slot's process is started by exec, with one end of a socket pair for control and a memory
file for bodies. Nothing is shared between slots. Control is one JSON object a line:

```
process -> us   {"ready": true}                                     once, after its start
us -> process   {"transform": "fill/300/200/f=jpeg+png,g=smart,q=80", "length": 351588}
process -> us   {"media_type": "image/jpeg", "length": 7046}        the preview, in its place
             or {"error": {"code": "broken_image", "detail": "..."}}
```

The source lies in the memory file from its beginning; the preview takes its place there. End
of file on the socket means that the process died: it costs the request it was at, if any, and
a new process takes its place. Some libraries end the process when they get no memory: GLib,
librsvg and OpenBLAS do. What they wrote before tells that from a crash.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import sys
import time
from dataclasses import asdict, dataclass, field
from types import TracebackType
from typing import Any, Self, cast

import structlog

from micropic.domain import urls
from micropic.domain.errors import (
    DeadlineExceeded,
    MicropicError,
    RenderCrashed,
    RenderTimeout,
    TooMuchMemory,
    from_wire,
)
from micropic.domain.model import Rendered, Transform
from micropic.imaging import memory_file
from micropic.imaging.kinds import Limits

log = structlog.get_logger()

_KEPT_BODY = 4 * 1024 * 1024
"""Bytes of a memory file that stay allocated between two pictures."""
_LEAST_TIME = 0.1
"""Seconds that a request must have left when its render begins."""
_START_TIMEOUT = 30.0
_STOP_TIMEOUT = 2.0
_LONGEST_BACKOFF = 1.0
_SAID = 4096
"""Bytes of what a process wrote over a picture that are read if it died: the last ones."""
_OUT_OF_MEMORY = re.compile(
    r"failed to allocate|memory allocation|AllocError|bad_alloc|out of memory|MemoryError"
    r"|Cannot allocate memory|unable to write to memory",
    re.IGNORECASE,
)
"""What GLib, Rust, OpenBLAS, C++, libvips and Python say when they get none."""

_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_", "LD_LIBRARY_PATH", "TMPDIR", "PYTHON", "OPENBLAS_",
                "COVERAGE_", "VIRTUAL_ENV")  # fmt: skip
"""What a render process sees of the environment, by prefix: no secret of the service's."""
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "VIPS_CONCURRENCY": "1", "MALLOC_ARENA_MAX": "1"}


_Reply = tuple[dict[str, Any], bytes]
"""A line from a process, and the preview that it speaks of (empty if it speaks of none)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotOptions:
    """Bounds for one render."""

    timeout: float = 5.0
    """Seconds."""
    max_memory: int = 1024**3
    """Bytes of address space."""
    limits: Limits = field(default_factory=Limits)


class RenderSlots:
    """Renders in `count` processes; an async context manager."""

    def __init__(self, count: int, options: SlotOptions) -> None:
        self._count = count
        self._options = options
        self._idle: asyncio.LifoQueue[_Process] = asyncio.LifoQueue()
        self._alive: set[_Process] = set()
        self._keepers: list[asyncio.Task[None]] = []
        self._jobs: set[asyncio.Task[tuple[str, bytes]]] = set()

    async def __aenter__(self) -> Self:
        first = await asyncio.gather(*(_Process.start(self._options) for _ in range(self._count)))
        for process in first:
            self._take_in(process)
            self._keepers.append(asyncio.create_task(self._keep(process)))
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        await asyncio.gather(*(process.stop() for process in list(self._alive)))

    @property
    def ready(self) -> bool:
        """Tell whether at least one process takes pictures."""
        return any(process.usable for process in self._alive)

    async def render(
        self, body: bytes | bytearray, transform: Transform, deadline: float
    ) -> Rendered:
        """Render in the first free process.

        Raises:
            MicropicError: what the engine raised, or DeadlineExceeded, RenderTimeout or
                RenderCrashed.

        """
        queued = time.monotonic()
        process = await self._free_process(deadline)
        started = time.monotonic()
        # Nothing is awaited between the choice and this: the process cannot be lost on the way.
        process.send(body, transform)
        timeout = min(self._options.timeout, deadline - started)
        job = asyncio.create_task(self._finish(process, timeout))
        self._jobs.add(job)
        job.add_done_callback(self._settle)
        # A caller that leaves does not break the slot: the job ends by its own time limit.
        media_type, preview = await asyncio.shield(job)
        return Rendered(
            preview, media_type, queue=started - queued, render=time.monotonic() - started
        )

    async def _free_process(self, deadline: float) -> _Process:
        try:
            # Who has less left is not worth a process: it would be killed at its work.
            async with asyncio.timeout(deadline - time.monotonic() - _LEAST_TIME):
                await asyncio.sleep(0)  # a time that is up already counts, too
                while not (process := await self._idle.get()).usable:
                    pass
                return process
        except TimeoutError:
            msg = "No renderer was free in time; the service is busy."
            raise DeadlineExceeded(msg) from None

    async def _finish(self, process: _Process, timeout: float) -> tuple[str, bytes]:
        try:
            return await process.receive(timeout)
        finally:
            if process.usable:
                self._idle.put_nowait(process)

    def _settle(self, job: asyncio.Task[Any]) -> None:
        self._jobs.discard(job)
        if not job.cancelled():
            job.exception()  # seen: where the caller has left, nobody is to be told of it

    def _take_in(self, process: _Process) -> None:
        self._alive.add(process)
        self._idle.put_nowait(process)

    async def _keep(self, process: _Process) -> None:
        """Keep one slot alive: put a new process in the place of one that died."""
        while True:
            try:
                await asyncio.shield(process.gone)
            finally:
                if process.gone.done():
                    self._alive.discard(process)
            log.warning("render_process_died", pid=process.pid, said=process.said)
            process = await self._start_again()
            self._take_in(process)

    async def _start_again(self) -> _Process:
        backoff = 0.1
        while True:
            try:
                return await _Process.start(self._options)
            except OSError as error:
                log.warning("render_process_cannot_start", error=str(error))
                await asyncio.sleep(backoff)
                backoff = min(2 * backoff, _LONGEST_BACKOFF)


class _Process(asyncio.Protocol):
    """One render process, from its start to its end."""

    def __init__(self, body: int, words: int) -> None:
        loop = asyncio.get_running_loop()
        self._body = body
        self._words = words
        self._received = bytearray()
        self._used = 0
        self._reply: asyncio.Future[_Reply] = loop.create_future()  # to its first word
        self._transport: asyncio.Transport
        self._process: asyncio.subprocess.Process
        self._killed = False
        self.gone: asyncio.Future[None] = loop.create_future()
        self.said = ""

    @classmethod
    async def start(cls, options: SlotOptions) -> _Process:
        """Start a process and wait until it takes pictures.

        Raises:
            OSError: it cannot be started, or ends before it is ready.

        """
        ours, theirs = socket.socketpair()
        body = os.memfd_create("micropic-render", os.MFD_CLOEXEC)
        os.ftruncate(body, _KEPT_BODY)
        words = os.memfd_create("micropic-words", os.MFD_CLOEXEC)
        process = cls(body, words)
        try:
            limits = json.dumps(asdict(options.limits))
            arguments = (theirs.fileno(), body, options.max_memory, limits)
            process._process = await asyncio.create_subprocess_exec(  # its own class
                sys.executable,
                *("-P", "-m", "micropic.imaging.worker", *map(str, arguments)),
                pass_fds=(theirs.fileno(), body),
                env=_environment(),
                stdin=asyncio.subprocess.DEVNULL,
                stderr=words,
                start_new_session=True,  # a Ctrl-C in the terminal is for the service, not for it
            )
        except BaseException:
            ours.close()
            os.close(body)
            os.close(words)
            raise
        finally:
            theirs.close()
        await asyncio.get_running_loop().create_unix_connection(lambda: process, sock=ours)
        try:
            async with asyncio.timeout(_START_TIMEOUT):
                await process._reply
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
        return self._process.pid

    @property
    def usable(self) -> bool:
        return not (self._killed or self.gone.done())

    def send(self, body: bytes | bytearray, transform: Transform) -> None:
        """Hand a picture over."""
        self._reply = asyncio.get_running_loop().create_future()
        self._used = len(body)
        memory_file.write(self._body, body)
        request = {"transform": urls.build_transform(transform), "length": len(body)}
        self._transport.write(json.dumps(request).encode() + b"\n")

    async def receive(self, timeout: float) -> tuple[str, bytes]:
        """Give the preview's media type and bytes; kill the process if that takes too long."""
        try:
            async with asyncio.timeout(timeout):
                reply, preview = await self._reply
        except TimeoutError:
            self.kill()
            msg = f"The picture could not be rendered within {max(timeout, 0):.1f} s."
            raise RenderTimeout(msg) from None
        if "error" in reply:
            raise from_wire(reply["error"])
        return reply["media_type"], preview

    def kill(self) -> None:
        """End the process at once."""
        self._killed = True
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
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._received.endswith(b"\n"):
            line, self._received = self._received, bytearray()
            try:
                self._reply.set_result(self._take(json.loads(line)))
            except (asyncio.InvalidStateError, ValueError, TypeError, OSError, MemoryError):
                self.kill()  # it speaks out of turn, or nonsense: it is not to be trusted

    def _take(self, reply: dict[str, Any]) -> _Reply:
        """Take the preview out at once: when the process has died the memory file is gone."""
        length = reply.get("length", 0)
        preview = os.pread(self._body, length, 0)
        if max(self._used, length) > _KEPT_BODY:
            os.ftruncate(self._body, _KEPT_BODY)
        if os.lseek(self._words, 0, os.SEEK_CUR):  # of no interest: the process lives
            os.ftruncate(self._words, os.lseek(self._words, 0, os.SEEK_SET))
        return reply, preview

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 # however it ended
        os.close(self._body)
        written = os.lseek(self._words, 0, os.SEEK_CUR)
        words = os.pread(self._words, _SAID, max(0, written - _SAID))
        os.close(self._words)
        self.said = words.decode(errors="replace")
        self.gone.set_result(None)
        if not self._reply.done():
            self._reply.set_exception(_end(self.said))
            self._reply.exception()  # seen: an idle process has nobody waiting


def _end(said: str) -> MicropicError:
    """Give the error for the end of a process, by its last words."""
    if _OUT_OF_MEMORY.search(said):
        return TooMuchMemory(
            "Rendering the picture takes more memory than render.max_memory allows."
        )
    return RenderCrashed("The renderer crashed over this picture, which may be damaged.")


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name.startswith(_ENVIRONMENT)}
    return kept | _ONE_THREAD
