"""An alarm that rings no later than it is set to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from datetime import datetime
from typing import Any


class Alarm:
    """
    Calls back when a time has come. It may ring too early, never too late: a time that moves back costs nothing.

    :param ring: Called without arguments; it looks itself what the time is.
    :param now: The time, aware.
    :param sleep: Waits, in seconds.
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
        Ring at a time, or before.

        :param at: ``None``: need not ring any more.
        """
        if at is None or (self._at is not None and self._at <= at):
            return
        self.stop()
        self._at = at
        self._task = self._start(self._wait(at))

    def stop(self) -> None:
        """Ring no more."""
        if self._task is not None:
            self._task.cancel()
        self._task, self._at = None, None

    async def _wait(self, at: datetime) -> None:
        while (seconds := (at - self._now()).total_seconds()) > 0:
            await self._sleep(seconds)
        # What is ringing is not stopped by what it sets off.
        self._task, self._at = None, None
        self._ring()
