"""
Retention: what is over and older than the settings allow is deleted, a little at a time.

One runs in each worker, so that it goes on whichever of them dies; the store lets one at a time delete.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from airflow_openai_realtime.switchboard.server.process import logs
from airflow_openai_realtime.switchboard.server.process.executor import Executor
from airflow_openai_realtime.switchboard.server.store import Store
from airflow_openai_realtime.switchboard.server.sweeps.sweep import Sweep
from airflow_openai_realtime.switchboard.server.switchboard_settings import SwitchboardSettings

log = logging.getLogger(__name__)

FIRST_AFTER_SECONDS = 60.0
"""A service that starts has something better to do."""

PROCESS_DAYS = 1.0
"""A process that was not seen for so long is dead, and its calls are over."""

PAUSE_SECONDS = 0.1
"""Between two batches, so that deliveries do not wait for a long row of them."""


class Retention:
    """
    Deletes old rows of all lines.

    :param store: Where the rows are.
    :param threads: To use the store from.
    :param settings: How long what is kept, and how often old rows are looked for.
    :param now: The clock.
    """

    def __init__(
        self, store: Store, threads: Executor, settings: SwitchboardSettings, now: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._threads = threads
        self._settings = settings
        self._now = now
        interval = settings.retention_interval_seconds
        first = min(FIRST_AFTER_SECONDS, interval)
        self.sweep = Sweep("retention", self.delete, now, interval, first_after_seconds=first)

    async def delete(self) -> Mapping[str, int]:
        """
        Delete all that is old now.

        :returns: How many rows of each kind: ``conversations`` (made empty), ``calls, feed, numbers`` (of attempts,
            made empty), ``run_starts`` (of DAG runs), ``attempts``, ``processes`` (that held conversations).
        :raises StoreUnavailable: The store does not answer.
        """
        rows, settings = self._store.old_rows, self._settings
        counts: dict[str, int] = {}
        transcript_days = settings.transcript_days or settings.retention_days
        if transcript_days:
            before = self._now() - timedelta(days=transcript_days)
            counts["conversations"] = await self._all(rows.blank_conversations, before, least=1)
        if settings.retention_days:
            before = self._now() - timedelta(days=settings.retention_days)
            counts["calls"] = await self._all(rows.delete_calls, before)
            counts["feed"] = await self._all(rows.delete_feed, before)
            counts["run_starts"] = await self._all(rows.delete_run_starts, before)
            counts["numbers"] = await self._all(rows.blank_numbers, before)
        if settings.ledger_retention_days:
            before = self._now() - timedelta(days=settings.ledger_retention_days)
            counts["attempts"] = await self._all(rows.delete_attempts, before)
        counts["processes"] = await self._all(rows.delete_processes, self._now() - timedelta(days=PROCESS_DAYS))
        if any(counts.values()):
            log.info(logs.line("retention.deleted", **counts))
        return counts

    async def _all(self, batch: Callable[[datetime, int], int], before: datetime, least: int | None = None) -> int:
        """Run batches until one does less than ``least``; by default, until one is not full."""
        limit, total = self._settings.retention_batch, 0
        while True:
            done = await self._threads.run(batch, before, limit)
            total += done
            if done < (least or limit):
                return total
            await asyncio.sleep(PAUSE_SECONDS)
