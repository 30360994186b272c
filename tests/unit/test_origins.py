from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace

import aiohttp
import pytest

from micropic.adapters.address_guard import AddressRefused
from micropic.adapters.origins import Origins, _Path
from micropic.domain.errors import OriginFailed, Overloaded
from micropic.domain.model import SourceUrl
from micropic.domain.urls import parse_source
from tests.support.waiting import turns

PATIENCE = 2.0
A, B = parse_source(b"a.example/x"), parse_source(b"b.example/x")

Answered = Callable[[], None]


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def origins(clock: Clock) -> Origins:
    return Origins(2, PATIENCE, clock)


def no_connection(reason: OSError | None = None) -> aiohttp.ClientConnectorError:
    key = SimpleNamespace(host="h", port=80, ssl=None)
    return aiohttp.ClientConnectorError(key, reason or OSError(111, "refused"))  # type: ignore[arg-type]


async def visit(
    origins: Origins,
    error: BaseException,
    then: Callable[[Answered], Awaitable[None]],
    url: SourceUrl = A,
) -> None:
    async with origins.visit(url) as answered:
        await then(answered)
        raise error


async def nothing(_: Answered) -> None:
    pass


async def fail(
    origins: Origins,
    error: BaseException,
    times: int = 1,
    then: Callable[[Answered], Awaitable[None]] = nothing,
) -> None:
    for _ in range(times):
        with pytest.raises(type(error)):
            await visit(origins, error, then)


async def answer(origins: Origins, url: SourceUrl = A) -> None:
    async with origins.visit(url) as answered:
        answered()


async def test_an_origin_that_cannot_be_connected_to_is_left_alone_then_tried_once(
    origins: Origins, clock: Clock
) -> None:
    await fail(origins, no_connection(), 5)
    with pytest.raises(OriginFailed) as refused:
        await answer(origins)
    assert refused.value.retry_after == 5
    async with origins.visit(B):
        pass
    clock.now += 5
    async with origins.visit(A) as answered:
        with pytest.raises(OriginFailed):  # one tries, the others do not wait for what it finds
            await answer(origins)
        answered()
    await answer(origins)
    assert origins.left_alone == 0


async def test_a_try_that_fails_lets_the_pause_begin_anew(origins: Origins, clock: Clock) -> None:
    await fail(origins, no_connection(), 5)
    clock.now += 5
    await fail(origins, no_connection())
    with pytest.raises(OriginFailed):
        await answer(origins)


async def test_it_is_told_how_many_are_left_alone(origins: Origins) -> None:
    await fail(origins, no_connection(), 4)
    assert origins.left_alone == 0
    await fail(origins, no_connection())
    assert origins.left_alone == 1


async def test_only_so_many_wait_for_one_origin(origins: Origins) -> None:
    leave = asyncio.Event()

    async def stay() -> None:
        async with origins.visit(A):
            await leave.wait()

    there = [asyncio.create_task(stay()) for _ in range(8)]  # two at a time, and six who wait
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await answer(origins)
    async with origins.visit(B):
        pass
    leave.set()
    await asyncio.gather(*there)
    await answer(origins)


async def test_an_answer_between_faults_makes_all_good(origins: Origins) -> None:
    await fail(origins, no_connection(), 4)
    await answer(origins)
    await fail(origins, no_connection(), 4)
    await answer(origins)


