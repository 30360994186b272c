"""Stop waiting when the client has gone, or when its time is up."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any, Self

_PATIENCE = 0.05
"""Seconds after which watching begins: what is answered sooner, as every hit is, goes without."""


class ClientGone(Exception):
    """The client closed the connection before it had its answer."""


class ClientWatch:
    """Cancels what its block waits for, and raises ClientGone or, after `timeout` s, TimeoutError.

    The same as `asyncio.timeout` and a task that reads `receive`, but for the price of one timer
    where the block ends soon.
    """

    def __init__(self, receive: Any, timeout: float) -> None:
        self._receive = receive
        self._timeout = timeout
        self._reason: type[Exception] | None = None
        self._task: asyncio.Task[Any]
        self._watcher: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 # a coroutine always runs in one
        self._task = task
        self._timer = asyncio.get_running_loop().call_later(_PATIENCE, self._begin)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        if self._watcher is not None:
            self._watcher.cancel()
        if self._reason is not None and exc_type is asyncio.CancelledError:
            self._task.uncancel()
            raise self._reason

    def _begin(self) -> None:
        self._watcher = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        try:
            async with asyncio.timeout(self._timeout - _PATIENCE):
                while (await self._receive())["type"] != "http.disconnect":
                    pass
            self._reason = ClientGone
        except TimeoutError:
            self._reason = TimeoutError
        self._task.cancel()
