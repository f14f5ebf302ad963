"""Wait with a time limit, on a clock that tests can set; and run groups of tasks whose failure is noticed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any


async def wait_for_any(
    things: set[asyncio.Future[Any]], seconds: float, sleep: Callable[[float], Awaitable[None]]
) -> None:
    """
    Wait until one of several futures is done, or the time is over. Nothing is cancelled or raised.

    :param things: Futures or tasks.
    :param seconds: Longest wait in seconds.
    :param sleep: Sleeps for a number of seconds.
    """
    pause = asyncio.ensure_future(sleep(seconds))
    try:
        await asyncio.wait({*things, pause}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        pause.cancel()


class Tasks:
    """A group of tasks. The future ``failed`` gets the error of the first task that fails."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """
        Start a task.

        :param work: Its coroutine.
        """
        task = asyncio.ensure_future(work)
        self._running.add(task)
        task.add_done_callback(self._over)
        return task

    async def stop(self) -> None:
        """Cancel the running tasks, and wait until they have ended."""
        tasks = list(self._running)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.failed.cancel()

    def _over(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None and not self.failed.done():
            self.failed.set_exception(error)
            # Retrieved here, so that asyncio logs no warning if the future is not awaited.
            self.failed.exception()
