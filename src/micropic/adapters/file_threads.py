"""Work on files away from the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")

_Job = tuple[asyncio.Future[Any], Callable[..., Any], tuple[object, ...]]
_Outcome = tuple[asyncio.Future[Any], Any, BaseException | None]


class FileThreads:
    """Runs functions in a few threads; what is asked for in one turn of the loop goes together.

    To wake a thread and the loop again costs several times what a small file costs to read:
    a batch pays for it once.
    """

    def __init__(self, count: int) -> None:
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="files")
        self._waiting: list[_Job] = []

    def run(self, function: Callable[..., T], *args: object) -> asyncio.Future[T]:
        """Run `function` in a thread; to be called on the event loop."""
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._dispatch, loop)
        future: asyncio.Future[T] = loop.create_future()
        self._waiting.append((future, function, args))
        return future

    def run_alone(self, function: Callable[..., T], *args: object) -> asyncio.Future[T]:
        """Run `function`, which takes long, so that no other has to wait for its batch."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._pool.submit(_work, loop, [(future, function, args)])
        return future

    def close(self) -> None:
        """Wait for what is running, and end the threads."""
        self._pool.shutdown()

    def _dispatch(self, loop: asyncio.AbstractEventLoop) -> None:
        jobs, self._waiting = self._waiting, []
        self._pool.submit(_work, loop, jobs)


def _work(loop: asyncio.AbstractEventLoop, jobs: list[_Job]) -> None:
    outcomes: list[_Outcome] = []
    for future, function, args in jobs:
        try:
            outcomes.append((future, function(*args), None))
        except BaseException as error:  # noqa: BLE001 # whoever asked is told
            outcomes.append((future, None, error))
    loop.call_soon_threadsafe(_settle, outcomes)


def _settle(outcomes: list[_Outcome]) -> None:
    for future, result, error in outcomes:
        if future.cancelled():
            continue
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
