from __future__ import annotations

import asyncio
import math

from micropic.domain.errors import NotAnImage
from micropic.domain.model import Lease, Preview
from micropic.services.leases import Leases

PREVIEW = Preview(b"x", "image/jpeg", 0.0, 60.0)

Outcome = Lease | Preview | Exception | None


async def held(leases: Leases, key: str = "k", time_left: float = 60.0) -> str:
    lease = await leases.take(key, time_left)
    assert isinstance(lease, Lease)
    return lease.token


async def waiting(
    leases: Leases, count: int, key: str = "k", time_left: float = 60.0
) -> list[asyncio.Task[Outcome]]:
    tasks: list[asyncio.Task[Outcome]] = [
        asyncio.create_task(leases.take(key, time_left)) for _ in range(count)
    ]
    await asyncio.sleep(0)
    return tasks


async def test_the_first_gets_the_lease_and_the_others_its_preview() -> None:
    leases = Leases()
    await held(leases)
    others = await waiting(leases, 3)
    assert len(leases) == 1
    leases.share("k", PREVIEW)
    assert [await other for other in others] == [PREVIEW] * 3
    assert len(leases) == 0


async def test_each_key_has_a_lease_of_its_own() -> None:
    leases = Leases()
    assert await held(leases, "a") != await held(leases, "b")
    others = await waiting(leases, 1, "a")
    leases.share("b", PREVIEW)
    assert not others[0].done()
    leases.share("a", PREVIEW)
    assert await others[0] == PREVIEW


async def test_a_failure_is_told_to_all_who_wait() -> None:
    leases = Leases()
    token = await held(leases)
    others = await waiting(leases, 3)
    error = NotAnImage("no")
    leases.fail("k", token, error)
    assert [await other for other in others] == [error] * 3
    await held(leases)


async def test_who_holds_no_lease_cannot_end_one() -> None:
    leases = Leases()
    await held(leases)
    others = await waiting(leases, 1)
    for token in ("", "other"):
        leases.fail("k", token, NotAnImage("no"))
        leases.give_up("k", token)
    leases.fail("unknown", "t", NotAnImage("no"))
    leases.give_up("unknown", "t")
    leases.share("unknown", PREVIEW)
    await asyncio.sleep(0)
    assert not others[0].done()
    leases.share("k", PREVIEW)
    assert await others[0] == PREVIEW


async def test_a_lease_that_is_given_up_goes_to_the_next_who_waits() -> None:
    leases = Leases()
    token = await held(leases)
    first, second = await waiting(leases, 2)
    leases.give_up("k", token)
    lease = await first
    assert isinstance(lease, Lease)
    assert lease.token != token
    assert not second.done()
    leases.give_up("k", token)
    leases.share("k", PREVIEW)
    assert await second == PREVIEW


async def test_a_lease_that_nobody_waits_for_ends_when_it_is_given_up() -> None:
    leases = Leases()
    leases.give_up("k", await held(leases))
    assert len(leases) == 0
    await held(leases)


async def test_a_lease_ends_with_its_holders_time() -> None:
    leases = Leases()
    lost = await held(leases, time_left=0.02)
    first, second = await waiting(leases, 2)
    lease = await first
    assert isinstance(lease, Lease)
    leases.fail("k", lost, NotAnImage("late"))
    assert not second.done()
    leases.share("k", PREVIEW)
    assert await second == PREVIEW


async def test_a_lease_that_nobody_ends_is_forgotten() -> None:
    leases = Leases()
    await held(leases, time_left=0.01)
    async with asyncio.timeout(10):
        while len(leases):  # noqa: ASYNC110 # each turn of the loop is a chance
            await asyncio.sleep(0)


async def test_who_waits_goes_without_when_its_own_time_is_up() -> None:
    leases = Leases()
    await held(leases)
    short = await waiting(leases, 1, time_left=0.01)
    long = await waiting(leases, 1)
    assert await short[0] is None
    leases.share("k", PREVIEW)
    assert await long[0] == PREVIEW


async def test_no_time_is_no_lease() -> None:
    leases = Leases()
    assert await leases.take("k", 0.0) is None
    assert await leases.take("k", -math.inf) is None
    assert len(leases) == 0


async def test_who_left_gets_no_lease() -> None:
    leases = Leases()
    token = await held(leases)
    first, second = await waiting(leases, 2)
    first.cancel()
    await asyncio.wait([first])
    leases.give_up("k", token)
    assert isinstance(await second, Lease)


async def test_who_leaves_in_the_turn_in_which_it_gets_the_lease_hands_it_on() -> None:
    leases = Leases()
    token = await held(leases)
    first, second = await waiting(leases, 2)
    leases.give_up("k", token)
    first.cancel()
    assert isinstance(await second, Lease)
    assert first.cancelled()
    assert len(leases) == 1


async def test_who_waits_goes_without_when_the_cache_stops() -> None:
    leases = Leases()
    await held(leases)
    others = await waiting(leases, 3)
    leases.close()
    assert [await other for other in others] == [None] * 3
    assert await leases.take("k", 60.0) is None
