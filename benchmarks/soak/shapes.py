"""The two shapes under a soak: what they are made of, and what befalls them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.soak.faults import Fault
from benchmarks.soak.parts import Part
from benchmarks.soak.sources import MAX_BYTES, STALE, Outcome
from micropic.adapters.amqp_link import Broker
from tests.support.cluster import Cluster
from tests.support.rabbitmq import RabbitMQServer
from tests.support.service import Service
from tests.support.waiting import wait_until

TOKEN = "soak"  # of services that end with it
CACHE_MIB = 4
_SETTINGS = {
    # Bounds so small that all that may fill up is full within the first minute.
    "CACHE_SIZE": f"{CACHE_MIB}MiB",
    "CACHE_MEMORY": "256KiB",
    "CACHE_NEGATIVE_AGE": "1",
    "CACHE_STALE_WHILE_REVALIDATE": str(STALE),
    "SOURCE_MAX_BYTES": f"{MAX_BYTES // 1024}KiB",
    "SOURCE_CREDENTIAL_HOSTS": "127.0.0.1",
    # A slow origin is the first to run out of time, the whole request the last.
    "SOURCE_TIMEOUT": "3",
    "RENDER_TIMEOUT": "3",
    "PROXY_TIMEOUT": "15",
    # The machine may be busy with other things: that is not what is looked for.
    "GRPC_TIMEOUT": "0.5",
    "PROXY_PURGE_TOKEN": TOKEN,
}
_FOUND_AGAIN = 60.0
_DOWN: frozenset[Outcome] = frozenset({(0, "no_answer")})
_CRASHED: frozenset[Outcome] = frozenset({(422, "render_crashed")})
_LATE: frozenset[Outcome] = frozenset({(504, "render_timeout"), (504, "timeout")})
_NO_BROKER: frozenset[Outcome] = frozenset({(503, "overloaded"), (504, "timeout")})
_NO_CACHE: frozenset[Outcome] = frozenset({(503, "overloaded")})
"""To who purges."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How long a soak is, and how rough; times in seconds."""

    seconds: float
    settle: float = 60.0
    """What does not count of each process's life."""
    rate: float = 25.0
    """Requests a second, for each shape."""
    clients: int = 6
    seed: int = 1
    restarts: float = 300.0
    """From one restart of every part to the next."""
    render_kills: float = 3.0
    render_hangs: float = 25.0
    worker_kills: float = 20.0
    broker_restarts: float = 120.0
    cache_hangs: float = 45.0


class Shape:
    """One way to run micropic, for as long as a soak lasts."""

    name = ""
    service: Service
    """Who is asked."""
    parts: Sequence[Part]
    faults: Sequence[Fault]
    cache: Path
    """The directory of its cache."""

    def __init__(self, directory: Path, plan: Plan, **settings: str) -> None:
        """Prepare it, with all that it writes in `directory`."""

    def start(self) -> None:
        """Start all."""
        self.service.start()
        for part in self.parts:
            part.watch()

    def until_ready(self) -> None:
        """Wait until every part has found all others again."""
        for part in self.parts:
            wait_until(part.is_ready, _FOUND_AGAIN)

    def queued(self) -> int:
        """Give how many messages wait at the broker, if there is one."""
        return 0

    def end(self) -> None:
        """Stop all as an operator does, the first to be asked first."""
        for part in self.parts:
            part.end()

    def close(self) -> None:
        """Let nothing of it outlive the soak, however that ended."""
        self.service.close()

    def _restarts(
        self, part: Part, plan: Plan, stopped: frozenset[Outcome], killed: frozenset[Outcome]
    ) -> Iterator[Fault]:
        """Have a part stopped and killed in the beginning, and again after a while."""
        for how, excused in (("stopped", stopped), ("killed", killed)):
            yield Fault(
                f"{part.name} {how}",
                partial(self._restart, part, kill=how == "killed"),
                first=plan.settle / 12,
                every=plan.restarts,
                excused=excused,
            )

    def _restart(self, part: Part, *, kill: bool) -> None:
        part.restart(kill=kill)
        self.until_ready()


