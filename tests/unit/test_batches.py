from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from micropic.adapters.batches import Batches


class Server:
    """Answers each call when it is told to."""

    def __init__(self) -> None:
        self.calls: list[tuple[list[str], asyncio.Future[Sequence[str] | None]]] = []

    async def fetch(self, keys: Sequence[str]) -> Sequence[str] | None:
        future: asyncio.Future[Sequence[str] | None] = asyncio.get_running_loop().create_future()
        self.calls.append((list(keys), future))
        return await future

    @property
    def keys(self) -> list[list[str]]:
        return [keys for keys, _ in self.calls]

    def answer(self, number: int, most: int | None = None) -> None:
        keys, future = self.calls[number]
        future.set_result([key.upper() for key in keys[:most]])


async def turns() -> None:
    for _ in range(9):
        await asyncio.sleep(0)


async def asking(batches: Batches[str], keys: str) -> list[asyncio.Task[str | None]]:
    tasks = [asyncio.create_task(batches.get(key)) for key in keys]
    await turns()
    return tasks


async def test_what_is_asked_in_one_turn_is_one_call() -> None:
    server = Server()
    tasks = await asking(Batches(server.fetch), "abc")
    assert server.keys == [["a", "b", "c"]]
    server.answer(0)
    assert await asyncio.gather(*tasks) == ["A", "B", "C"]


async def test_a_key_may_be_asked_for_by_several() -> None:
    server = Server()
    tasks = await asking(Batches(server.fetch), "aa")
    server.answer(0)
    assert await asyncio.gather(*tasks) == ["A", "A"]


async def test_what_is_asked_while_calls_are_under_way_waits_and_goes_together() -> None:
    server = Server()
    batches = Batches(server.fetch)
    tasks = []
    for key in "abcdefg":
        tasks += await asking(batches, key)
    assert server.keys == [["a"], ["b"], ["c"], ["d"]]
    server.answer(2)
    await turns()
    assert server.keys[4:] == [["e", "f", "g"]]
    for number in (0, 1, 3, 4):
        server.answer(number)
    assert await asyncio.gather(*tasks) == list("ABCDEFG")


async def test_a_call_is_bounded() -> None:
    server = Server()
    tasks = await asking(Batches(server.fetch), "x" * 150)
    assert [len(keys) for keys in server.keys] == [64, 64, 22]
    for number in range(3):
        server.answer(number)
    assert await asyncio.gather(*tasks) == ["X"] * 150


async def test_long_keys_go_in_several_calls() -> None:
    server = Server()
    batches = Batches(server.fetch)
    tasks = [asyncio.create_task(batches.get("x" * 600_000)) for _ in range(4)]
    await turns()
    assert [len(keys) for keys in server.keys] == [2, 2]
    for number in range(2):
        server.answer(number)
    assert await asyncio.gather(*tasks) == ["X" * 600_000] * 4


async def test_what_an_answer_leaves_out_is_asked_for_again() -> None:
    server = Server()
    tasks = await asking(Batches(server.fetch), "abc")
    server.answer(0, most=1)
    await turns()
    server.answer(1, most=1)
    await turns()
    server.answer(2)
    assert server.keys == [["a", "b", "c"], ["b", "c"], ["c"]]
    assert await asyncio.gather(*tasks) == ["A", "B", "C"]


@pytest.mark.parametrize("answer", [None, []])
async def test_after_a_failure_nobody_waits(answer: Sequence[str] | None) -> None:
    server = Server()
    batches = Batches(server.fetch)
    tasks = []
    for key in "abcdef":
        tasks += await asking(batches, key)
    server.calls[0][1].set_result(answer)
    await turns()
    assert [task.done() for task in tasks] == [True, False, False, False, True, True]
    assert [tasks[number].result() for number in (0, 4, 5)] == [None] * 3
    for number in (1, 2, 3):
        server.answer(number)
    assert await asyncio.gather(*tasks) == [None, "B", "C", "D", None, None]
    again = await asking(batches, "g")
    server.answer(4)
    assert await again[0] == "G"


async def test_a_call_that_is_cancelled_keeps_nobody_waiting() -> None:
    server = Server()
    tasks = await asking(Batches(server.fetch), "ab")
    server.calls[0][1].cancel()
    assert await asyncio.gather(*tasks) == [None, None]


async def test_who_leaves_is_not_asked_for() -> None:
    server = Server()
    batches = Batches(server.fetch)
    tasks = []
    for key in "abcdef":
        tasks += await asking(batches, key)
    for leaver in (tasks[0], tasks[4]):
        leaver.cancel()
    await turns()
    server.answer(0)
    await turns()
    assert server.keys[4:] == [["f"]]
    for number in (1, 2, 3, 4):
        server.answer(number)
    assert await asyncio.gather(*tasks[1:4], tasks[5]) == ["B", "C", "D", "F"]
