from __future__ import annotations

import hashlib

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
from micropic.domain.model import Preview, Rendered, SourceFacts, Transform
from micropic.domain.purge import Purge
from micropic.pipeline.quarantine import Quarantine, Strikes
from tests.support.preview_requests import preview_request

HANG = RenderTimeout("It hangs.", seconds=5.0, decoding=True)
SLOW = RenderTimeout("It is slow.", seconds=5.0)
LATE = RenderTimeout("Too late.", seconds=0.3, decoding=True)
CRASH = RenderCrashed("It crashed.", decoding=True)
LATER_CRASH = RenderCrashed("It crashed.")
EXPENSIVE = "fill/4000/4000"


class Scripted:
    """Does one thing after the other: fails, or renders a preview for None."""

    def __init__(self, *outcomes: MicropicError | None) -> None:
        self.outcomes = list(outcomes)

    async def render(
        self, body: bytes | bytearray, _: Transform, __: float, ___: str = ""
    ) -> Rendered:
        outcome = self.outcomes.pop(0)
        if outcome:
            raise outcome
        return Rendered(bytes(body), "image/jpeg")


def quarantine(*outcomes: MicropicError | None, strikes: Strikes | None = None) -> Quarantine:
    return Quarantine(strikes or Strikes(), 2.5, Scripted(*outcomes))


async def code(
    renders: Quarantine, asked: str = "fill/30/20", source: str = "h/x", body: bytes = b"x"
) -> str:
    """Render once; give the error's code, or `ok`."""
    facts = SourceFacts(sha256=hashlib.sha256(body).hexdigest())
    fetched = Preview(body, "application/octet-stream", 0.0, 1.0, facts)
    try:
        await renders.render(fetched, preview_request(f"/{asked}/{source}"))
    except MicropicError as error:
        return error.code
    return "ok"


async def codes(
    renders: Quarantine, times: int, asked: str = "fill/30/20", source: str = "h/x"
) -> list[str]:
    """Render several times."""
    return [await code(renders, asked, source) for _ in range(times)]


async def test_three_strikes_while_decoding_are_out_for_an_hour(now: list[float]) -> None:
    renders = quarantine(CRASH, HANG, CRASH, None)
    *_, last = await codes(renders, 4)
    assert last == "quarantined"
    now[0] += 3599
    assert await code(renders, "fit/9/9") == "quarantined"
    now[0] += 1
    assert await code(renders) == "ok"


@pytest.mark.parametrize("failure", [CRASH, HANG, LATER_CRASH, SLOW])
async def test_an_expensive_preview_is_quarantined_alone(failure: MicropicError) -> None:
    renders = quarantine(*[failure] * 3, None, None)
    await codes(renders, 3, EXPENSIVE)
    assert await code(renders, EXPENSIVE) == "quarantined"
    assert await code(renders, "fill/4000/3999") == "ok"
    assert await code(renders) == "ok"


async def test_many_different_expensive_previews_put_no_other_out_of_service() -> None:
    renders = quarantine(*[CRASH, HANG, LATER_CRASH, SLOW] * 3, None)
    for width in range(4000, 4012):
        await code(renders, f"fill/{width}/4000")
    assert await code(renders) == "ok"


async def test_a_crash_after_decoding_counts_once_for_each_cheap_preview() -> None:
    renders = quarantine(*[LATER_CRASH] * 4, None)
    await codes(renders, 2, "fill/30/20")
    await code(renders, "fill/31/20")
    assert await code(renders, "fill/32/20") == "render_crashed"
    assert await code(renders, "fill/33/20") == "quarantined"


async def test_timeouts_after_decoding_are_no_fault_of_the_image() -> None:
    renders = quarantine(*[SLOW] * 5, None)
    for width in range(30, 35):
        assert await code(renders, f"fill/{width}/20") == "render_timeout"
    assert await code(renders, "fill/40/20") == "ok"


async def test_another_url_of_the_same_bytes_is_no_new_start_and_other_bytes_are() -> None:
    renders = quarantine(CRASH, CRASH, CRASH, None)
    for number in range(3):
        await code(renders, source=f"h/x?{number}")
    assert await code(renders, source="h/x?3") == "quarantined"
    assert await code(renders, source="h/x", body=b"y") == "ok"


async def test_an_image_without_a_known_hash_is_hashed() -> None:
    renders = quarantine(CRASH, CRASH, CRASH)
    fetched = Preview(b"x", "application/octet-stream", 0.0, 1.0)
    for _ in range(3):
        with pytest.raises(RenderCrashed):
            await renders.render(fetched, preview_request())
    assert await code(renders) == "quarantined"


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
    renders = quarantine(CRASH, CRASH, CRASH, CRASH, None)
    await codes(renders, 2)
    now[0] += 3600
    assert await codes(renders, 3) == ["render_crashed"] * 2 + ["ok"]


async def test_a_success_takes_one_away() -> None:
    renders = quarantine(CRASH, None, None, CRASH, CRASH, None, CRASH, CRASH)
    assert (await codes(renders, 9))[-2:] == ["render_crashed", "quarantined"]


async def test_what_came_late_or_is_damaged_is_no_strike() -> None:
    renders = quarantine(*[LATE, BrokenImage("No.")] * 5, None)
    assert (await codes(renders, 11))[-1] == "ok"


async def test_strikes_are_shared() -> None:
    strikes = Strikes()
    shared = quarantine(CRASH, CRASH, strikes=strikes)
    private = quarantine(CRASH, strikes=strikes)
    await codes(shared, 2)
    await code(private)
    assert await code(shared) == await code(private) == "quarantined"


async def test_a_purge_of_a_source_lets_its_image_in() -> None:
    strikes = Strikes()
    renders = quarantine(CRASH, CRASH, CRASH, None, None, strikes=strikes)
    await codes(renders, 3)
    assert await strikes.purge(Purge(frozenset({"http://h/y"}))) == 0
    assert await codes(renders, 1) == ["quarantined"]
    assert await strikes.purge(Purge(frozenset({"http://h/x"}))) == 0
    assert await codes(renders, 2) == ["ok", "ok"]


async def test_a_purge_of_a_source_that_was_only_refused_lets_its_image_in() -> None:
    strikes = Strikes()
    renders = quarantine(CRASH, CRASH, CRASH, None, strikes=strikes)
    await codes(renders, 3)
    assert await code(renders, source="g/z") == "quarantined"
    await strikes.purge(Purge(prefixes=("http://g/",)))
    assert await code(renders) == "ok"


async def test_a_purge_of_everything_lets_everything_in() -> None:
    strikes = Strikes()
    renders = quarantine(*[SLOW] * 3, None, strikes=strikes)
    await codes(renders, 3)
    await strikes.purge(Purge(everything=True))
    assert await code(renders) == "ok"


async def test_the_error_says_when_to_retry() -> None:
    renders = quarantine(CRASH, CRASH, CRASH)
    await codes(renders, 3)
    with pytest.raises(Quarantined, match="retry in an hour"):
        await renders.render(
            Preview(b"x", "", 0.0, 1.0, SourceFacts(sha256=hashlib.sha256(b"x").hexdigest())),
            preview_request(),
        )
