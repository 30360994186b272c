"""HTTP/1.1 as uvicorn and httptools have it, with bounds on what a client may make us wait."""

from __future__ import annotations

import array
import asyncio
import contextlib
import fcntl
import os
import termios
from typing import Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from micropic.domain.waiting import ResponseRoom
from micropic.services.exchange import CONNECTION
from micropic.web import problems

_LONGEST_HEAD = 32 * 1024
"""Bytes that a request's line and header fields may take up; twice as many if they come at once."""
_MOST_FIELDS = 256
"""Header fields of a request; those of browsers behind several proxies are some 50.

What is read of them is remembered (`services/proxy.py`), and takes a hundred times their bytes
where each has but a few.
"""
_LONGEST_DECODED = 512
"""Bytes of a target whose escapes are decoded. Paths of our pages are shorter; those of previews
are read as they were sent (`raw_path`)."""
_HEAD_TIMEOUT = 5.0
"""Seconds in which they have to come: from the connection, then from the first byte of each."""
_LAST_HEAD_TIMEOUT = 2.0
"""Seconds in which one has to come that is on its way while the service stops."""
_MOST_PIPELINED = 100
"""Requests that may wait on a connection for the answer to the one before; browsers send none."""
_WRITE_INTERVAL = 10.0
"""Seconds from one look to the next at whether a client takes its answer."""
_LEAST_RATE = 1024
"""Bytes a second that it has to take."""


class TooMany(Exception):
    """Ends the parsing of what came: it has too many fields, or requests."""


class State(ServerState):
    """What the connections of a server have in common."""

    is_stopping = False
    """Whether each answer from now on is the last one of its connection."""

    def __init__(self, responses: ResponseRoom) -> None:
        super().__init__()
        self.responses = responses


