"""The parts of one switchboard process, made once and handed to its routes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from datetime import datetime, timezone

from airflow_openai_realtime.api import network
from airflow_openai_realtime.api.client import CallsClient
from airflow_openai_realtime.api.phone_numbers import load_number_rules, mask_number
from airflow_openai_realtime.api.settings import ApiSettings
from airflow_openai_realtime.calls.lines import Lines
from airflow_openai_realtime.calls.task_states import AskTaskState, LeaveResult
from airflow_openai_realtime.exceptions import ConfigurationError, StoreUnavailable
from airflow_openai_realtime.switchboard.server.intake.intake import IntakeWriter
from airflow_openai_realtime.switchboard.server.intake.line_directory import LineDirectory
from airflow_openai_realtime.switchboard.server.orders.dispatcher import OrderDispatcher
from airflow_openai_realtime.switchboard.server.polls import Polls
from airflow_openai_realtime.switchboard.server.process import logs
from airflow_openai_realtime.switchboard.server.process.executor import Executor
from airflow_openai_realtime.switchboard.server.process.metrics import Counters
from airflow_openai_realtime.switchboard.server.process.passed_checks import PassedChecks
from airflow_openai_realtime.switchboard.server.standby.standby import Standby
from airflow_openai_realtime.switchboard.server.store import NewCall, Store
from airflow_openai_realtime.switchboard.server.store.order_taking import Stored
from airflow_openai_realtime.switchboard.server.sweeps.reaper import Reaper
from airflow_openai_realtime.switchboard.server.sweeps.retention import Retention
from airflow_openai_realtime.switchboard.server.switchboard_settings import SwitchboardSettings

log = logging.getLogger(__name__)

PAUSE_BETWEEN_TRIES_SECONDS = 2.0


def utc_now() -> datetime:
    """The time, aware, in UTC."""
    return datetime.now(timezone.utc)


class Service:
    """
    One switchboard process.

    :param store: Shared with all other processes of this switchboard; nothing else is.
    :param lines: Where lines are looked up.
    :param settings: What can be tuned.
    :param now: The clock.
    :param api_client: Makes a client for OpenAI; for tests.
    :param task_states: Says how an Airflow task is; ``None`` where Airflow cannot be asked.
    """

    def __init__(
        self,
        store: Store,
        lines: Lines,
        settings: SwitchboardSettings,
        *,
        now: Callable[[], datetime] = utc_now,
        api_client: Callable[[ApiSettings], CallsClient] = CallsClient,
        task_states: AskTaskState | None = None,
    ) -> None:
        self.store = store
        self.settings = settings
        self.now = now
        self.task_states = task_states
        #: Leaves the result of a killed task's call in Airflow; ``None`` where Airflow is elsewhere.
        self.leave_result: LeaveResult | None = None
        self.threads = Executor(settings.store_threads, "switchboard-store")
        self.lines = LineDirectory(lines, settings)
        self.polls = Polls(store, self.threads, settings, now)
        self.counters = Counters()
        self.passed_checks = PassedChecks()
        self.reaper = Reaper(store, self.lines, self.threads, settings, now, api_client, self.polls.wake, self.counters)
        self.orders = OrderDispatcher(store, self.lines, api_client, settings, now, on_change=self.polls.wake)
        self.standby = Standby(store, self.lines, settings, now, self.counters, on_gone=self.reaper.seems_over)
        self.intake = IntakeWriter(self.orders.store, settings, self._on_new_calls)
        self.retention = Retention(store, self.threads, settings, now)
        self._connections = AsyncExitStack()
        self._background: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """
        Prepare the store, and start what looks after calls; when the store is away, keep trying beside the requests.
        """
        self.polls.open()
        await self.threads.run(load_number_rules)
        is_ready = await self._prepare()
        self._background.append(asyncio.ensure_future(self._look_after_calls(is_ready)))

    async def stop(self) -> None:
        """End everything that was started; what was accepted for storing is stored first."""
        await self.polls.stop()
        for task in self._background:
            task.cancel()
        if self._background:
            await asyncio.wait(self._background)
        self._background.clear()
        await self.reaper.sweep.close()
        await self.intake.close()
        await self.orders.close()
        await self.standby.close()
        await self._connections.aclose()
        self.lines.close()
        self.threads.close()
        self.store.close()

    async def _look_after_calls(self, is_ready: bool) -> None:
        while not is_ready:
            await asyncio.sleep(PAUSE_BETWEEN_TRIES_SECONDS)
            is_ready = await self._prepare()
        await self.threads.run(network.load)
        await self._connections.enter_async_context(network.holding_connections())
        sweeps = (self.reaper.sweep, self.orders.sweep, *self.standby.sweeps, self.retention.sweep)
        await asyncio.gather(*(sweep.run() for sweep in sweeps))

    async def _prepare(self) -> bool:
        try:
            await self.threads.run(self.store.prepare)
        except (StoreUnavailable, ConfigurationError) as error:
            log.error(logs.line("store.unavailable", error=error, cause=type(error.__cause__).__name__))
            return False
        except Exception:
            # Mounted, a failing start would take Airflow's whole API server along.
            log.exception("store.preparation_failed")
            return False
        return True

    def _on_new_calls(self, new: Sequence[NewCall], stored: Stored) -> None:
        self.orders.answer(stored)
        for call in new:
            log.info(
                logs.line(
                    f"call.{call.state}",
                    line=call.line,
                    call_id=call.call_id,
                    from_=call.from_number and mask_number(call.from_number),
                    to=call.to_number and mask_number(call.to_number),
                )
            )
            self.polls.wake(call.line)
