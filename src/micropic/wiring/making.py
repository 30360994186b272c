"""What makes previews, in both shapes: it fetches, and has pictures rendered."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass

from micropic.domain.waiting import Line, Room
from micropic.imaging.slots import RenderSlots
from micropic.pipeline.admission import FetchAdmission, RenderAdmission
from micropic.pipeline.local import Fetching, Local
from micropic.pipeline.quarantine import Strikes
from micropic.pipeline.traced import traced
from micropic.ports import Previewer, Tracer
from micropic.services.metrics import Metrics
from micropic.services.tallies import Previews
from micropic.settings import Settings
from micropic.wiring import common, watched


@dataclass(frozen=True, slots=True)
class Maker:
    """What makes previews."""

    settings: Settings
    tracer: Tracer
    previews: Previews
    renderer: RenderSlots
    fetching: Previewer
    strikes: Strikes

    def making(self, sources: Previewer) -> Previewer:
        """Make previews of what `sources` give; all that do so share processes and strikes."""
        local = Local(RenderAdmission(self.renderer.line, sources), self.renderer)
        made = common.quarantine(self.settings, self.strikes, local)
        return traced(self.tracer, "make", self.previews.counted(made))


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

    """
    room, previews = Room(settings.source.max_in_flight_bytes), Previews()
    renderer = await stack.enter_async_context(common.renderer(settings, room, longest_wait))
    source = await common.source(settings, stack, metrics, room)
    fetching = traced(tracer, "fetch", Fetching(source, common.policy(settings)))
    fetches = Line(settings.source.max_in_flight, settings.proxy.max_wait)
    metrics.add(previews.samples)
    watched.renderer(metrics, renderer)
    watched.fetches(metrics, fetches)
    watched.room(metrics, room)
    admitted = FetchAdmission(fetches, renderer.line, fetching)
    return Maker(settings, tracer, previews, renderer, admitted, Strikes())
