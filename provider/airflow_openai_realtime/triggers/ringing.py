"""Follow a line's ringing calls in the triggerer without end: for watchers, which must not end."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING

from airflow_openai_realtime.hooks.realtime import RealtimeHook
from airflow_openai_realtime.inbound.feed import REPORT_EVERY_SECONDS, Report, shared_feed
from airflow_openai_realtime.inbound.notifier import Notifier, rings

if TYPE_CHECKING:
    from airflow_openai_realtime.calls.call import SwitchboardCall
    from airflow_openai_realtime.calls.line_settings import SwitchboardAddress

#: How often the connection is looked up again, in seconds: a watcher runs for weeks, and a connection may be changed.
LOOK_UP_EVERY_SECONDS = 300.0
#: Pauses after something went wrong, in seconds: the first, and the longest.
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0


class SparingReport:
    """
    Reports errors, at most once a minute.

    :param report: Called with a line for the log.
    :param monotonic: Seconds that only grow; for tests.
    """

    def __init__(self, report: Report, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._report = report
        self._monotonic = monotonic
        self._last: float | None = None

    def __call__(self, line: str) -> None:
        """Report this, unless something was reported less than a minute ago."""
        now = self._monotonic()
        if self._last is None or now - self._last >= REPORT_EVERY_SECONDS:
            self._last = now
            self._report(line)


async def ring_for_ever(conn_id: str, notifier: Notifier, report: Report) -> AsyncGenerator[SwitchboardCall, None]:
    """
    Yield the calls of a line to fire for. Never ends and never raises; errors are logged and retried.

    :param conn_id: Connection of type ``openai_realtime``. It need not be there yet.
    :param notifier: Says when to ring for which call.
    :param report: Called with lines for the log.
    """
    sparingly = SparingReport(report)
    address: SwitchboardAddress | None = None
    pause = FIRST_PAUSE_SECONDS
    while True:
        try:
            address = await _look_up(conn_id, address, sparingly)
            async with (
                shared_feed(address) as feed,
                aclosing(rings(feed, notifier, report, seconds=LOOK_UP_EVERY_SECONDS)) as calls,
            ):
                async for call in calls:
                    yield call
            pause = FIRST_PAUSE_SECONDS
        except Exception as error:
            # The address may be wrong: look it up again, so that a corrected connection is used at once.
            address = None
            sparingly(f"No events for calls of {conn_id} now; retrying: {type(error).__name__}: {error}")
            await asyncio.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)


async def idle_for_ever(reason: str, report: Report, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
    """
    Do nothing without end, and log the reason once a minute.

    :param reason: A line for the log.
    :param report: Called with it.
    :param sleep: Waits this many seconds.
    """
    while True:
        report(reason)
        await sleep(REPORT_EVERY_SECONDS)


async def _look_up(conn_id: str, known: SwitchboardAddress | None, report: Report) -> SwitchboardAddress:
    """Look the switchboard up; if Airflow does not answer, return the known address."""
    try:
        return (await RealtimeHook(openai_realtime_conn_id=conn_id).aline()).switchboard
    except Exception as error:
        if known is None:
            raise
        report(f"Connection {conn_id} cannot be looked up, going on with it as it was: {error}")
        return known
