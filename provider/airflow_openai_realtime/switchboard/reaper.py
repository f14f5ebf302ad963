"""
The reaper ends what nobody else ended: it hangs up calls past their ``hangup_at``, and gives up calls that rang out.

One runs in each worker. It is the last layer that keeps a call from going on for ever, so it never stops trying.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from functools import partial
from typing import Any

from airflow_openai_realtime.api.client import AsyncCallsClient
from airflow_openai_realtime.api.settings import ApiSettings
from airflow_openai_realtime.exceptions import OpenAIRealtimeError
from airflow_openai_realtime.switchboard import logs, moves
from airflow_openai_realtime.switchboard.counters import REAPER_ACTIONS, Counters
from airflow_openai_realtime.switchboard.errors import StoreUnavailable
from airflow_openai_realtime.switchboard.line_directory import LineDirectory
from airflow_openai_realtime.switchboard.records import CLAIMED
from airflow_openai_realtime.switchboard.settings import LONGEST_CALL_SECONDS, SwitchboardSettings
from airflow_openai_realtime.switchboard.store import OverdueCall, Store
from airflow_openai_realtime.switchboard.threads import Threads

log = logging.getLogger(__name__)

MAX_DURATION = "max_duration"
GONE = "gone"
HANG_UP_FAILED = "hang_up_failed"

UNCONFIRMED_SECONDS = 30.0
"""How long after ``hangup_at`` an accept request may still be on its way, so that "gone" may mean "not there yet"."""


class Reaper:
    """
    Ends overdue calls of all lines.

    :param lines: For the key to hang up with.
    :param api_client: Lends a client for OpenAI.
    :param on_change: Told of the line of each call that changed.
    :param counters: Where what it does is counted.
    """

    def __init__(
        self,
        store: Store,
        lines: LineDirectory,
        threads: Threads,
        settings: SwitchboardSettings,
        now: Callable[[], datetime],
        api_client: Callable[[ApiSettings], AbstractAsyncContextManager[AsyncCallsClient]],
        on_change: Callable[[str], None] = lambda line: None,
        counters: Counters | None = None,
    ) -> None:
        self._store = store
        self._lines = lines
        self._threads = threads
        self._settings = settings
        self._now = now
        self._api_client = api_client
        self._on_change = on_change
        self._counters = counters or Counters()
        self._busy: dict[tuple[str, str], asyncio.Task[None]] = {}
        self.last_sweep_at: datetime | None = None

    async def run(self) -> None:
        """Sweep for ever; a slow hang-up does not hold up the next sweep."""
        try:
            while True:
                try:
                    await self.sweep()
                except StoreUnavailable as error:
                    log.error(logs.line("reaper.store_unavailable", error=error))
                except Exception:
                    log.exception("reaper.sweep_failed")
                await asyncio.sleep(self._settings.reaper_interval_seconds)
        finally:
            for task in self._busy.values():
                task.cancel()

    async def sweep(self) -> None:
        """
        Look once, mark what rang out, and begin to hang up what is overdue.

        :raises StoreUnavailable: The store does not answer.
        """
        for call in await self._threads.run(self._store.reaping.overdue, self._now()):
            key = (call.line, call.call_id)
            if key not in self._busy and self._busy_on(call.line) < self._settings.reaper_concurrency:
                self._busy[key] = asyncio.ensure_future(self._watched(self._end(call), call))
                self._busy[key].add_done_callback(partial(self._forget, key))
        grace = self._settings.claim_grace_seconds
        for line, call_id in await self._threads.run(self._store.reaping.rung_out, self._now(), grace):
            await self._move(line, call_id, lambda call: moves.missed(call, self._now(), grace))
            self._counters.add(REAPER_ACTIONS, "missed", line)
            log.info(logs.line("call.missed", line=line, call_id=call_id))
        self.last_sweep_at = self._now()

    async def settled(self) -> None:
        """Wait for the hang-ups that were begun."""
        while self._busy:
            await asyncio.wait(list(self._busy.values()))

    def _forget(self, key: tuple[str, str], _: asyncio.Task[None]) -> None:
        self._busy.pop(key, None)

    def _busy_on(self, line: str) -> int:
        # Counted for each line: one whose hosts hang must not keep the others' calls open.
        return sum(busy_line == line for busy_line, _ in self._busy)

    async def _watched(self, work: Coroutine[Any, Any, None], call: OverdueCall) -> None:
        try:
            await work
        except StoreUnavailable as error:
            log.error(logs.line("reaper.store_unavailable", call_id=call.call_id, error=error))
        except Exception:
            log.exception(logs.line("reaper.failed", line=call.line, call_id=call.call_id))

    async def _end(self, call: OverdueCall) -> None:
        lease = self._settings.reaper_lease_seconds
        if not await self._threads.run(self._store.reaping.take, call, self._now(), lease):
            return
        try:
            gone = await self._hang_up(call)
        except OpenAIRealtimeError as error:
            await self._failed(call, error)
            return
        late = (self._now() - call.hangup_at).total_seconds()
        if gone and call.state == CLAIMED and late < UNCONFIRMED_SECONDS:
            # Its accept request may still be on its way: look again, so that it is not left open.
            await self._threads.run(self._store.reaping.postpone, call, self._now(), lease)
            return
        await self._ended(call, GONE if gone else MAX_DURATION)

    async def _hang_up(self, call: OverdueCall) -> bool:
        """Whether the call was gone already."""
        line = await self._lines.find(call.line)
        if line is None:
            raise OpenAIRealtimeError(
                f"line {call.line} is not configured any more, so there is no key to hang up with"
            )
        async with self._api_client(line.api) as client:
            return (await client.hang_up(call.call_id)).gone

    async def _failed(self, call: OverdueCall, error: OpenAIRealtimeError) -> None:
        late = (self._now() - call.hangup_at).total_seconds()
        if late > LONGEST_CALL_SECONDS:
            # OpenAI itself has ended it by now.
            log.error(logs.line("reaper.gave_up", line=call.line, call_id=call.call_id, tries=call.tries, error=error))
            await self._ended(call, HANG_UP_FAILED)
            return
        self._counters.add(REAPER_ACTIONS, "try_failed", call.line)
        pause = min(self._settings.reaper_backoff_seconds, 2.0 ** min(call.tries, 10))
        log.error(
            logs.line(
                "reaper.hang_up_failed",
                line=call.line,
                call_id=call.call_id,
                tries=call.tries + 1,
                overdue_seconds=round(late),
                next_try_in_seconds=pause,
                error=error,
            )
        )
        await self._threads.run(self._store.reaping.postpone, call, self._now(), pause)

    async def _ended(self, call: OverdueCall, reason: str) -> None:
        await self._move(call.line, call.call_id, lambda current: moves.ended(current, self._now(), reason))
        self._counters.add(REAPER_ACTIONS, reason, call.line)
        log.warning(logs.line("reaper.ended", line=call.line, call_id=call.call_id, reason=reason))

    async def _move(self, line: str, call_id: str, rule: Callable[..., moves.Change]) -> None:
        await self._threads.run(self._store.calls.move, line, call_id, rule, self._now())
        self._on_change(line)
