"""One HTTP request and its answer, as the log and the metrics have them."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import AsyncIterator, Sequence
from http import HTTPStatus
from typing import Any

from micropic.domain import masking
from micropic.domain.model import PIECE, Provenance, pieces
from micropic.web.responses import Response

CONNECTION = "micropic.connection"
"""The ASGI extension by which the server hands on its transport."""
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")


class Exchange:
    """Sends the answer, and notes what is said of it."""

    def __init__(self, scope: Any, send: Any, client: str) -> None:
        self.client = client
        """Its address, as far as it can be believed."""
        self._started = time.perf_counter()
        self._scope = scope
        self._send = send
        self.request_id = _request_id(scope["headers"])
        self.status = 500
        self.bytes = 0
        self.held: object | None = None
        """The token for the memory that the response takes, if it is large."""
        self.provenance: Provenance | None = None
        """That of the preview, if one was the answer."""

    async def answer(self, response: Response) -> None:
        """Send a whole answer; without its body where HEAD was asked.

        Raises:
            BodyLostError: a body in the cache was lost on the way: the client gets less than was
                announced.

        """
        length = response.length
        self.status = response.status
        headers = [*response.headers, (b"x-request-id", self.request_id.encode())]
        if response.status != HTTPStatus.NOT_MODIFIED:  # RFC 9110, 8.6: it would be the body's
            headers.append((b"content-length", b"%d" % length))
        await self._send(
            {"type": "http.response.start", "status": response.status, "headers": headers}
        )
        if self._scope["method"] == "HEAD":
            await self._send({"type": "http.response.body", "body": b""})
        elif response.stored or length > PIECE:
            await self._send_pieces(response)
        else:
            self.bytes = length
            await self._send({"type": "http.response.body", "body": response.body})

    async def _send_pieces(self, response: Response) -> None:
        """Send a large body, each piece once the client has taken the one before."""
        async for piece in _pieces(response):
            if self.is_closing():  # the client has left
                await asyncio.sleep(0)  # in which the server hears of it
                return
            self.bytes += len(piece)
            await self._send({"type": "http.response.body", "body": piece, "more_body": True})
            await asyncio.sleep(0)  # so that it is written, and the next `send` knows if it waits
        await self._send({"type": "http.response.body", "body": b""})

    def is_closing(self) -> bool:
        """Return True if the connection is being closed, as far as the server tells."""
        connection = self._scope.get("extensions", {}).get(CONNECTION)
        return connection is not None and connection.is_closing()

    def hang_up(self) -> None:
        """Close the connection in this turn of the event loop, if the server lets us."""
        connection = self._scope.get("extensions", {}).get(CONNECTION)
        if connection is not None:
            connection.abort()

    async def send(self, message: Any) -> None:
        """Pass on what another application sends, and note it."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message["headers"], (b"x-request-id", self.request_id.encode())]
        else:
            self.bytes += len(message.get("body", b""))
        await self._send(message)

    @property
    def seconds(self) -> float:
        """How long it has taken so far."""
        return time.perf_counter() - self._started

    def summary(self, seconds: float) -> dict[str, Any]:
        """Give what the log says of this request, which took so long."""
        path, query = self._scope["raw_path"], self._scope["query_string"]
        target = path + b"?" + query if query else path
        told = {
            "method": self._scope["method"],
            "path": masking.text(target),
            "status": self.status,
            "duration_ms": round(seconds * 1000, 2),
            "bytes": self.bytes,
            "cache": self.provenance.cache.value if self.provenance else "none",
            "client": self.client,
            "request_id": self.request_id,
        }
        if len(target) > masking.LONGEST:
            told["path_bytes"] = len(target)
        return told


async def _pieces(response: Response) -> AsyncIterator[bytes]:
    if stored := response.stored:
        for first, last in pieces(stored.first, stored.last):
            yield await stored.body.read(first, last)
    else:
        for first, last in pieces(0, response.length - 1):
            yield response.body[first : last + 1]


def _request_id(fields: Sequence[tuple[bytes, bytes]]) -> str:
    """Take the client's X-Request-Id if it can stand in a log, or make one."""
    for name, value in fields:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return value.decode("ascii")
    return os.urandom(8).hex()
