"""The origins of a soak: pictures that all differ, and whatever else comes back from strangers."""

from __future__ import annotations

import itertools
import struct
import time
import zlib
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import cache, partial
from typing import Self

from tests.support.origin import Gate, Origin, Received, Reply, redirect
from tests.support.pictures import photo
from tests.support.ports import free_ports

Outcome = tuple[int, str]
"""Status and code of a problem; 0: the connection ended without an answer."""

MAX_BYTES = 512 * 1024
"""`source.max_bytes` of the services."""
MAX_AGE, STALE = 1, 2
"""Seconds for which what changes is fresh, then stale (`cache.stale_while_revalidate`)."""
_PICTURES = 24
_FORMS = ("JPEG", "JPEG", "PNG", "WEBP")
_KEPT = {"Cache-Control": "max-age=3600"}


@cache
def picture(number: int) -> bytes:
    """Give one of 24 pictures; no two are alike."""
    number %= _PICTURES
    return photo(320, 240, _FORMS[number % len(_FORMS)], seed=number)


class Versions:
    """A picture that changes: which one it was, and since when (monotonic seconds)."""

    def __init__(self, first: int) -> None:
        self._history = [(first, 0.0)]

    @property
    def number(self) -> int:
        """The picture that it is now."""
        return self._history[-1][0]

    def change(self) -> None:
        """Become the next picture."""
        self._history = [*self._history[-_PICTURES:], (self.number + 1, time.monotonic())]

    def between(self, began: float, ended: float) -> list[bytes]:
        """Give the pictures that it was at any moment between the two."""
        until = [since for _, since in self._history[1:]] + [ended + 1]
        return [
            picture(number)
            for (number, since), end in zip(self._history, until, strict=True)
            if since <= ended and end >= began
        ]

    def reply(self, received: Received, max_age: int = 3600) -> Reply:
        """Answer as an origin does that can tell whether a client has it already."""
        etag = f'"{self.number}"'
        headers = {"ETag": etag, "Cache-Control": f"max-age={max_age}"}
        if etag in received.values("If-None-Match"):
            return Reply(status=304, headers=headers)
        return Reply(picture(self.number), headers=headers)


class Sources:
    """Two origins, one of which never answers; a context manager."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._good, self._silent = Origin(), Origin()
        self._gates: list[Gate] = []
        self.changing = [Versions(number * 4) for number in range(4)]
        self._purged = itertools.count()
        self.hostile: dict[str, tuple[str, frozenset[Outcome]]] = {}
        """By name: a source, and what its client is to be told."""

    def __enter__(self) -> Self:
        self._stack.enter_context(self._good)
        self._stack.enter_context(self._silent)
        for number in range(_PICTURES):
            self._good.on(f"/picture/{number}", Reply(picture(number), headers=_KEPT))
        for number, versions in enumerate(self.changing):
            self._good.on(f"/changing/{number}", partial(versions.reply, max_age=MAX_AGE))
        self._good.on("/whose", _whose)
        self._silent.fallback = lambda _: Reply(gate=self._gates[-1])
        self._add_hostile()
        self.tidy()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def authority(self) -> str:
        """Host and port of the origin with pictures."""
        return self._good.authority

    def to_purge(self) -> tuple[str, Versions]:
        """Add a picture that changes, at `/purged/{name}`, and give its name."""
        number = next(self._purged)
        versions = Versions(number)
        self._good.on(f"/purged/{number}", versions.reply)
        return f"{number}", versions

    def tidy(self) -> None:
        """Let go of those who have waited since the last time but one, and of what was noted.

        Their services have given up on them long ago.
        """
        for gate in self._gates[:-1]:
            gate.open()
        self._gates = [*self._gates[-1:], self._silent.gate()]
        for origin in (self._good, self._silent):
            origin.requests.clear()

    def _add_hostile(self) -> None:
        whole = picture(0)
        (closed,) = free_ports(1)
        failed = frozenset({(502, "origin_failed")})
        late = frozenset({(504, "origin_timeout")})
        self._refuse("missing", Reply(b"gone", 404), (404, "origin_refused"))
        self._refuse("forbidden", Reply(b"no", 403), (403, "origin_refused"))
        self._refuse("failing", Reply(b"broken", 500), *failed)
        self._refuse("cut off", Reply(whole, cut_after=len(whole) // 2), *failed)
        self._refuse("broken", Reply(whole[: len(whole) // 2]), (422, "broken_image"))
        self._refuse("a page", Reply(b"<html>no picture</html>"), (415, "not_an_image"))
        self._refuse("huge", Reply(bytes(2 * MAX_BYTES)), (413, "source_too_large"))
        endless = Reply(bytes(2 * MAX_BYTES), chunked=True)
        self._refuse("endless", endless, (413, "source_too_large"))
        self._refuse("a bomb", Reply(_bomb()), (413, "too_many_pixels"))
        self._refuse("empty", Reply(), *failed)
        self._refuse("in a circle", redirect("/in%20a%20circle"), *failed)
        self._refuse("trickling", Reply(whole, trickle=True), *late)
        # After some faults in a row an origin is left alone.
        self.hostile["silent"] = (f"{self._silent.authority}/x", late | failed)
        self.hostile["closed"] = (f"127.0.0.1:{closed}/x", failed)
        self.hostile["private"] = ("10.0.0.1/x", frozenset({(403, "source_forbidden")}))

    def _refuse(self, name: str, reply: Reply, *outcomes: Outcome) -> None:
        source = self._good.on(f"/{name.replace(' ', '%20')}", reply)
        self.hostile[name] = (source, frozenset(outcomes))


def owner(token: str) -> bytes:
    """Give the picture that belongs to who sends this Authorization, empty for none."""
    return picture(20 + sum(token.encode()) % 4 if token else 19)


def _whose(received: Received) -> Reply:
    (token,) = received.values("Authorization") or [""]
    return Reply(owner(token), headers=_KEPT)


def _bomb() -> bytes:
    """Give a PNG that says it has 60,000 x 60,000 pixels."""
    head = struct.pack("!2I5B", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunks = (b"IHDR", head), (b"IDAT", zlib.compress(bytes(60_000))), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack("!I", len(data)) + name + data + struct.pack("!I", zlib.crc32(name + data))


Of = Callable[[float, float], Sequence[bytes]]
"""Gives the sources that an answer may be of that was asked for and came at two moments."""


def always(body: bytes) -> Of:
    """Give the one source that an answer may be of, whenever it comes."""
    return lambda _began, _ended: (body,)
