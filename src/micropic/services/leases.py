"""Who makes a preview that many ask for at once, across processes."""

from __future__ import annotations

import asyncio
import secrets

from micropic.domain.errors import MicropicError
from micropic.domain.model import Lease, Preview

_Outcome = Lease | Preview | MicropicError | None


class _Held:
    """A lease, when it ends, and those who wait (in order) with the time each of them has."""

    def __init__(self) -> None:
        self.token = ""
        self.over = asyncio.Event()
        """Set when the lease of `token` has ended."""
        self.end: asyncio.TimerHandle | None = None
        self.waiting: dict[asyncio.Future[_Outcome], float] = {}


class Leases:
    """The first to ask for a key gets a lease, others wait for what comes of it.

    A lease ends when a preview comes, when its holder fails or gives it up, and when its time
    is up; in the last two cases the next who waits gets one. A holder is whoever knows the
    token, wherever it is.
    """

    def __init__(self) -> None:
        self._held: dict[str, _Held] = {}
        self._closed = False

    def __len__(self) -> int:
        """How many are held."""
        return len(self._held)

    async def take(self, key: str, time_left: float) -> _Outcome:
        """Give a lease, or what came of that of another; None: `time_left` seconds are up."""
        loop = asyncio.get_running_loop()
        end = loop.time() + time_left
        if self._closed or time_left <= 0:
            return None
        held = self._held.get(key)
        if held is None:
            held = self._held[key] = _Held()
            return self._grant(key, held, end)
        future: asyncio.Future[_Outcome] = loop.create_future()
        held.waiting[future] = end
        try:
            async with asyncio.timeout_at(end):
                return await future
        except BaseException as error:
            # It may have been given the lease in the very turn in which it left.
            if future.done() and not future.cancelled() and isinstance(future.result(), Lease):
                self.give_up(key, future.result().token)  # type: ignore[union-attr] # see above
            if isinstance(error, TimeoutError):
                return None
            raise
        finally:
            held.waiting.pop(future, None)

    async def ended(self, key: str, token: str) -> None:
        """Wait until a lease has ended, in whichever way."""
        if self._is_held(key, token):
            await self._held[key].over.wait()

    def share(self, key: str, preview: Preview) -> None:
        """Give a preview to all who wait for it, whoever made it."""
        if key in self._held:
            self._settle(key, preview)

    def fail(self, key: str, token: str, error: MicropicError) -> None:
        """Tell all who wait what the holder failed by."""
        if self._is_held(key, token):
            self._settle(key, error)

    def give_up(self, key: str, token: str) -> None:
        """Let the next who waits have a lease."""
        if self._is_held(key, token):
            self._hand_on(key)

    def close(self) -> None:
        """Grant nothing any more, and let nobody wait."""
        self._closed = True
        for key in list(self._held):
            self._settle(key, None)

    def _is_held(self, key: str, token: str) -> bool:
        held = self._held.get(key)
        return held is not None and held.token == token

    def _grant(self, key: str, held: _Held, end: float) -> Lease:
        held.over = asyncio.Event()
        held.token = secrets.token_hex(8)
        held.end = asyncio.get_running_loop().call_at(end, self.give_up, key, held.token)
        return Lease(held.token)

    def _settle(self, key: str, outcome: _Outcome) -> None:
        held = self._held.pop(key)
        held.over.set()
        if held.end:
            held.end.cancel()
        for future in held.waiting:
            if not future.done():
                future.set_result(outcome)

    def _hand_on(self, key: str) -> None:
        held = self._held[key]
        held.over.set()
        if held.end:
            held.end.cancel()
        for future, end in held.waiting.items():
            if not future.done():
                future.set_result(self._grant(key, held, end))
                return
        del self._held[key]
