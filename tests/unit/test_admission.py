from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest

from micropic.domain.errors import DeadlineExceeded, Overloaded
from micropic.domain.model import Preview, PreviewRequest, Provenance, SourceFacts
from micropic.domain.render_line import RenderLine
from micropic.domain.urls import DEFAULT, build_path, parse_path
from micropic.domain.waiting import Backlog, Line
from micropic.pipeline.admission import BacklogAdmission, FetchAdmission, RenderAdmission, admit
from tests.support.waiting import turns

TRANSFORM, SOURCE, *_ = parse_path(b"/fill/30/20/a.example/x", b"", DEFAULT)
KEY = build_path(TRANSFORM, SOURCE)
MOST = 2.5


class Inner:
    """Answers each request when it is told to."""

    def __init__(self) -> None:
        self.calls: list[asyncio.Future[Preview]] = []

    async def preview(self, _: PreviewRequest) -> Preview:
        self.calls.append(asyncio.get_running_loop().create_future())
        return await self.calls[-1]


def asked(left: float = 60.0) -> PreviewRequest:
    return PreviewRequest(TRANSFORM, SOURCE, key=KEY, deadline=time.monotonic() + left)


def made(queue: float = 0.0, *, collapsed: bool = False) -> Preview:
    provenance = Provenance(queue=queue, render=0.01, collapsed=collapsed)
    return Preview(b"x", "image/jpeg", 0.0, 60.0, provenance=provenance)


def make_busy(renders: RenderLine) -> None:
    """Have the process at work, and somebody wait for it."""
    turn = renders.join(0.0, "", 0.01)
    renders.leave(turn, 0.0)
    renders.begin(turn)
    renders.join(0.0, "", 0.01)


async def test_sources_wait_for_their_turn_and_who_leaves_takes_none() -> None:
    inner, fetches = Inner(), Line(1, MOST)
    stack = FetchAdmission(fetches, RenderLine(1, MOST), inner)
    first, leaver, last = (asyncio.create_task(stack.preview(asked())) for _ in range(3))
    await turns(lambda: fetches.apart == 2)  # all are of one origin
    assert (fetches.busy, len(inner.calls)) == (1, 1)
    leaver.cancel()
    await turns(lambda: fetches.apart == 1)
    inner.calls[0].set_result(made())
    await turns(lambda: len(inner.calls) == 2)
    inner.calls[1].set_result(made())
    assert [(await task).body for task in (first, last)] == [b"x", b"x"]
    assert (fetches.busy, fetches.waiting, fetches.apart) == (0, 0, 0)


async def test_one_client_does_not_take_all_fetches_by_many_origins() -> None:
    inner, fetches = Inner(), Line(8, MOST)
    stack = FetchAdmission(fetches, RenderLine(99, MOST), inner)
    sources = [parse_path(f"/fill/30/20/h{n}.example/x".encode(), b"", DEFAULT).source
               for n in range(9)]  # fmt: skip
    hanging = [
        asyncio.create_task(stack.preview(replace(asked(), source=source, client="stranger")))
        for source in sources
    ]
    await turns(lambda: fetches.apart == 2)
    assert len(inner.calls) == 7
    task = asyncio.create_task(stack.preview(replace(asked(), client="another")))
    await turns(lambda: len(inner.calls) == 8)
    inner.calls[7].set_result(made())
    await task
    for waiting in hanging:
        waiting.cancel()
    await asyncio.gather(*hanging, return_exceptions=True)
    assert (fetches.busy, fetches.waiting, fetches.apart) == (0, 0, 0)


async def test_one_origin_does_not_take_all_fetches_and_holds_up_no_other() -> None:
    inner, fetches = Inner(), Line(4, MOST)
    stack = FetchAdmission(fetches, RenderLine(9, MOST), inner)
    _, other, *_ = parse_path(b"/fill/30/20/b.example/x", b"", DEFAULT)
    hanging = [asyncio.create_task(stack.preview(asked())) for _ in range(6)]
    await turns(lambda: fetches.apart == 3)
    assert len(inner.calls) == 3
    task = asyncio.create_task(stack.preview(replace(asked(), source=other)))
    await turns(lambda: len(inner.calls) == 4)
    inner.calls[3].set_result(made())
    await task
    for number in (0, 1, 2, 4, 5, 6):
        await turns(lambda number=number: len(inner.calls) > number)  # type: ignore[misc]
        inner.calls[number].set_result(made())
    await asyncio.gather(*hanging)
    assert (fetches.busy, fetches.waiting, fetches.apart) == (0, 0, 0)


async def test_who_would_wait_too_long_for_its_origin_is_refused_and_counted() -> None:
    inner, fetches = Inner(), Line(4, 0.0)
    stack = FetchAdmission(fetches, RenderLine(99, MOST), inner)
    tasks = [asyncio.create_task(stack.preview(asked())) for _ in range(9)]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    assert fetches.door.refused > 0
    for task in tasks:
        task.cancel()
    refused = await asyncio.gather(*tasks, return_exceptions=True)
    assert any(isinstance(each, Overloaded) for each in refused)


async def test_public_renders_that_wait_refuse_no_private_request() -> None:
    inner, public, private = Inner(), RenderLine(1, 0.0), RenderLine(1, 0.0)
    stack = FetchAdmission(Line(9, MOST), public, inner, private)
    for _ in range(3):
        make_busy(public)
    with pytest.raises(Overloaded):
        await stack.preview(asked())
    task = asyncio.create_task(stack.preview(replace(asked(), private=True)))
    await turns(lambda: bool(inner.calls))
    inner.calls[0].set_result(made())
    assert (await task).body == b"x"


