"""Keeping a trigger's event apart from the deferral of its task."""

from __future__ import annotations

import asyncio

#: A trigger that fires at once can meet the executor's report about the task that has just deferred, which then fails.
#: Source: https://github.com/apache/airflow/issues/72716
SETTLE_SECONDS = 1.0


class Settling:
    """Counts from the moment it is made; for the start of a trigger's ``run``."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._started = self._loop.time()

    async def wait(self) -> None:
        """Wait until at least a second has passed since then."""
        left = self._started + SETTLE_SECONDS - self._loop.time()
        if left > 0:
            await asyncio.sleep(left)
