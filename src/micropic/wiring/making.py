"""What makes previews, in both shapes: it fetches, and has pictures rendered."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass

from micropic.domain.render_line import RenderLine
from micropic.domain.waiting import Line, Room
from micropic.imaging.slots import RenderSlots
from micropic.pipeline.admission import FetchAdmission, RenderAdmission
from micropic.pipeline.local import Fetching, Local
from micropic.pipeline.quarantine import Strikes
from micropic.pipeline.traced import traced
from micropic.ports import Previewer, Tracer
from micropic.services.metrics import Metrics
from micropic.services.tallies import Previews
from micropic.settings import Settings, SettingsError
from micropic.wiring import common, watched


@dataclass(frozen=True, slots=True)
class Maker:
    """What makes previews."""

    settings: Settings
    tracer: Tracer
    previews: Previews
    renderer: RenderSlots
    private_renderer: RenderSlots
    """Processes that no public picture reaches, which might see what a private one has left."""
    room: Room
    fetching: Previewer
    strikes: Strikes

    @property
    def lines(self) -> tuple[RenderLine, RenderLine]:
        """Those who wait for public and for private renders."""
        return self.renderer.line, self.private_renderer.line

    def making(self, sources: Previewer, *, private: bool = False) -> Previewer:
        """Make previews of what `sources` give; all that do so share strikes."""
        pool = self.private_renderer if private else self.renderer
        renderer = common.quarantine(self.settings, self.strikes, pool)
        local = Local(RenderAdmission(pool.line, sources), renderer, self.room)
        return traced(self.tracer, "make", self.previews.counted(local))


def room_for_sources(settings: Settings) -> Room:
    """Give the room that sources have in memory.

    Raises:
        SettingsError: it is too small for the largest one, which would be refused for ever.

    """
    largest, room = settings.source.max_bytes, settings.source.max_in_flight_bytes
    if largest > room:
        msg = (
            f"The setting source.max_bytes is {largest.human_readable()}, but of "
            f"source.max_in_flight_bytes there are only {room.human_readable()}: lower the one or "
            "raise the other"
        )
        raise SettingsError(msg)
    return Room(room)


async def maker(
    settings: Settings,
    stack: AsyncExitStack,
    metrics: Metrics,
    tracer: Tracer,
    longest_wait: float,
) -> Maker:
    """Start what makes previews, until `stack` is closed; they wait so many seconds for a process.

    Raises:
        OSError: a render process is not to be had.
        SettingsError: there is no room for the largest source.

    """
    room, previews = room_for_sources(settings), Previews()
    renderer = await stack.enter_async_context(common.renderer(settings, room, longest_wait))
    private = await stack.enter_async_context(
        common.renderer(settings, room, longest_wait, when_needed=True)
    )
    source = await common.source(settings, stack, metrics, room)
    fetching = traced(tracer, "fetch", Fetching(source, common.policy(settings)))
    fetches = Line(settings.source.max_in_flight, settings.proxy.max_wait)
    metrics.add(previews.samples)
    watched.renderers(metrics, renderer, private)
    watched.fetches(metrics, fetches)
    watched.room(metrics, room)
    admitted = FetchAdmission(fetches, renderer.line, fetching, private.line)
    return Maker(settings, tracer, previews, renderer, private, room, admitted, Strikes())
