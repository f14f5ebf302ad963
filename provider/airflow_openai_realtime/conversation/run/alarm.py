"""An alarm that fires no later than its set time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from datetime import datetime
from typing import Any


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
