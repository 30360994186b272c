"""Notice that a client has gone."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any, Self

_PATIENCE = 0.05
"""Seconds after which watching begins: what is answered sooner, as every hit is, goes without."""


class ClientGone(Exception):  # noqa: N818 # an event, not a fault
    """The client closed the connection before it had its answer."""


class ClientWatch:
    """Cancels what its block waits for when the client leaves, and raises ClientGone."""

    def __init__(self, receive: Any) -> None:
        self._receive = receive
        self._gone = False
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
        if self._gone and exc_type is asyncio.CancelledError:
            self._task.uncancel()
            raise ClientGone

    def _begin(self) -> None:
        self._watcher = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._gone = True
        self._task.cancel()
