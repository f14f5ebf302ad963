"""Work that goes on although its trigger is cancelled repeatedly."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")

log = logging.getLogger(__name__)

#: An event loop holds only weak references to tasks.
_under_way: set[asyncio.Task[None]] = set()


async def carry_through(work: Coroutine[Any, Any, None]) -> None:
    """
    Run work to its end, even if the waiting task is cancelled.

    Airflow's triggerer cancels a killed trigger once a second until it is gone (Airflow 3.3.2,
    ``TriggerRunner.cancel_triggers``), so ``on_kill`` has one second for what it awaits directly.

    :param work: Coroutine to run.
    """
    job = asyncio.ensure_future(work)
    _under_way.add(job)
    job.add_done_callback(_done)
    await asyncio.shield(job)


async def despite_shutdown(send: Callable[[], Awaitable[_T]]) -> _T:
    """
    Send a request that is safe to repeat.

    :param send: Sends the request.

    Retries: once, when the event loop stops during the request.
    """
    try:
        return await send()
    except asyncio.CancelledError:
        await send()
        raise


def _done(job: asyncio.Task[None]) -> None:
    _under_way.discard(job)
    if not job.cancelled() and job.exception() is not None:
        log.error("a killed task's call could not be ended", exc_info=job.exception())
