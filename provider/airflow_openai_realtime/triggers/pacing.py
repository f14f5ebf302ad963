"""Keep a trigger's event at a distance from the deferral of its task."""

from __future__ import annotations

import asyncio

#: The event of a trigger that fires at once can cross the executor's report about the deferral; the task then fails.
#: Source: https://github.com/apache/airflow/issues/72716
SETTLE_SECONDS = 1.0


class Settling:
    """Starts counting when created; create it at the start of a trigger's ``run``."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._started = self._loop.time()

    async def wait(self) -> None:
        """Wait until at least a second has passed since creation."""
        left = self._started + SETTLE_SECONDS - self._loop.time()
        if left > 0:
            await asyncio.sleep(left)
