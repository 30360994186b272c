"""One HTTP request and its answer, as the log and the metrics have them."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from micropic.domain import masking
from micropic.domain.model import Provenance
from micropic.web.responses import Response

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
        self.provenance: Provenance | None = None
        """That of the preview, if one was the answer."""

    async def answer(self, response: Response) -> None:
        """Send a whole answer; without its body where HEAD was asked."""
        body = b"" if self._scope["method"] == "HEAD" else response.body
        self.status, self.bytes = response.status, len(body)
        headers = [*response.headers, (b"x-request-id", self.request_id.encode())]
        if response.status != HTTPStatus.NOT_MODIFIED:  # RFC 9110, 8.6: it would be the body's
            headers.append((b"content-length", b"%d" % len(response.body)))
        await self._send(
            {"type": "http.response.start", "status": response.status, "headers": headers}
        )
        await self._send({"type": "http.response.body", "body": body})

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
        shortened = {"path_bytes": len(target)} if len(target) > masking.LONGEST else {}
        return {
            "method": self._scope["method"],
            "path": masking.text(target),
            **shortened,
            "status": self.status,
            "duration_ms": round(seconds * 1000, 2),
            "bytes": self.bytes,
            "cache": self.provenance.cache.value if self.provenance else "none",
            "client": self.client,
            "request_id": self.request_id,
        }


def _request_id(fields: Sequence[tuple[bytes, bytes]]) -> str:
    """Take the client's X-Request-Id if it can stand in a log, or make one."""
    for name, value in fields:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return value.decode("ascii")
    return os.urandom(8).hex()
