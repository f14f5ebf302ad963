"""Keep a trigger's event at a distance from the deferral of its task."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

#: The event of a trigger that fires at once can cross the executor's report about the deferral; the task then fails.
#: Source: https://github.com/apache/airflow/issues/72716
SETTLE_SECONDS = 1.0


class Settling:
    """
    Starts counting when created; create it at the start of a trigger's ``run``.

    :param now: Seconds of a clock that only goes forward; the event loop's when not given.
    :param sleep: Waits this many seconds.
    """

    def __init__(
        self,
        now: Callable[[], float] | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._now = now or asyncio.get_running_loop().time
        self._sleep = sleep
        self._started = self._now()

    async def wait(self) -> None:
        """Wait until at least a second has passed since creation."""
        left = self._started + SETTLE_SECONDS - self._now()
        if left > 0:
            await self._sleep(left)
