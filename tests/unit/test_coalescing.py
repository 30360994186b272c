from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest

from micropic.domain.errors import (
    MicropicError,
    NotAnImage,
    NotCached,
    OriginRefused,
    OriginTimeout,
    Overloaded,
    SourceTooLarge,
)
from micropic.domain.model import Preview, PreviewRequest
from micropic.domain.urls import DEFAULT, build_path, parse_path
from micropic.pipeline.admission import Admission, Gate
from micropic.pipeline.coalescing import Coalescing
from tests.support.waiting import turns

TRANSFORM, SOURCE, *_ = parse_path(b"/fill/30/20/a.example/x", b"", DEFAULT)


class Inner:
    """Answers each request when it is told to."""

    def __init__(self) -> None:
        self.calls: list[asyncio.Future[Preview]] = []

    async def preview(self, request: PreviewRequest) -> Preview:
        assert request.source == SOURCE
        self.calls.append(asyncio.get_running_loop().create_future())
        return await self.calls[-1]


def asked(agent: str = "a", left: float = 60.0) -> PreviewRequest:
    key = build_path(TRANSFORM, SOURCE)
    headers = (("user-agent", agent),)
    return PreviewRequest(TRANSFORM, SOURCE, key, headers=headers, deadline=time.monotonic() + left)


def made(lifetime: float = 60.0) -> Preview:
    return Preview(b"x", "image/jpeg", 0.0, lifetime)


async def test_equal_requests_are_joined_and_told_so() -> None:
    inner = Inner()
    stack = Coalescing(inner)
    tasks = [asyncio.create_task(stack.preview(asked(str(n)))) for n in range(5)]
    await turns(lambda: bool(inner.calls))
    inner.calls[0].set_result(made())
    collapsed = [(await task).provenance.collapsed for task in tasks]
    assert collapsed == [False, True, True, True, True]
    assert len(inner.calls) == 1


async def test_who_wants_what_is_kept_alone_is_not_joined_by_others() -> None:
    """It would hand them its refusal."""
    inner = Inner()
    stack = Coalescing(inner)
    only = asyncio.create_task(stack.preview(replace(asked(), only_if_cached=True)))
    await turns(lambda: bool(inner.calls))
    other = asyncio.create_task(stack.preview(asked()))
    await turns(lambda: len(inner.calls) == 2)
    inner.calls[0].set_exception(NotCached("not here"))
    inner.calls[1].set_result(made())
    with pytest.raises(NotCached):
        await only
    assert not (await other).provenance.collapsed


async def test_one_who_leaves_does_not_stop_the_others_and_the_last_one_does() -> None:
    inner = Inner()
    stack = Coalescing(inner)
    first, second = (asyncio.create_task(stack.preview(asked())) for _ in range(2))
    await turns(lambda: bool(inner.calls))
    first.cancel()
    await asyncio.wait([first])
    assert not inner.calls[0].cancelled()
    second.cancel()
    await turns(inner.calls[0].cancelled)


async def test_what_no_cache_may_keep_is_not_shared() -> None:
    inner = Inner()
    stack = Coalescing(inner)
    tasks = [asyncio.create_task(stack.preview(asked(agent))) for agent in "ab"]
    await turns(lambda: bool(inner.calls))
    inner.calls[0].set_result(made(lifetime=0))
    await turns(lambda: len(inner.calls) == 2)
    inner.calls[1].set_result(made())
    assert not (await tasks[1]).provenance.collapsed


@pytest.mark.parametrize(
    "error", [OriginRefused("no", 403, {}), SourceTooLarge("no"), NotAnImage("no")]
)
async def test_a_refusal_is_shared_only_among_equal_headers(error: MicropicError) -> None:
    inner = Inner()
    stack = Coalescing(inner)
    tasks = [asyncio.create_task(stack.preview(asked(agent))) for agent in "aab"]
    await turns(lambda: bool(inner.calls))
    inner.calls[0].set_exception(error)
    await turns(lambda: len(inner.calls) == 2)
    inner.calls[1].set_result(made())
    for task in tasks[:2]:
        with pytest.raises(type(error)):
            await task
    assert (await tasks[2]).body == b"x"


async def test_a_timeout_of_the_first_is_not_that_of_who_came_later() -> None:
    inner = Inner()
    stack = Coalescing(inner)
    early = asyncio.create_task(stack.preview(asked(left=0)))
    await turns(lambda: bool(inner.calls))
    late = [asyncio.create_task(stack.preview(asked())) for _ in range(3)]
    await asyncio.sleep(0)
    inner.calls[0].set_exception(OriginTimeout("slow"))
    with pytest.raises(OriginTimeout):
        await early
    await turns(lambda: len(inner.calls) == 2)
    inner.calls[1].set_result(made())
    assert [(await task).body for task in late] == [b"x"] * 3
    assert len(inner.calls) == 2


async def test_a_request_in_the_very_turn_of_a_timeout_does_not_spin() -> None:
    inner = Inner()
    stack = Coalescing(inner)
    early = asyncio.create_task(stack.preview(asked(left=0)))
    await turns(lambda: bool(inner.calls))
    inner.calls[0].set_exception(OriginTimeout("slow"))
    late = asyncio.create_task(stack.preview(asked()))
    await turns(lambda: len(inner.calls) == 2)
    inner.calls[1].set_result(made())
    assert (await late).body == b"x"
    with pytest.raises(OriginTimeout):
        await early


async def test_who_begins_is_let_in_or_not_and_who_joins_is_not_asked() -> None:
    inner, asked_in = Inner(), list[PreviewRequest]()

    def once(request: PreviewRequest) -> None:
        asked_in.append(request)
        if len(asked_in) > 1:
            msg = "too much"
            raise Overloaded(msg)

    stack = Coalescing(inner, once)
    tasks = [asyncio.create_task(stack.preview(asked(str(n)))) for n in range(3)]
    await turns(lambda: bool(inner.calls))
    assert len(asked_in) == 1
    inner.calls[0].set_result(made())
    assert [(await task).body for task in tasks] == [b"x"] * 3
    with pytest.raises(Overloaded):
        await stack.preview(asked())
    assert len(inner.calls) == 1


async def test_one_more_than_the_limit_is_refused_at_once() -> None:
    inner = Inner()
    stack = Admission(Gate(2), inner)
    tasks = [asyncio.create_task(stack.preview(asked())) for _ in range(2)]
    await turns(lambda: len(inner.calls) == 2)
    with pytest.raises(Overloaded):
        await stack.preview(asked())
    for call in inner.calls:
        call.set_result(made())
    await asyncio.gather(*tasks)
    third = asyncio.create_task(stack.preview(asked()))
    await turns(lambda: len(inner.calls) == 3)
    inner.calls[2].set_result(made())
    assert (await third).body == b"x"


async def test_nobody_joins_who_wants_nothing_made() -> None:
    inner = Inner()
    stack = Coalescing(inner)
    first = asyncio.create_task(stack.preview(replace(asked(), only_if_cached=True)))
    second = asyncio.create_task(stack.preview(asked()))
    await turns(lambda: len(inner.calls) == 2)
    for call in inner.calls:
        call.set_result(made())
    assert [(await task).body for task in (first, second)] == [b"x", b"x"]