class HttpProtocol(HttpToolsProtocol):
    """Bounds what comes before a request's body, and sends an answer in one piece.

    Uvicorn takes a header without end and for ever, any number of requests behind one that takes
    its time, keeps an answer for a client that does not read it, and writes an answer's header and
    its body apart. When it stops it hangs up on who has just connected.
    """

    server_state: State
    _head = 0
    _in_head = True
    _head_timer: asyncio.TimerHandle | None = None
    _write_timer: asyncio.TimerHandle | None = None
    _held: object | None = None
    """The token for what waits in the transport."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection."""
        joined = _JoinedWrites(cast("asyncio.Transport", transport))
        # Whatever the kernel does not take at once is held, and counted.
        joined.set_write_buffer_limits(0)
        super().connection_made(cast("asyncio.Transport", joined))
        self._extensions = {CONNECTION: self.transport}
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        self._cancel_head_timer()
        self._cancel_write_timer()
        self._release()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Count from here."""
        self._head = 0
        self._in_head = True
        super().on_message_begin()
        self.scope["extensions"] = self._extensions  # type: ignore[typeddict-item] # one of ours

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field of the header; those behind a body in chunks are of no use here."""
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Count no more."""
        self._in_head = False
        self._cancel_head_timer()
        if len(self.headers) > _MOST_FIELDS:
            raise TooMany
        target = self.url
        if len(target) > _LONGEST_DECODED:  # uvicorn would decode 30 kB of "%" for 8 ms
            self.url = target.replace(b"%", b"_")
        super().on_headers_complete()
        if self.url is not target:
            parsed = httptools.parse_url(target)
            self.scope["raw_path"] = parsed.path
            self.scope["query_string"] = parsed.query or b""
        if self.server_state.is_stopping:
            self.cycle.keep_alive = False
        if len(self.pipeline) > _MOST_PIPELINED:
            raise TooMany

    def data_received(self, data: bytes) -> None:
        """Refuse a request whose line and fields have grown too long."""
        # What comes at once may be a body, or another request, for the most part.
        while self._in_head and self._head + len(data) > _LONGEST_HEAD:
            room = _LONGEST_HEAD - self._head
            self._head = _LONGEST_HEAD
            super().data_received(data[:room])
            if self.transport.is_closing():
                return
            if self._in_head and self._head == _LONGEST_HEAD:
                self.send_400_response("The request's header is too long.")
                return
            data = data[room:]
        if self._in_head:
            self._head += len(data)
        super().data_received(data)
        if self._head_timer is None and (self._in_head or self._is_idle()):
            self._expect_head()

    def shutdown(self) -> None:
        """Hang up, once what is under way is answered, or on its way here."""
        if self._in_head and (self.cycle is None or self.cycle.response_complete):
            self._cancel_head_timer()
            self._expect_head(_LAST_HEAD_TIMEOUT)
        else:
            super().shutdown()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP as everything else is refused."""
        if self._is_behind_another():
            self.transport.abort()
            return
        response = problems.malformed(msg, os.urandom(8).hex())
        fields = [*response.headers, (b"connection", b"close")]
        fields.append((b"content-length", b"%d" % len(response.body)))
        head = [b"HTTP/1.1 400 Bad Request", *(b": ".join(pair) for pair in fields), b"", b""]
        self.transport.write(b"\r\n".join(head) + response.body)
        self.transport.close()

    def pause_writing(self) -> None:
        """See to it that the client goes on reading."""
        super().pause_writing()
        waiting = self.transport.get_write_buffer_size()
        room = self.server_state.responses
        self._held = room.hold(waiting, self.loop.time(), self.transport.abort)
        self._look_again_at(self._untaken())

    def resume_writing(self) -> None:
        """Take note that it has read enough."""
        self._cancel_write_timer()
        self._release()
        super().resume_writing()

    def _is_behind_another(self) -> bool:
        """Tell whether an answer now would be taken for that to a request which came before."""
        cycle = self.cycle
        is_whole = cycle is not None and not cycle.more_body and not cycle.response_complete
        return bool(self.pipeline) or is_whole

    def _is_idle(self) -> bool:
        """Tell whether what came is of no request, not even the beginning of one."""
        return (self.cycle is None or self.cycle.response_complete) and (
            self.timeout_keep_alive_task is None
        )

    def _expect_head(self, timeout: float = _HEAD_TIMEOUT) -> None:
        self._head_timer = self.loop.call_later(timeout, self._head_missing)

    def _head_missing(self) -> None:
        self._head_timer = None
        self.transport.close()

    def _cancel_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _look_again_at(self, waiting: int) -> None:
        self._write_timer = self.loop.call_later(_WRITE_INTERVAL, self._check_reading, waiting)

    def _check_reading(self, before: int) -> None:
        """Hang up on a client that has taken next to nothing of the `before` bytes."""
        waiting = self._untaken()
        if before - waiting < _LEAST_RATE * _WRITE_INTERVAL:
            self.transport.abort()
        else:
            self._look_again_at(waiting)

    def _untaken(self) -> int:
        """Return how many bytes wait for the client, those that the kernel holds included.

        The kernel takes no more before a third of its own buffer is empty (`sk_stream_is_writeable`
        in include/net/sock.h), which may take a slow client longer than it has here.
        """
        unsent = array.array("i", [0])
        with contextlib.suppress(OSError):
            connection = self.transport.get_extra_info("socket")
            fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, unsent)
        return self.transport.get_write_buffer_size() + unsent[0]

    def _release(self) -> None:
        if self._held is not None:
            self.server_state.responses.release(self._held)
            self._held = None

    def _cancel_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None


class _JoinedWrites:
    """Hands on at once what is written within one turn of the event loop.

    The transport sends each write as a packet of its own, and wakes the client for each.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._waiting: list[bytes] = []
        self.is_closing = transport.is_closing  # asked for with every answer

    def write(self, data: bytes) -> None:
        """Send it by the end of this turn."""
        if not self._waiting:
            self._loop.call_soon(self._flush)
        self._waiting.append(data)

    def close(self) -> None:
        """Send what waits, then close."""
        self._flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def _flush(self) -> None:
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            self._transport.writelines(waiting)
