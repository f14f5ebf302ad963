"""
A sweep: what a worker of the switchboard looks for again and again, beside its requests.

Every worker runs the same sweeps and none is elected. What belongs to whom is decided in the store: a worker *leases* a
call or takes a lock there, and when it dies, the lease runs out and the sweep of another worker goes on. This module
holds what all sweeps have in common: the rhythm, being woken early, work on single calls beside the rounds, keeping the
leases of work that takes longer, and that no failure ends a sweep.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from airflow_openai_realtime.calls.call import CallKey
from airflow_openai_realtime.exceptions import StoreUnavailable
from airflow_openai_realtime.switchboard.server.process import logs

log = logging.getLogger(__name__)


class Sweep:
    """
    Rounds of one kind of work, until :meth:`run` is cancelled.

    A round that fails is logged, and the next one comes after the usual pause; that the store is away is logged once
    until it is back.

    :param name: Begins the log lines: ``reaper`` logs ``reaper.sweep_failed``.
    :param look: One round.
    :param now: The clock.
    :param every_seconds: Pause between two rounds, in seconds, above 0.
    :param first_after_seconds: Pause before the first round, in seconds.
    :param calls_at_once: How many calls of one line are worked on at once; further ones wait for their turn. For each
        line, so that one whose hosts hang does not hold up the others.
    :param renew: Keeps the leases on calls; called at the beginning of a round with those that were worked on at the
        beginning of the round before, if there are any.
    """

    def __init__(
        self,
        name: str,
        look: Callable[[], Awaitable[object]],
        now: Callable[[], datetime],
        every_seconds: float,
        *,
        first_after_seconds: float = 0.0,
        calls_at_once: int = 1,
        renew: Callable[[Sequence[CallKey]], Awaitable[object]] | None = None,
    ) -> None:
        self._name = name
        self._look = look
        self._now = now
        self._every_seconds = every_seconds
        self._first_after_seconds = first_after_seconds
        self._renew = renew
        self._turns = defaultdict[str, asyncio.Semaphore](lambda: asyncio.Semaphore(calls_at_once))
        self._working: dict[CallKey, asyncio.Task[None]] = {}
        self._known: set[CallKey] = set()  # what was worked on at the beginning of the last round
        self._woken = asyncio.Event()
        self.last_at: datetime | None = None
        """When the last round that succeeded was over, aware; ``None`` before the first."""

    def soon(self) -> None:
        """Begin the next round now: there is something to be found."""
        self._woken.set()

    async def run(self) -> None:
        """Make rounds until this is cancelled. Work on single calls goes on then; :meth:`close` ends it."""
        is_away = False
        await self._pause(self._first_after_seconds)
        while True:
            self._woken.clear()
            try:
                await self.once()
                is_away = False
            except StoreUnavailable as error:
                if not is_away:
                    log.error(logs.line(f"{self._name}.store_unavailable", error=error))
                is_away = True
            except Exception:
                log.exception(f"{self._name}.sweep_failed")
            await self._pause(self._every_seconds)

    async def once(self) -> None:
        """
        Make one round.

        :raises StoreUnavailable: The store does not answer.
        """
        still = [key for key in self._working if key in self._known]
        self._known = set(self._working)
        if still and self._renew is not None:
            await self._renew(still)
        await self._look()
        self.last_at = self._now()

    def begin(self, key: CallKey, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """
        Work on a call beside the rounds, when its line has a turn for it; returns at once.

        A failure is logged, and reaches neither the rounds nor other calls.

        :param key: Line and call id. While a call is worked on, or waits for its turn, it is not begun again.
        :param work: Called in a task of its own.
        """
        if key not in self._working:
            self._working[key] = asyncio.ensure_future(self._work_on(key, work))
            self._working[key].add_done_callback(lambda _: self._working.pop(key, None))

    def is_working_on(self, key: CallKey) -> bool:
        """
        Whether work on a call has begun, or waits for its turn, and is not over.

        :param key: Line and call id.
        """
        return key in self._working

    async def settled(self) -> None:
        """Wait until all work on single calls is over."""
        while self._working:
            await asyncio.wait(list(self._working.values()))

    async def close(self, seconds: float = 0.0) -> None:
        """
        End the work on single calls; what is broken off is done by another worker when its lease has run out.

        :param seconds: How long it may go on, in seconds.
        """
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self.settled(), seconds)
        rest = list(self._working.values())
        for task in rest:
            task.cancel()
        if rest:
            await asyncio.wait(rest)

    async def _pause(self, seconds: float) -> None:
        # Not asyncio.wait_for: before Python 3.12 it can swallow a cancellation that comes together with a wake-up.
        timer = asyncio.get_running_loop().call_later(seconds, self._woken.set)
        try:
            await self._woken.wait()
        finally:
            timer.cancel()

    async def _work_on(self, key: CallKey, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        line, call_id = key
        async with self._turns[line]:
            try:
                await work()
            except StoreUnavailable as error:
                log.error(logs.line(f"{self._name}.store_unavailable", line=line, call_id=call_id, error=error))
            except Exception:
                log.exception(logs.line(f"{self._name}.failed", line=line, call_id=call_id))
