"""HTTP/1.1 answers as aiohttp reads them, with the bounds that it lacks."""

from __future__ import annotations

import functools
from typing import Any, cast

import aiohttp
from aiohttp.client_proto import ResponseHandler

_MOST = 64 * 1024
"""Bytes of an answer beyond twice those of its body."""


class TooMuchFraming(aiohttp.ClientPayloadError):
    """The answer is more header and framing than picture."""


class BoundedConnector(aiohttp.TCPConnector):
    """Reads answers by `BoundedAnswer`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        made = functools.partial(BoundedAnswer, loop=self._loop)
        self._factory = cast("functools.partial[ResponseHandler]", made)


class BoundedAnswer(ResponseHandler):
    """Breaks off an answer that has far more header and framing than body, and one that was cut.

    aiohttp bounds each header field, and how many there are. It takes empty lines, answers before
    the answer (1xx), chunk extensions and trailers without end, and what an origin sends unasked
    on a connection that nobody uses. Where a body ends with its connection, a broken one counts
    for aiohttp like one that was closed; what is no chunk or trailer, like nothing yet.
    """

    _received = 0

    def set_response_params(self, **params: Any) -> None:
        """Count anew with each request."""
        self._received = 0
        super().set_response_params(**params)

    def data_received(self, data: bytes) -> None:
        """Count what comes, beside the body."""
        super().data_received(data)
        self._received += len(data)
        body = 0 if self._payload is None else self._payload.total_bytes
        if self._received - 2 * body > _MOST:
            self.set_exception(TooMuchFraming("too much of it is no body"))
            if self.transport is not None:  # not self.abort(), which would forget why
                self.transport.abort()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Tell a connection that broke from one that was closed."""
        if exc is not None and self._payload is not None and not self._payload.is_eof():
            self.set_exception(aiohttp.ClientPayloadError(str(exc)))
        super().connection_lost(exc)

    def set_exception(self, exc: BaseException, *cause: BaseException) -> None:
        """Tell whoever reads the body, too; aiohttp leaves that one waiting for the end."""
        body = self._payload
        if body is not None and not body.is_eof() and body.exception() is None:
            known = isinstance(exc, aiohttp.ClientPayloadError | TimeoutError)
            body.set_exception(exc if known else aiohttp.ClientPayloadError(str(exc)))
        super().set_exception(exc, *cause)
