"""Wait with a time limit, on a clock that tests can set; and run groups of tasks whose failure is noticed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from datetime import datetime
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


class Alarm:
    """
    Calls back at a set time. It may fire too early, never too late, so that moving the time back costs nothing.

    :param ring: Called without arguments; it must check the time itself.
    :param now: Returns the current time, aware.
    :param sleep: Sleeps for a number of seconds.
    :param start: Starts a task.
    """

    def __init__(
        self,
        ring: Callable[[], None],
        now: Callable[[], datetime],
        sleep: Callable[[float], Awaitable[None]],
        start: Callable[[Coroutine[Any, Any, None]], asyncio.Task[Any]],
    ) -> None:
        self._ring = ring
        self._now = now
        self._sleep = sleep
        self._start = start
        self._at: datetime | None = None
        self._task: asyncio.Task[Any] | None = None

    def set(self, at: datetime | None) -> None:
        """
        Fire at a time, or before.

        :param at: The time, aware; ``None``: it no longer needs to fire.
        """
        if at is None or (self._at is not None and self._at <= at):
            return
        self.stop()
        self._at = at
        self._task = self._start(self._wait(at))

    def stop(self) -> None:
        """Cancel the alarm."""
        if self._task is not None:
            self._task.cancel()
        self._task, self._at = None, None

    async def _wait(self, at: datetime) -> None:
        while (seconds := (at - self._now()).total_seconds()) > 0:
            await self._sleep(seconds)
        # Reset first: the callback may set or stop the alarm.
        self._task, self._at = None, None
        self._ring()
