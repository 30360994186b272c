from __future__ import annotations

import pytest

from micropic.domain.errors import (
    BrokenImage,
    MicropicError,
    Quarantined,
    RenderCrashed,
    RenderTimeout,
    TooComplex,
    TooMuchMemory,
)
from micropic.domain.model import Preview, PreviewRequest
from micropic.domain.purge import Purge
from micropic.pipeline.quarantine import Quarantine, Strikes
from tests.support.preview_requests import preview_request

HANG = RenderTimeout("It hangs.", seconds=5.0)
LATE = RenderTimeout("Too late.", seconds=0.3)
CRASH = RenderCrashed("It crashed.")


class Scripted:
    """Does one thing after the other: fails, or makes a preview for None."""

    def __init__(self, *outcomes: MicropicError | None) -> None:
        self.outcomes = list(outcomes)

    async def preview(self, request: PreviewRequest) -> Preview:
        outcome = self.outcomes.pop(0)
        if outcome:
            raise outcome
        return Preview(request.key.encode(), "image/jpeg", 0.0, 1.0)


async def codes(previewer: Quarantine, times: int, path: str = "/fill/30/20/h/x") -> list[str]:
    """Ask several times; give the errors' codes, and `ok`."""
    found = []
    for _ in range(times):
        try:
            await previewer.preview(preview_request(path))
            found.append("ok")
        except MicropicError as error:
            found.append(error.code)
    return found


async def test_three_strikes_of_any_kind_are_out_for_an_hour(now: list[float]) -> None:
    previewer = Quarantine(Strikes(), 2.5, Scripted(CRASH, HANG, CRASH, None))
    *_, last = await codes(previewer, 4)
    assert last == "quarantined"
    now[0] += 3599
    assert await codes(previewer, 1, "/fit/9/9/h/x") == ["quarantined"]
    now[0] += 1
    assert await codes(previewer, 1) == ["ok"]


@pytest.mark.parametrize("kind", [TooMuchMemory, TooComplex])
async def test_processes_that_explain_their_end_count_for_a_tenth(
    kind: type[MicropicError], now: list[float]
) -> None:
    """What they say may be a lie: a picture may not end one process after the other with it."""
    cost, refused = kind("It ended."), kind("It was refused.")
    cost.ended_process = True
    previewer = Quarantine(Strikes(), 2.5, Scripted(*[refused] * 50, *[cost] * 30, None))
    assert await codes(previewer, 80) == [kind.code] * 80
    assert await codes(previewer, 1) == ["quarantined"]
    now[0] += 3600
    assert await codes(previewer, 1) == ["ok"]


async def test_a_strike_is_forgotten_after_an_hour_without_another(now: list[float]) -> None:
    previewer = Quarantine(Strikes(), 2.5, Scripted(CRASH, CRASH, CRASH, CRASH, None))
    await codes(previewer, 2)
    now[0] += 3600
    assert await codes(previewer, 3) == ["render_crashed"] * 2 + ["ok"]


async def test_a_success_takes_one_away() -> None:
    script = Scripted(CRASH, None, None, CRASH, CRASH, None, CRASH, CRASH)
    assert (await codes(Quarantine(Strikes(), 2.5, script), 9))[-2:] == [
        "render_crashed",
        "quarantined",
    ]


async def test_what_came_late_or_is_damaged_is_no_strike() -> None:
    script = Scripted(*[LATE, BrokenImage("No.")] * 5, None)
    assert (await codes(Quarantine(Strikes(), 2.5, script), 11))[-1] == "ok"


async def test_strikes_are_shared_and_other_sources_are_not_blamed() -> None:
    strikes = Strikes()
    shared, private = (
        Quarantine(strikes, 2.5, Scripted(*outcomes, None))
        for outcomes in ([CRASH, CRASH], [CRASH])
    )
    await codes(shared, 2)
    await codes(private, 1)
    assert await codes(shared, 1) == await codes(private, 1) == ["quarantined"]
    assert await codes(shared, 1, "/fill/30/20/h/y") == ["ok"]


async def test_a_purge_of_the_source_lets_it_in() -> None:
    strikes = Strikes()
    previewer = Quarantine(strikes, 2.5, Scripted(CRASH, CRASH, CRASH, None))
    await codes(previewer, 3)
    assert await strikes.purge(Purge(frozenset({"http://h/y"}))) == 0
    with pytest.raises(Quarantined):
        await previewer.preview(preview_request())
    assert await strikes.purge(Purge(frozenset({"http://h/x"}))) == 0
    assert await codes(previewer, 1) == ["ok"]
