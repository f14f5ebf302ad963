"""Work that goes on although the trigger that began it is cancelled, again and again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")

log = logging.getLogger(__name__)

#: An event loop keeps no task alive by itself.
_under_way: set[asyncio.Task[None]] = set()


async def carry_through(work: Coroutine[Any, Any, None]) -> None:
    """
    Run work to its end, even when the task that waits for it is cancelled.

    Airflow's triggerer cancels a killed trigger again in each of its rounds, once a second, until it is gone
    (Airflow 3.3.2, ``TriggerRunner.cancel_triggers``), so that ``on_kill`` has one second for what it awaits itself.

    :param work: What is to be done.
    """
    job = asyncio.ensure_future(work)
    _under_way.add(job)
    job.add_done_callback(_done)
    await asyncio.shield(job)


async def despite_shutdown(send: Callable[[], Awaitable[_T]]) -> _T:
    """
    Send a request that may be repeated; when the event loop stops in the middle of it, once more.

    :param send: Sends it.
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
