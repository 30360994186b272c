"""What an origin sends beside its picture is bounded, whether it was asked for or not."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import AsyncIterator, Iterator
from ipaddress import ip_network

import aiohttp
import pytest

from micropic.adapters.address_guard import AddressGuard
from micropic.adapters.bounded_answer import BoundedConnector
from micropic.adapters.http_source import HttpSource, HttpSourceOptions
from micropic.domain.errors import OriginFailed
from micropic.domain.urls import parse_source
from tests.hostile.cases.base import CHUNKED, PHOTO, breaks, chunk, endless, head, says, whole
from tests.support.rude_origin import Act, RudeOrigins, Visit
from tests.support.waiting import wait_until


@pytest.fixture
def origins() -> Iterator[RudeOrigins]:
    with RudeOrigins({}) as origins:
        yield origins


@pytest.fixture
async def source() -> AsyncIterator[HttpSource]:
    """Give a source that has all the time there is."""
    guard = AddressGuard([ip_network("127.0.0.0/8")])
    options = HttpSourceOptions(accept="image/*", user_agent="tests", timeout=60)
    async with HttpSource(guard, options) as source:
        yield source


async def fetch(source: HttpSource, origins: RudeOrigins, act: Act) -> bytes | None:
    (place,) = origins.serve([act])
    return (await source.fetch(parse_source(place.encode()), (), math.inf)).body


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(endless(b"", b"\r\n" * 999), id="empty lines"),
        pytest.param(endless(b"", head(status=b"103 Early Hints")), id="answers before the answer"),
        pytest.param(endless(CHUNKED + b"5;a=", b"a" * 999), id="a chunk's extension"),
        pytest.param(endless(CHUNKED, b"1;" + b"a" * 999 + b"\r\na\r\n"), id="every chunk's"),
        pytest.param(endless(CHUNKED + b"0\r\n", b"A: b\r\n"), id="trailers"),
    ],
)
async def test_what_is_no_picture_ends_soon(
    source: HttpSource, origins: RudeOrigins, act: Act
) -> None:
    with pytest.raises(OriginFailed):
        await fetch(source, origins, act)
    await asyncio.to_thread(wait_until, lambda: not origins.visits)


async def test_who_reads_a_body_is_told_at_once_that_its_end_is_none(
    origins: RudeOrigins,
) -> None:
    begun = threading.Event()

    async def act(visit: Visit) -> None:
        await visit.asked()
        await visit.send(CHUNKED + chunk(PHOTO))
        await asyncio.to_thread(begun.wait)
        await visit.send(b"0\r\nX-A: " + b"a" * 9000)
        await visit.gone()

    (place,) = origins.serve([act])
    async with (
        aiohttp.ClientSession(connector=BoundedConnector()) as session,
        session.get(f"http://{place}", timeout=aiohttp.ClientTimeout(20)) as answer,
    ):
        assert await answer.content.readexactly(len(PHOTO)) == PHOTO
        rest = asyncio.create_task(answer.content.read())
        await asyncio.sleep(0)  # it waits
        begun.set()
        with pytest.raises(aiohttp.ClientPayloadError):
            await rest


async def test_who_answers_what_nobody_asked_is_hung_up_on(
    source: HttpSource, origins: RudeOrigins
) -> None:
    """The connection is kept for the next request to the origin, and what comes there as well."""
    fetched = threading.Event()

    async def act(visit: Visit) -> None:
        await visit.asked()
        await visit.send(whole(PHOTO))
        await asyncio.to_thread(fetched.wait)
        while True:
            await visit.send(whole(b"", status=b"404 No"))

    assert await fetch(source, origins, act) == PHOTO
    fetched.set()
    await asyncio.to_thread(wait_until, lambda: not origins.visits, 5.0)


@pytest.mark.parametrize("size", [8, 100, 5000])
async def test_a_picture_may_come_in_small_chunks(
    source: HttpSource, origins: RudeOrigins, size: int
) -> None:
    pieces = [PHOTO[start : start + size] for start in range(0, len(PHOTO), size)]
    body = b"".join(map(chunk, pieces))
    assert await fetch(source, origins, says(CHUNKED + body + b"0\r\n\r\n")) == PHOTO


async def test_a_body_that_its_connection_ends_is_whole_only_if_that_was_closed(
    source: HttpSource, origins: RudeOrigins
) -> None:
    assert await fetch(source, origins, says(head() + PHOTO)) == PHOTO
    with pytest.raises(OriginFailed, match="before the answer was whole"):
        await fetch(source, origins, breaks(head() + PHOTO))
