"""An HTTP client that sends what it is given, byte for byte."""

from __future__ import annotations

import http.client
import io
import json
import socket
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from email.message import Message
from typing import Any, Self

from PIL import Image

_TIMEOUT = 60.0
"""Seconds after which an answer will not come any more."""

Fields = Mapping[str, str] | Iterable[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer."""

    status: int
    headers: Message
    body: bytes

    @property
    def problem(self) -> dict[str, Any]:
        """The problem of an error (RFC 9457)."""
        assert self.headers["Content-Type"] == "application/problem+json", self
        problem: dict[str, Any] = json.loads(self.body)
        assert problem["status"] == self.status
        return problem

    @property
    def error(self) -> tuple[int, str]:
        """Status and code of a problem."""
        return self.status, self.problem["code"]

    @property
    def picture(self) -> Image.Image:
        """The picture, decoded to its last pixel."""
        assert self.status == 200, (self.status, self.body)
        picture = Image.open(io.BytesIO(self.body))
        picture.load()
        return picture

    @property
    def cache_status(self) -> str:
        """Cache-Status (RFC 9211) of a preview, but for how long it is fresh still."""
        assert self.status == 200, (self.status, self.body)
        return self.headers["Cache-Status"].partition("; ttl=")[0]


def ask(  # noqa: PLR0913, PLR0917 # what a request is made of
    port: int,
    target: str,
    headers: Fields = (),
    method: str = "GET",
    host: str = "127.0.0.1",
    body: bytes = b"",
) -> Answer:
    """Send one request on a connection of its own and read the whole answer."""
    connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT)
    try:
        connection.putrequest(method, target, skip_accept_encoding=True)
        for name, value in headers.items() if isinstance(headers, Mapping) else headers:
            connection.putheader(name, value)
        if body:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body or None)
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read())
    finally:
        connection.close()


def send(port: int, request: bytes, host: str = "127.0.0.1") -> Answer:
    """Send bytes that may be no HTTP at all, and read the whole answer."""
    with socket.create_connection((host, port), _TIMEOUT) as connection:
        connection.sendall(request)
        with http.client.HTTPResponse(connection) as response:
            response.begin()
            return Answer(response.status, response.headers, response.read())


class Crowd:
    """Many clients at the same time; a context manager."""

    def __init__(self, port: int, clients: int) -> None:
        self._port = port
        self._pool = ThreadPoolExecutor(clients)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()

    def ask(self, target: str, headers: Fields = ()) -> Future[Answer]:
        """Have one of the clients ask."""
        return self._pool.submit(ask, self._port, target, headers)