@pytest.mark.parametrize(
    "error",
    [
        no_connection(AddressRefused()),
        aiohttp.ServerDisconnectedError(),
        ValueError(),
        asyncio.CancelledError(),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_what_is_not_the_origins_fault_does_not_count(
    origins: Origins, error: BaseException
) -> None:
    await fail(origins, error, 9)
    await answer(origins)


def at(path: str) -> SourceUrl:
    return parse_source(f"a.example/{path}".encode())


async def hang(origins: Origins, clock: Clock, url: SourceUrl = A) -> None:
    async def wait(_: Answered) -> None:
        clock.now += PATIENCE

    with pytest.raises(asyncio.CancelledError):
        await visit(origins, asyncio.CancelledError(), wait, url)


async def test_paths_that_never_answered_do_not_open_the_breaker(
    origins: Origins, clock: Clock
) -> None:
    await answer(origins)
    for number in range(99):
        await hang(origins, clock, at(f"slow?{number}"))
    assert origins.left_alone == 0
    await answer(origins)


async def test_one_path_that_hangs_after_it_answered_does_not_open_the_breaker(
    origins: Origins, clock: Clock
) -> None:
    for number in range(9):
        await answer(origins, at(f"good/{number}"))
    for _ in range(99):
        await hang(origins, clock, at("good/0"))
    assert origins.left_alone == 0


@pytest.mark.parametrize("paths", [1, 3, 5, 9])
async def test_an_origin_whose_good_paths_fall_silent_is_left_alone(
    origins: Origins, clock: Clock, paths: int
) -> None:
    for number in range(paths):
        await answer(origins, at(f"good/{number}"))
    for number in range(5):
        assert origins.left_alone == 0
        await hang(origins, clock, at(f"good/{number % paths}"))
    assert origins.left_alone == 1


async def test_a_path_that_hangs_takes_no_try_from_those_that_answered(
    origins: Origins, clock: Clock
) -> None:
    await answer(origins)
    for _ in range(5):
        await hang(origins, clock)
    clock.now += 5
    await hang(origins, clock, at("slow"))
    with pytest.raises(OriginFailed):
        await answer(origins, at("slow"))
    await answer(origins)
    assert origins.left_alone == 0


async def test_what_hangs_leaves_places_for_paths_that_answered() -> None:
    origins = Origins(8, PATIENCE)
    await answer(origins)
    hanging = [asyncio.create_task(_stay(origins, at(f"{n % 4}/slow?{n}"))) for n in range(24)]
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await answer(origins)
    for task in hanging:
        task.cancel()
    await asyncio.gather(*hanging, return_exceptions=True)


async def test_what_hangs_in_one_folder_leaves_places_for_another() -> None:
    origins = Origins(8, PATIENCE)
    hanging = [asyncio.create_task(_stay(origins, at(f"slow?{n}"))) for n in range(24)]
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await answer(origins, at("photos/a"))
    for task in hanging:
        task.cancel()
    await asyncio.gather(*hanging, return_exceptions=True)


async def test_a_client_whose_visits_hang_leaves_places_and_turns_for_others() -> None:
    origins = Origins(16, PATIENCE)
    await answer(origins)

    async def stay(number: int) -> None:
        async with origins.visit(at(f"{number}/slow"), "stranger"):
            await asyncio.Event().wait()

    hanging = [asyncio.create_task(stay(number)) for number in range(99)]
    await asyncio.sleep(0)
    assert sum(task.done() for task in hanging) == 99 - 11 - 48  # Overloaded
    async with asyncio.timeout(5):
        for number in range(9):
            async with origins.visit(at(f"{number}/new"), "another"):
                pass
    for task in hanging:
        task.cancel()
    await asyncio.gather(*hanging, return_exceptions=True)
    async with origins.visit(at("new"), "stranger"):
        pass


@pytest.mark.parametrize("client", ["", "another"])
async def test_where_too_many_wait_the_longest_queue_gives_way(client: str) -> None:
    origins = Origins(4, PATIENCE)
    hanging = [asyncio.create_task(_stay(origins, at(f"{n % 2}/slow?{n}"))) for n in range(16)]
    await asyncio.sleep(0)
    assert not any(task.done() for task in hanging)
    with pytest.raises(Overloaded):
        await answer(origins, at("0/slow?99"))
    newcomer = asyncio.create_task(_stay(origins, at("photos/a"), client))
    await turns(lambda: any(task.done() for task in hanging))
    (refused,) = [task for task in hanging if task.done()]
    assert isinstance(refused.exception(), Overloaded)
    assert not newcomer.done()
    for task in [*hanging, newcomer]:
        task.cancel()
    await asyncio.gather(*hanging, newcomer, return_exceptions=True)
    await answer(origins)


async def test_a_free_place_goes_to_the_client_that_has_the_fewest() -> None:
    origins, order = Origins(3, PATIENCE), []

    async def stay(client: str, number: int, leave: asyncio.Event) -> None:
        async with origins.visit(at(f"{number}/x"), client):
            order.append(client)
            await leave.wait()

    leaving = [asyncio.Event() for _ in range(8)]
    who = ["many"] * 6 + ["one"] * 2
    tasks = [asyncio.create_task(stay(who[n], n, leaving[n])) for n in range(8)]
    await asyncio.sleep(0)
    assert order == ["many"] * 3
    leaving[0].set()
    await turns(lambda: len(order) == 4)
    assert order[3] == "one"
    for event in leaving:
        event.set()
    await asyncio.gather(*tasks)
    assert len(origins) == 0


async def test_queries_of_one_path_do_not_displace_the_records_of_others(
    origins: Origins, clock: Clock
) -> None:
    await answer(origins, at("owl"))
    for number in range(200):
        await answer(origins, at(f"cat?{number}"))
    known = origins._origins[A.origin]
    assert known.is_good(_Path.of(at("owl")), clock.now)
    assert len(known.good) == 9


async def test_silence_in_some_folders_closes_no_other(origins: Origins, clock: Clock) -> None:
    await answer(origins, at("mine/owl"))
    for number in range(5):
        await answer(origins, at(f"evil/{number}"))
    for number in range(5):
        await hang(origins, clock, at(f"evil/{number}"))
    assert origins.left_alone == 1
    for path in ("evil/4", "evil/new"):
        with pytest.raises(OriginFailed):
            await answer(origins, at(path))
    await answer(origins, at("mine/new"))
    assert origins.left_alone == 0


async def test_silence_of_one_path_with_many_queries_counts_once(
    origins: Origins, clock: Clock
) -> None:
    await answer(origins, at("owl"))
    for number in range(8):
        await answer(origins, at(f"proxy?{number}"))
    for number in range(8):
        await hang(origins, clock, at(f"proxy?{number}"))
    assert origins.left_alone == 0


async def test_who_cannot_connect_closes_every_folder(origins: Origins) -> None:
    await answer(origins, at("mine/owl"))
    await fail(origins, no_connection(), 5)
    with pytest.raises(OriginFailed):
        await answer(origins, at("mine/owl"))


async def test_silence_lowers_the_concurrency_and_answers_raise_it(clock: Clock) -> None:
    origins = Origins(32, PATIENCE, clock)

    async def inside() -> int:
        tasks = [asyncio.create_task(_stay(origins, at(f"{n}/x"))) for n in range(64)]
        for _ in range(3):
            await asyncio.sleep(0)
        count = origins._origins[A.origin].places._inside.total()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return count

    seen = [await inside()]
    for _ in range(5):
        await hang(origins, clock, at("slow"))
        seen.append(await inside())
    assert seen == [32, 16, 8, 4, 4, 4]
    for number in range(30):
        async with origins.visit(at(f"x/{number}")) as answered:
            answered()
            clock.now += PATIENCE  # slow to its end: no good record, and none of its places
    assert await inside() == 32


async def _stay(origins: Origins, url: SourceUrl, client: str = "") -> None:
    async with origins.visit(url, client):
        await asyncio.Event().wait()


async def test_a_slow_picture_of_an_origin_that_answers_others_does_not_count(
    origins: Origins, clock: Clock
) -> None:
    async def wait(_: Answered) -> None:
        clock.now += PATIENCE
        await answer(origins)

    await fail(origins, asyncio.CancelledError(), 9, wait)
    await answer(origins)


async def test_a_body_that_is_slow_does_not_count(origins: Origins, clock: Clock) -> None:
    async def wait(answered: Answered) -> None:
        answered()
        clock.now += PATIENCE

    await fail(origins, asyncio.CancelledError(), 9, wait)
    await answer(origins)


async def test_no_more_than_the_limit_are_at_one_origin(origins: Origins) -> None:
    inside: list[int] = []
    leave = asyncio.Event()

    async def enter(number: int) -> None:
        async with origins.visit(A):
            inside.append(number)
            await leave.wait()

    tasks = [asyncio.create_task(enter(number)) for number in range(4)]
    for _ in range(3):
        await asyncio.sleep(0)
    assert inside == [0, 1]
    async with origins.visit(B):
        pass
    tasks[2].cancel()  # who leaves the line lets the next one go on
    leave.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert inside == [0, 1, 3]
    assert len(origins) == 0


async def test_who_waits_for_an_origin_that_dies_is_told_so(clock: Clock) -> None:
    origins = Origins(1, PATIENCE, clock)
    await fail(origins, no_connection(), 4)
    waiting: list[asyncio.Task[None]] = []

    async def queue_up(_: Answered) -> None:
        waiting.append(asyncio.create_task(answer(origins)))
        await asyncio.sleep(0)

    await fail(origins, no_connection(), 1, queue_up)
    with pytest.raises(OriginFailed):
        await waiting[0]


async def test_only_so_many_dead_origins_are_remembered(origins: Origins) -> None:
    for number in range(1010):
        with pytest.raises(aiohttp.ClientConnectorError):
            async with origins.visit(parse_source(f"h{number}.example/x".encode())):
                raise no_connection()
    assert len(origins) == 1000
