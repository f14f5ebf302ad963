"""Keep a trigger's event at a distance from the deferral of its task."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

#: The event of a trigger that fires at once can cross the executor's report about the deferral; the task then fails.
#: Source: https://github.com/apache/airflow/issues/72716
SETTLE_SECONDS = 1.0


@asynccontextmanager
async def settling(
    now: Callable[[], float] | None = None, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> AsyncIterator[None]:
    """
    Leave no sooner than a second after entering; an error leaves at once.

    Enter it at the start of a trigger's ``run``, and fire after it.

    :param now: Seconds of a clock that only goes forward; the event loop's when not given.
    :param sleep: Waits this many seconds.
    """
    clock = now or asyncio.get_running_loop().time
    started = clock()
    yield
    left = started + SETTLE_SECONDS - clock()
    if left > 0:
        await sleep(left)
