"""Waiting for a call in the triggerer."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_openai_realtime.exceptions import OpenAIRealtimeError
from airflow_openai_realtime.hooks.realtime import RealtimeHook
from airflow_openai_realtime.triggers.pacing import Settling

if TYPE_CHECKING:
    from airflow_openai_realtime.calls.waiting import CarrierWatch


class WaitForCallTrigger(BaseTrigger):
    """
    Wait for a call that matches, and claim it. Fires once, with ``status``:

    - ``claimed`` and ``call_id``; the call itself stays at the switchboard, since Airflow logs events with their
    content,
    - ``timeout``,
    - ``not_answered`` and ``outcome``: the carrier says that no call will come,
    - ``error`` and ``message``: waiting on cannot help.

    All of these in a process share one long poll. Moved to another triggerer, it waits on there, and a call that it had
    claimed is found again.

    :param openai_realtime_conn_id: Connection of type ``openai_realtime``.
    :param match: What to look for, as ``CallMatch.to_dict`` writes it.
    :param claimant: Stable name of the task.
    :param deadline: When to give up, in seconds since 1970.
    :param telephony_carrier_conn_id: Connection of the carrier that placed the call, for outbound calls.
    :param carrier_call_id: The carrier's id of the placed call.
    """

    def __init__(
        self,
        openai_realtime_conn_id: str,
        match: dict[str, Any],
        claimant: str,
        deadline: float,
        telephony_carrier_conn_id: str | None = None,
        carrier_call_id: str | None = None,
    ) -> None:
        super().__init__()
        # No checks: whatever a constructor raises ends the whole triggerer. The sensor has checked all of it.
        self.openai_realtime_conn_id = openai_realtime_conn_id
        self.match = match
        self.claimant = claimant
        self.deadline = deadline
        self.telephony_carrier_conn_id = telephony_carrier_conn_id
        self.carrier_call_id = carrier_call_id

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what makes this trigger again: JSON primitives, no secret."""
        return (
            "airflow_openai_realtime.triggers.wait_for_call.WaitForCallTrigger",
            {
                "openai_realtime_conn_id": self.openai_realtime_conn_id,
                "match": self.match,
                "claimant": self.claimant,
                "deadline": self.deadline,
                "telephony_carrier_conn_id": self.telephony_carrier_conn_id,
                "carrier_call_id": self.carrier_call_id,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and fire once."""
        settling = Settling()
        try:
            payload = await self._wait()
        except OpenAIRealtimeError as error:
            payload = {"status": "error", "message": str(error)}
        await settling.wait()
        yield TriggerEvent(payload)

    async def _wait(self) -> dict[str, Any]:
        from airflow_openai_realtime.calls.shared_clients import shared_feed
        from airflow_openai_realtime.calls.waiting import wait_for_call
        from airflow_openai_realtime.switchboard.matching import CallMatch

        line = await RealtimeHook(openai_realtime_conn_id=self.openai_realtime_conn_id).aline()
        async with AsyncExitStack() as stack:
            waited = await wait_for_call(
                await stack.enter_async_context(shared_feed(line.switchboard)),
                match=CallMatch.from_dict(self.match),
                claimant=self.claimant,
                seconds=self.deadline - time.time(),
                report=self._report,
                carrier=await self._carrier_watch(stack),
            )
        if waited.call is not None:
            return {"status": waited.status, "call_id": waited.call.call_id}
        return {"status": waited.status, "outcome": waited.outcome}

    async def _carrier_watch(self, stack: AsyncExitStack) -> CarrierWatch | None:
        if not self.telephony_carrier_conn_id or not self.carrier_call_id:
            return None
        from airflow_openai_realtime.calls.shared_clients import shared_dialer
        from airflow_openai_realtime.calls.waiting import CarrierWatch
        from airflow_openai_realtime.hooks.telephony_carrier import TelephonyCarrierHook

        settings = await TelephonyCarrierHook(telephony_carrier_conn_id=self.telephony_carrier_conn_id).asettings()
        return CarrierWatch(await stack.enter_async_context(shared_dialer(settings)), self.carrier_call_id)

    def _report(self, line: str) -> None:
        self.log.warning("%s", line)