class Embedded(Shape):
    """`micropic serve`."""

    name = "embedded"

    def __init__(self, directory: Path, plan: Plan, **settings: str) -> None:
        directory.mkdir()
        self.service = Service(directory, **_SETTINGS | settings)
        self.cache = self.service.cache
        part = Part("service", self.service)
        self.parts = [part]
        self.faults = [
            *_of_renderers([part], plan),
            *self._restarts(part, plan, _DOWN, _DOWN),
        ]


class Distributed(Shape):
    """A proxy, two workers and the shared cache around a RabbitMQ of their own."""

    name = "distributed"

    def __init__(self, directory: Path, plan: Plan, **settings: str) -> None:
        directory.mkdir()
        (directory / "rabbitmq").mkdir()
        self._broker = RabbitMQServer(directory / "rabbitmq")
        cluster = Cluster(directory, self._broker, workers=2, **_SETTINGS | settings)
        cluster.shared_cache.settings.update(_SETTINGS | settings)
        self.service, self.cache = cluster, cluster.shared_cache.cache
        proxy = Part("proxy", cluster, start=cluster.start_proxy, links=1)
        worker, other = (
            Part(f"worker {number}", each, links=1)
            for number, each in enumerate(cluster.workers, 1)
        )
        cache = Part("cache", cluster.shared_cache, links=3)
        self.parts = [proxy, worker, other, cache]
        self.faults = [
            *_of_renderers([worker, other], plan),
            # It listens before it has found the broker: until then /readyz keeps clients away.
            *self._restarts(proxy, plan, _DOWN | _NO_BROKER, _DOWN | _NO_BROKER),
            *self._restarts(worker, plan, frozenset(), _LATE | _CRASHED),
            *self._restarts(cache, plan, _NO_CACHE, _NO_CACHE | _LATE),
            Fault(
                "worker 2 killed",
                partial(self._restart, other, kill=True),
                first=plan.worker_kills,
                every=plan.worker_kills,
                excused=_LATE | _CRASHED,
            ),
            Fault(
                "cache hung",
                partial(self._hang, cache),
                first=plan.cache_hangs,
                every=plan.cache_hangs,
                excused=_NO_CACHE | _LATE,
            ),
            Fault(
                "RabbitMQ restarted",
                self._restart_broker,
                first=plan.broker_restarts / 3,
                every=plan.broker_restarts,
                excused=_NO_BROKER,
            ),
        ]

    def start(self) -> None:
        """Start all."""
        self._broker.start()
        super().start()

    def queued(self) -> int:
        """Give how many messages wait: requests, and those that nobody has answered."""
        return asyncio.run(self._queued())

    def close(self) -> None:
        """Let nothing of it outlive the soak."""
        super().close()
        self._broker.close()

    def _hang(self, part: Part) -> None:
        part.hang()
        self.until_ready()

    async def _queued(self) -> int:
        settings = self.service.settings
        broker = Broker(
            host=settings["AMQP_HOST"],
            port=int(settings["AMQP_PORT"]),
            queue=settings["AMQP_QUEUE"],
        )
        async with await broker.connect() as connection:
            channel = await connection.channel()
            queues = [
                await channel.declare_queue(name, passive=True)
                for name in (broker.queue, broker.dead_letters)
            ]
        return sum(queue.declaration_result.message_count or 0 for queue in queues)

    def _restart_broker(self) -> None:
        self._broker.stop()
        self._broker.start()
        self.until_ready()


def _of_renderers(parts: Sequence[Part], plan: Plan) -> Iterator[Fault]:
    chance = random.Random(plan.seed)
    yield Fault(
        "render process killed",
        lambda: chance.choice(parts).end_a_renderer(chance),
        first=plan.render_kills,
        every=plan.render_kills,
        excused=_CRASHED,
    )
    yield Fault(
        "render process hung",
        lambda: chance.choice(parts).hang_a_renderer(chance),
        first=plan.render_hangs,
        every=plan.render_hangs,
        excused=_CRASHED | _LATE,
    )
