from __future__ import annotations

import hashlib
import math
from collections.abc import AsyncIterator
from ipaddress import ip_network

import pytest

from micropic.adapters.address_guard import AddressGuard
from micropic.adapters.http_source import HttpSource, HttpSourceOptions
from micropic.adapters.sample_source import SampleSource, sample_names
from micropic.domain.errors import OriginRefused
from micropic.domain.model import SourceUrl
from micropic.domain.urls import parse_source
from micropic.imaging.kinds import Kind, sniff
from micropic.ports import Source
from tests.support.origin import Origin, Reply
from tests.support.pictures import photo


@pytest.fixture(params=["http", "sample"])
async def place(
    request: pytest.FixtureRequest, origin: Origin
) -> AsyncIterator[tuple[Source, SourceUrl, SourceUrl]]:
    """Give a source, where it has a picture, and where it has none."""
    if request.param == "sample":
        there, nowhere = f"sample:{sample_names()[0]}", "sample:none.jpg"
        yield SampleSource(), parse_source(there.encode()), parse_source(nowhere.encode())
        return
    guard = AddressGuard([ip_network("127.0.0.0/8")])
    there, nowhere = origin.on("/a.jpg", Reply(photo())), f"{origin.authority}/none"
    async with HttpSource(guard, HttpSourceOptions(accept="image/*", user_agent="tests")) as source:
        yield source, parse_source(there.encode()), parse_source(nowhere.encode())


Place = tuple[Source, SourceUrl, SourceUrl]


async def test_a_picture_comes_whole_with_its_hash(place: Place) -> None:
    source, there, _ = place
    picture = await source.fetch(there, (), math.inf)
    assert picture.body
    assert sniff(picture.body) is Kind.JPEG
    assert picture.facts.sha256 == hashlib.sha256(picture.body).hexdigest()


async def test_what_is_not_there_is_refused_as_404(place: Place) -> None:
    source, _, nowhere = place
    with pytest.raises(OriginRefused) as refused:
        await source.fetch(nowhere, (), math.inf)
    assert refused.value.status == 404


async def test_the_same_picture_comes_twice(place: Place) -> None:
    source, there, _ = place
    assert await source.fetch(there, (), math.inf) == await source.fetch(there, (), math.inf)
