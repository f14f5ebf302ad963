"""Watching an accepted call in the triggerer until it is over."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_openai_realtime.exceptions import OpenAIRealtimeError, SwitchboardError
from airflow_openai_realtime.hooks.realtime import RealtimeHook
from airflow_openai_realtime.triggers.pacing import Settling
from airflow_openai_realtime.triggers.task_state import is_killed

if TYPE_CHECKING:
    from airflow_openai_realtime.calls.watch import Sideband, WatchPorts
    from airflow_openai_realtime.switchboard.client import AsyncSwitchboardClient
    from airflow_openai_realtime.switchboard.records import SwitchboardCall

#: What the switchboard is told when the task was killed.
KILLED = "killed"


class WatchCallTrigger(BaseTrigger):
    """
    Hold the socket of a call until the call is over; hang it up at its time. Fires once, with ``status``:

    - ``over`` and ``result``: how it ended,
    - ``error`` and ``message``: it cannot be watched; the switchboard ends it at its time.

    :param call_id: The call.
    :param hangup_at: When to hang up, ISO 8601 with an offset.
    :param openai_realtime_conn_id: Connection of type ``openai_realtime``.
    """

    def __init__(self, call_id: str, hangup_at: str, openai_realtime_conn_id: str) -> None:
        super().__init__()
        # No checks: whatever a constructor raises ends the whole triggerer.
        self.call_id = call_id
        self.hangup_at = hangup_at
        self.openai_realtime_conn_id = openai_realtime_conn_id

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what makes this trigger again: JSON primitives, no secret."""
        return (
            "airflow_openai_realtime.triggers.watch.WatchCallTrigger",
            {
                "call_id": self.call_id,
                "hangup_at": self.hangup_at,
                "openai_realtime_conn_id": self.openai_realtime_conn_id,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Watch, and fire once."""
        settling = Settling()
        try:
            payload = {"status": "over", "result": await self._watch()}
        except OpenAIRealtimeError as error:
            payload = {"status": "error", "message": str(error)}
        await settling.wait()
        yield TriggerEvent(payload)

    async def on_kill(self) -> None:
        """Hang up, when a user ended the task; not when it only moves to another triggerer."""
        if not await is_killed(self.task_instance):
            self.log.info("The task is still deferred: call %s goes on.", self.call_id)
            return
        self.log.warning("The task is killed: hanging up call %s.", self.call_id)
        hook = RealtimeHook(openai_realtime_conn_id=self.openai_realtime_conn_id)
        async with await hook.acalls() as calls:
            await calls.hang_up(self.call_id)
        async with await hook.aswitchboard() as switchboard:
            await _tell_ended(switchboard, self.call_id, KILLED, self._report)

    async def _watch(self) -> dict[str, Any]:
        from airflow_openai_realtime.calls.watch import watch_call

        async with AsyncExitStack() as stack:
            ports = await self._ports(stack)
            end = await watch_call(ports, self.call_id, datetime.fromisoformat(self.hangup_at))
        return end.to_dict()

    async def _ports(self, stack: AsyncExitStack) -> WatchPorts:
        from airflow_openai_realtime.api.sideband import attach
        from airflow_openai_realtime.calls.shared_clients import shared_calls, shared_switchboard
        from airflow_openai_realtime.calls.watch import WatchPorts

        hook = RealtimeHook(openai_realtime_conn_id=self.openai_realtime_conn_id)
        line = await hook.aline()
        calls = await stack.enter_async_context(shared_calls(line.api))
        switchboard = await stack.enter_async_context(shared_switchboard(line.switchboard))

        def open_socket(call_id: str, doubt_seconds: float) -> AbstractAsyncContextManager[Sideband]:
            return attach(line.api, call_id, retry_seconds=doubt_seconds)

        async def find(call_id: str) -> SwitchboardCall | None:
            return await switchboard.call(call_id)

        async def ended(call_id: str, reason: str) -> None:
            await _tell_ended(switchboard, call_id, reason, self._report)

        return WatchPorts(attach=open_socket, hang_up=calls.hang_up, find=find, ended=ended, report=self._report)

    def _report(self, line: str) -> None:
        self.log.warning("%s", line)


async def _tell_ended(switchboard: AsyncSwitchboardClient, call_id: str, reason: str, report: Any) -> None:
    try:
        await switchboard.ended(call_id, reason)
    except SwitchboardError as error:
        report(f"The switchboard could not be told that call {call_id} is over: {error}")
