"""What every previewer does that has the work done: here, or by a worker behind RabbitMQ."""

from __future__ import annotations

import asyncio
import io
import itertools
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from ipaddress import ip_network

import pytest
import pytest_asyncio
from PIL import Image

from micropic.adapters.address_guard import AddressGuard
from micropic.adapters.amqp_link import Broker
from micropic.adapters.amqp_previewer import AmqpPreviewer
from micropic.adapters.http_source import HttpSource, HttpSourceOptions
from micropic.domain.errors import (
    DeadlineExceeded,
    MicropicError,
    OriginRefused,
    OriginTimeout,
    RenderTimeout,
)
from micropic.domain.freshness import Policy
from micropic.domain.model import CacheResult, PreviewRequest
from micropic.domain.urls import DEFAULT, build_path, parse_path
from micropic.imaging.kinds import ACCEPT, Limits
from micropic.imaging.slots import RenderSlots, SlotOptions
from micropic.pipeline.local import Fetching, Local
from micropic.pipeline.quarantine import Quarantine, Strikes
from micropic.pipeline.traced import Untraced
from micropic.ports import Previewer
from micropic.services.intake import Bounds
from micropic.services.previewer import Worker
from micropic.services.tallies import Jobs
from tests.support.origin import Origin, Reply
from tests.support.pictures import photo
from tests.support.rabbitmq import RabbitMQ
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

OUT_OF_TIME = (DeadlineExceeded, OriginTimeout, RenderTimeout)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def local() -> AsyncIterator[Previewer]:
    options = HttpSourceOptions(accept=ACCEPT, user_agent="test", max_bytes=200_000)
    guard = AddressGuard([ip_network("127.0.0.0/8")])
    slots = SlotOptions(limits=Limits(pixels=1_000_000))
    async with HttpSource(guard, options) as source, RenderSlots(2, slots) as renderer:
        yield Local(Fetching(source, Policy()), Quarantine(Strikes(), 2.5, renderer))


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["local", "amqp"])
async def previewer(request: pytest.FixtureRequest, local: Previewer) -> AsyncIterator[Previewer]:
    if request.param == "local":
        yield local
        return
    rabbitmq: RabbitMQ = request.getfixturevalue("rabbitmq")
    broker = Broker(host="127.0.0.1", port=rabbitmq.port, queue="contract")
    bounds = Bounds(usual=8, most=8, workable=2)
    async with AsyncExitStack() as stack:
        worker = await stack.enter_async_context(Worker(broker, local, bounds, Jobs(), Untraced()))
        distant = await stack.enter_async_context(AmqpPreviewer(broker))
        await eventually(lambda: worker.ready and distant.ready)
        yield distant


def asked(source: str, size: str = "30/20", seconds: float = 20) -> PreviewRequest:
    transform, url, *_ = parse_path(f"/fill/{size}/{source}".encode(), b"", DEFAULT)
    key = build_path(transform, url)
    return PreviewRequest(transform, url, key=key, deadline=time.monotonic() + seconds)


async def test_a_preview_is_the_one_that_is_made_here(
    previewer: Previewer, local: Previewer, origin: Origin
) -> None:
    facts = {"ETag": '"é"', "Cache-Control": "max-age=77", "Last-Modified": "yesterday"}
    request = asked(origin.on("/owl.jpg", Reply(photo(), headers=facts)))
    expected = await local.preview(request)
    preview = await previewer.preview(request)
    assert preview == replace(expected, stored_at=preview.stored_at)
    assert (preview.lifetime, preview.source.etag) == (77, '"é"')
    assert abs(preview.stored_at - time.time()) < 20


async def test_it_says_how_long_each_step_took(previewer: Previewer, origin: Origin) -> None:
    preview = await previewer.preview(asked(origin.on("/owl.jpg", Reply(photo()))))
    assert preview.provenance.cache is CacheResult.MISS
    assert preview.provenance.fetch > 0
    assert preview.provenance.render > 0


