"""The mixed load of a soak: which requests there are, and how often each."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import time
from collections.abc import Awaitable, Callable

from benchmarks.soak.clients import Ask, Client
from benchmarks.soak.shapes import TOKEN, Plan
from benchmarks.soak.sources import (
    MAX_AGE,
    STALE,
    Outcome,
    Sources,
    Versions,
    always,
    owner,
    picture,
)

_SIZES = ((120, 80), (90, 90), (60, 120))
_OPTIONS = ("", "f=webp/", "f=png/", "g=center,q=60/")
_POPULAR = 12
_NEVER_MET = 400
"""Sources that come again once they are forgotten: all were there within the first minute, so that
what is remembered of addresses does not grow any more."""
_LATEST = 3
"""Seconds that a client may have had what is stale for already, the renewal on its way."""
_TOKENS = ("", "Bearer one", "Bearer two")

_NOT_MODIFIED: Outcome = (304, "")
_MISTAKES: dict[str, Outcome] = {
    "/fill/0/10/sample:cat.jpg": (400, "bad_request"),
    "/fill/10/10/q=no/sample:cat.jpg": (400, "bad_request"),
    "/fill/99999/10/sample:cat.jpg": (400, "bad_request"),
    "/nothing/here": (404, "not_found"),
}


class Load:
    """Clients of one service, each asking for one thing after the other."""

    def __init__(self, client: Client, sources: Sources, plan: Plan) -> None:
        self._client = client
        self._sources = sources
        self._plan = plan
        self._random = random.Random(plan.seed)
        self._numbers = itertools.count()
        self._to_purge: list[tuple[str, Versions]] = []
        """Those that nobody asks for at present."""
        self._etags: dict[str, str] = {}
        self._kinds: dict[Callable[[], Awaitable[object]], int] = {
            self._hit: 40,
            self._miss: 20,
            self._changing: 8,
            self._unchanged: 6,
            self._private: 4,
            self._purge: 4,
            self._leave: 6,
            self._head: 2,
            self._mistake: 2,
            self._hostile: 8,
        }

    async def each(self) -> None:
        """Ask for one thing of each kind, and for every hostile one."""
        for kind in self._kinds:
            await kind()
        names = [name for name in self._sources.hostile if name not in {"silent", "trickling"}]
        await asyncio.gather(*(self._hostile(name) for name in names))

    async def run(self, seconds: float) -> None:
        """Ask for `seconds`, no more often than the plan says."""
        end = time.monotonic() + seconds
        await asyncio.gather(*(self._one(end) for _ in range(self._plan.clients)))

    async def _one(self, end: float) -> None:
        kinds, weights = list(self._kinds), list(self._kinds.values())
        pause = self._plan.clients / self._plan.rate
        while (began := time.monotonic()) < end:
            (kind,) = self._random.choices(kinds, weights)
            await kind()
            await asyncio.sleep(max(0.0, began + pause - time.monotonic()))

    # --- kinds -------------------------------------------------------------------------------

    async def _hit(self) -> None:
        number = min(self._random.randrange(_POPULAR), self._random.randrange(_POPULAR))
        ask = self._of_picture("hit", number, number)
        answer = await self._client.ask(ask)
        if answer.status == 200:
            self._etags[ask.path] = answer.headers["ETag"]

    async def _unchanged(self) -> None:
        """Ask for what the client has already."""
        number = self._random.randrange(_POPULAR)
        ask = self._of_picture("unchanged", number, number)
        headers = {"If-None-Match": self._etags.get(ask.path, '"none"')}
        await self._client.ask(
            Ask(
                kind=ask.kind,
                path=ask.path,
                of=ask.of,
                headers=headers,
                outcomes=frozenset({_NOT_MODIFIED}) if ask.path in self._etags else frozenset(),
            )
        )

    async def _miss(self) -> None:
        await self._client.ask(self._new("miss"))

    async def _leave(self) -> None:
        """Ask for what takes a moment, and do not wait for it."""
        await self._client.ask_briefly(self._new("leaves"), self._random.uniform(0.001, 0.05))

    async def _head(self) -> None:
        number = self._random.randrange(_POPULAR)
        ask = self._of_picture("head", number, number)
        outcomes: frozenset[Outcome] = frozenset({(200, "")})
        await self._client.ask(Ask(kind=ask.kind, path=ask.path, method="HEAD", outcomes=outcomes))

    async def _changing(self) -> None:
        """Ask for a picture that changes, and whose changes may be seen late, but not too late."""
        number = self._random.randrange(len(self._sources.changing))
        versions = self._sources.changing[number]
        if self._random.random() < 0.2:
            versions.change()
        late = MAX_AGE + STALE + _LATEST
        await self._client.ask(
            Ask(
                kind="changing",
                path=self._path(number, f"changing/{number}"),
                of=lambda began, ended: versions.between(began - late, ended),
            )
        )

    async def _private(self) -> None:
        """Ask for a picture that each owner has another one of."""
        token = self._random.choice(_TOKENS)
        await self._client.ask(
            Ask(
                kind="private",
                path=self._path(0, "whose"),
                of=always(owner(token)),
                headers={"Authorization": token} if token else {},
            )
        )

    async def _purge(self) -> None:
        """Change a picture several times; after each purge the new one is to be seen.

        One that somebody failed to get may be under way still, and be kept after the purge: it is
        not asked for any more.
        """
        name, versions = self._to_purge.pop() if self._to_purge else self._sources.to_purge()
        number = int(name)
        path, source = (
            self._path(number, f"purged/{name}"),
            f"{self._sources.authority}/purged/{name}",
        )
        body = json.dumps({"sources": [source]}).encode()
        for _ in range(3):
            asked = Ask(kind="purged", path=path, of=always(picture(versions.number)))
            if (await self._client.ask(asked)).status != 200:
                return
            versions.change()
            answer = await self._client.ask(
                Ask(
                    kind="purge",
                    path="/purge",
                    method="POST",
                    data=body,
                    headers={"Authorization": f"Bearer {TOKEN}"},
                    outcomes=frozenset({(200, "")}),
                )
            )
            if answer.status != 200:
                return
        self._to_purge.append((name, versions))

    async def _mistake(self) -> None:
        path, outcome = self._random.choice(list(_MISTAKES.items()))
        await self._client.ask(Ask(kind="mistake", path=path, outcomes=frozenset({outcome})))

    async def _hostile(self, name: str = "") -> None:
        name = name or self._random.choice(list(self._sources.hostile))
        source, outcomes = self._sources.hostile[name]
        path = f"/fill/60/40/{source}"
        await self._client.ask(Ask(kind=f"hostile, {name}", path=path, outcomes=outcomes))

    # --- their paths -------------------------------------------------------------------------

    def _new(self, kind: str) -> Ask:
        number = next(self._numbers) % _NEVER_MET
        return self._of_picture(kind, number, number // len(_OPTIONS), f"?n={number}")

    def _of_picture(self, kind: str, number: int, look: int, query: str = "") -> Ask:
        path = self._path(look, f"picture/{number % 24}{query}")
        return Ask(kind=kind, path=path, of=always(picture(number)))

    def _path(self, look: int, rest: str) -> str:
        width, height = _SIZES[look % len(_SIZES)]
        option = _OPTIONS[look % len(_OPTIONS)]
        return f"/fill/{width}/{height}/{option}{self._sources.authority}/{rest}"
