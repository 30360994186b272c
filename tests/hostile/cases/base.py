"""What the rows of the table are made of."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.support.pictures import photo
from tests.support.rude_origin import Act, Visit

SHOWN = "200"
NO_ADDRESS = "400 bad_request"
FORBIDDEN = "403 source_forbidden"
TOO_LARGE = "413 source_too_large"
TOO_MANY_PIXELS = "413 too_many_pixels"
NO_IMAGE = "415 not_an_image"
BROKEN = "422 broken_image"
FAILED = "502 origin_failed"
TIMEOUT = "504 origin_timeout"
LOOP = "508 loop_detected"

PAYLOAD = b"EVIL-PAYLOAD"
"""Stands in what an origin smuggles along; no answer may hold it."""
PHOTO = photo()
LIMIT = 1024**2
"""Bytes: `source.max_bytes` of the services that are asked."""


@dataclass(frozen=True, slots=True)
class Case:
    """One bad thing that an origin does, and what a client is to be told."""

    name: str
    does: str
    expected: str
    act: Act
    source: str = "{here}/a"
    """With the names of places; `here` is where the origin is."""
    options: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Those of the client."""


# --- bytes -----------------------------------------------------------------------------------


def head(*fields: bytes, status: bytes = b"200 OK", version: bytes = b"HTTP/1.1") -> bytes:
    """Give a status line and fields."""
    return b"\r\n".join([version + b" " + status, *fields, b"", b""])


def whole(body: bytes, *fields: bytes, status: bytes = b"200 OK") -> bytes:
    """Give a whole answer."""
    return head(*fields, b"Content-Length: %d" % len(body), status=status) + body


def chunk(body: bytes) -> bytes:
    """Give one chunk."""
    return b"%x\r\n%b\r\n" % (len(body), body)


CHUNKED = head(b"Transfer-Encoding: chunked")


# --- acts ------------------------------------------------------------------------------------


def says(data: bytes) -> Act:
    """Answer the same to every request, then close."""

    async def act(visit: Visit) -> None:
        if await visit.asked():
            await visit.send(data)

    return act


def shows(body: bytes, *fields: bytes) -> Act:
    """Answer with a body as HTTP has it."""
    return says(whole(body, *fields))


def stays(data: bytes) -> Act:
    """Answer, and close no more."""

    async def act(visit: Visit) -> None:
        if await visit.asked():
            await visit.send(data)
            await visit.gone()

    return act


def breaks(data: bytes) -> Act:
    """Answer, and break the connection off."""

    async def act(visit: Visit) -> None:
        await visit.asked()
        await visit.send(data)
        visit.reset()

    return act


def trickles(fast: bytes, slow: bytes) -> Act:
    """Answer fast first, then a byte at a time."""

    async def act(visit: Visit) -> None:
        if await visit.asked():
            await visit.send(fast)
            await visit.trickle(slow)
            await visit.gone()

    return act


def endless(first: bytes, again: bytes) -> Act:
    """Send `again` for as long as anybody listens."""

    async def act(visit: Visit) -> None:
        if await visit.asked():
            await visit.send(first)
            while True:
                await visit.send(again)

    return act


def moves(location: bytes, *fields: bytes, status: bytes = b"302 Found") -> Act:
    """Redirect `/a`, with the names of places in its location; show a picture anywhere else.

    It is a 404 where what comes then is no clean request.
    """

    async def act(visit: Visit) -> None:
        while await visit.asked():
            if visit.target == "/a":
                where = location.decode("latin-1")
                for name, place in visit.places.items():
                    where = where.replace(f"{{{name}}}", place)
                there = b"Location: " + where.encode("latin-1")
                await visit.send(whole(b"", there, *fields, status=status))
            elif is_clean(visit.head):
                await visit.send(whole(PHOTO))
            else:
                await visit.send(whole(b"", status=b"404 Not Found"))

    return act


def is_clean(request: bytes) -> bool:
    """Tell whether a request holds nothing that an origin may have put there."""
    return (
        re.fullmatch(rb"GET [!-~]+ HTTP/1\.1\r\n(?:[!-9;-~]+: [ -~]*\r\n)+\r\n", request)
        is not None
        and b"cookie" not in request.lower()
        and b"x-evil" not in request.lower().partition(b"\r\n")[2]
    )