async def test_a_large_preview_arrives_whole(previewer: Previewer, origin: Origin) -> None:
    source = origin.on("/owl.jpg", Reply(photo()))
    transform = asked(source).transform
    request = asked(f"q=100,f=png/{source}", "1500/1500")
    assert request.transform != transform
    preview = await previewer.preview(request)
    picture = Image.open(io.BytesIO(preview.body))
    picture.load()
    assert picture.size == (1500, 1500)


@pytest.mark.parametrize(
    "reply",
    [
        Reply(b"no", 404),
        Reply(b"no", 401, {"WWW-Authenticate": 'Basic realm="é"'}),
        Reply(b"no", 429, {"Retry-After": "7"}),
        Reply(b"no", 500),
        Reply(b"<!doctype html>"),
        Reply(photo()[:900]),
        Reply(photo(1200, 1200)),
        Reply(bytes(300_000)),
        Reply(photo(), cut_after=100),
        Reply(status=302, headers={"Location": "http://10.0.0.1/"}),
    ],
    ids=lambda reply: f"{reply.status}-{len(reply.body)}",
)
async def test_an_error_is_the_very_same(
    previewer: Previewer, local: Previewer, origin: Origin, reply: Reply
) -> None:
    request = asked(origin.on("/owl.jpg", reply))
    with pytest.raises(MicropicError) as expected:
        await local.preview(request)
    with pytest.raises(MicropicError) as met:
        await previewer.preview(request)
    assert type(met.value) is type(expected.value)
    assert met.value.to_wire() == expected.value.to_wire()


async def test_the_clients_headers_arrive_at_the_origin(
    previewer: Previewer, origin: Origin
) -> None:
    source = origin.on("/owl.jpg", Reply(photo()))
    await previewer.preview(replace(asked(source), headers=(("x-shop", "é"), ("x-shop", "b"))))
    assert origin.requests[-1].values("x-shop") == ["é".encode().decode("latin-1"), "b"]


async def test_each_of_many_gets_its_own(previewer: Previewer, origin: Origin) -> None:
    def answer(request: object) -> Reply:
        target = str(getattr(request, "target", ""))
        if target.endswith("missing"):
            return Reply(b"no", 404)
        return Reply(photo())

    source = origin.on("/owl.jpg", answer)
    sizes = [(10 + n, 60 - n) for n in range(50)]
    good = [asked(f"{source}?{w}", f"{w}/{h}") for w, h in sizes]
    bad = [asked(f"{source}?{w}-missing", f"{w}/{h}") for w, h in sizes]
    requests = itertools.chain.from_iterable(zip(good, bad, strict=True))
    outcomes = await asyncio.gather(
        *(previewer.preview(request) for request in requests), return_exceptions=True
    )
    for outcome, size in zip(outcomes[::2], sizes, strict=True):
        assert not isinstance(outcome, BaseException), outcome
        assert Image.open(io.BytesIO(outcome.body)).size == size
    assert {type(outcome) for outcome in outcomes[1::2]} == {OriginRefused}


async def test_the_deadline_is_kept(previewer: Previewer, origin: Origin) -> None:
    source = origin.on("/owl.jpg", Reply(photo(), gate=origin.gate()))
    started = time.monotonic()
    with pytest.raises(OUT_OF_TIME):
        await previewer.preview(asked(source, seconds=0.5))
    assert time.monotonic() - started < 1.0


async def test_what_is_late_from_the_start_is_not_begun(
    previewer: Previewer, origin: Origin
) -> None:
    source = origin.on("/owl.jpg", Reply(photo()))
    with pytest.raises(OUT_OF_TIME):
        await previewer.preview(asked(source, seconds=-1))
    await previewer.preview(asked(source))
    assert origin.targets == ["/owl.jpg"]


async def test_a_caller_that_leaves_breaks_nothing(previewer: Previewer, origin: Origin) -> None:
    gate = origin.gate()
    source = origin.on("/owl.jpg", Reply(photo(), gate=gate))
    leaving = asyncio.create_task(previewer.preview(asked(source)))
    await eventually(lambda: bool(origin.requests))
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    gate.open()
    assert (await previewer.preview(asked(source))).body