async def test_a_source_whose_turn_comes_too_late_is_not_fetched() -> None:
    inner = Inner()
    stack = FetchAdmission(Line(1, MOST), RenderLine(1, MOST), inner)
    first = asyncio.create_task(stack.preview(asked()))
    await turns(lambda: bool(inner.calls))
    with pytest.raises(DeadlineExceeded):
        await stack.preview(asked(left=0.05))
    inner.calls[0].set_result(made())
    await first
    assert len(inner.calls) == 1


async def test_a_source_that_could_not_be_rendered_in_time_is_not_looked_for() -> None:
    inner, renders = Inner(), RenderLine(1, 0.0)
    stack = RenderAdmission(renders, inner)
    tasks = [asyncio.create_task(stack.preview(asked())) for _ in range(2)]
    await turns(lambda: len(inner.calls) == 2)
    assert renders.coming == 2
    make_busy(renders)
    with pytest.raises(Overloaded):
        await stack.preview(asked())
    inner.calls[0].set_result(made())
    inner.calls[1].set_exception(DeadlineExceeded("late"))
    await asyncio.gather(*tasks, return_exceptions=True)
    assert renders.coming == 0


async def test_what_may_be_found_unchanged_needs_no_place_among_those_to_be_rendered() -> None:
    inner, renders = Inner(), RenderLine(1, 0.0)
    make_busy(renders)
    stack = RenderAdmission(renders, FetchAdmission(Line(1, MOST), renders, inner))
    kept = replace(made(), source=SourceFacts(etag='"a"'))
    request = replace(asked(), stale=kept)
    admit(renders, request)
    task = asyncio.create_task(stack.preview(request))
    await turns(lambda: bool(inner.calls))
    inner.calls[0].set_result(made())
    await task
    for stale in (None, made()):
        with pytest.raises(Overloaded):
            admit(renders, replace(asked(), stale=stale))


async def test_answers_tell_how_long_the_next_one_would_wait(now: list[float]) -> None:
    inner, backlog = Inner(), Backlog(MOST)
    stack = BacklogAdmission(backlog, Backlog(MOST), inner)
    tasks = [asyncio.create_task(stack.preview(asked())) for _ in range(40)]
    await turns(lambda: len(inner.calls) == 40)
    for call in inner.calls[:20]:  # of another's work, which tells nothing
        call.set_result(made(60.0, collapsed=True))
    await asyncio.gather(*tasks[:20])
    tasks.append(asyncio.create_task(stack.preview(asked())))
    await turns(lambda: len(inner.calls) == 41)
    now[0] += 50.0
    for call in inner.calls[20:30]:
        call.set_result(made(40.0))
    await asyncio.gather(*tasks[20:30])
    with pytest.raises(Overloaded):
        await stack.preview(asked())
    for call in inner.calls[30:]:
        call.set_result(made())
    await asyncio.gather(*tasks)
    assert backlog.inside == 0


async def test_nobody_is_believed_to_have_waited_for_longer_than_it_took() -> None:
    """A worker whose clock is ahead tells of waits that never were."""
    inner, backlog = Inner(), Backlog(MOST)
    stack = BacklogAdmission(backlog, Backlog(MOST), inner)
    for _ in range(3):
        tasks = [asyncio.create_task(stack.preview(asked())) for _ in range(10)]
        await turns(lambda: backlog.inside == len(inner.calls) == 10)
        for call in inner.calls:
            call.set_result(made(3600.0))
        await asyncio.gather(*tasks)
        inner.calls.clear()
    began = time.monotonic()
    assert [backlog.enter(began, began + 60) for _ in range(5)] == [0, 1, 2, 3, 4]


async def test_who_had_no_answer_in_time_has_waited_for_that_long() -> None:
    inner, backlog = Inner(), Backlog(0.0)
    stack = BacklogAdmission(backlog, Backlog(MOST), inner)
    tasks = [asyncio.create_task(stack.preview(asked())) for _ in range(3)]
    await turns(lambda: len(inner.calls) == 3)
    inner.calls[1].set_exception(DeadlineExceeded("late"))
    with pytest.raises(DeadlineExceeded):
        await tasks[1]
    # With no time to wait at all, the next one is let in only while there is no wait.
    backlog.answered(0.0, 10, 100.0)
    with pytest.raises(Overloaded):
        await stack.preview(asked())
    for call in (inner.calls[0], inner.calls[2]):
        call.set_result(made())
    await asyncio.gather(tasks[0], tasks[2])
    assert backlog.inside == 0


async def test_long_renders_have_a_backlog_of_their_own() -> None:
    """What they wait for each other says nothing of how long a short one would wait."""
    inner, short, long = Inner(), Backlog(MOST), Backlog(0.0)
    long.answered(0.0, 10, 100.0)
    stack = BacklogAdmission(short, long, inner)
    heavy, source, *_ = parse_path(b"/fill/4000/4000/sharpen=5/a.example/x", b"", DEFAULT)
    request = PreviewRequest(heavy, source, key="", deadline=time.monotonic() + 60)
    tasks = [asyncio.create_task(stack.preview(each)) for each in (request, asked())]
    await turns(lambda: (short.inside, long.inside) == (1, 1))
    with pytest.raises(Overloaded):
        await stack.preview(request)
    for call in inner.calls:
        call.set_result(made())
    await asyncio.gather(*tasks)
    assert short.door.refused == 0
