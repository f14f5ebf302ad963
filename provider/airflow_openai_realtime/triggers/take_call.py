"""Waiting in the triggerer for a live call that a standing order has answered."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_openai_realtime.calls.matching import CallMatch
from airflow_openai_realtime.exceptions import OpenAIRealtimeError
from airflow_openai_realtime.hooks.realtime import RealtimeHook
from airflow_openai_realtime.triggers.carried_through import carry_through
from airflow_openai_realtime.triggers.pacing import settling


class TakeCallTrigger(BaseTrigger):
    """
    Wait for a call that a standing order has answered, and take it over. Fires once, with ``status``:

    - ``accepted`` and ``call_id``; the call itself stays at the switchboard,
    - ``timeout``,
    - ``error`` and ``message``: waiting on cannot help.

    It shares one long poll with all other waiting triggers of the process. Moved to another triggerer, it waits on
    there, and a call that it had taken over is found again. Killed, it ends a call that it has taken over by then.

    :param openai_realtime_conn_id: Connection of type ``openai_realtime``.
    :param order: Name of the order.
    :param match: What else must hold, as ``CallMatch.to_dict`` writes it.
    :param claimant: Stable name of the task, the call's owner.
    :param deadline: When to give up, in seconds since 1970.
    :param connections: The connections, sealed by ``hand_over``; without them they are looked up.
    """

    def __init__(
        self,
        openai_realtime_conn_id: str,
        order: str,
        match: dict[str, Any],
        claimant: str,
        deadline: float,
        connections: str | None = None,
    ) -> None:
        super().__init__()
        # No checks: whatever a constructor raises ends the whole triggerer. The operator has checked all of it.
        self.openai_realtime_conn_id = openai_realtime_conn_id
        self.order = order
        self.match = match
        self.owner = claimant
        self.deadline = deadline
        self.connections = connections

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what makes this trigger again: JSON primitives, no secret; what may hold one is sealed."""
        return (
            "airflow_openai_realtime.triggers.take_call.TakeCallTrigger",
            {
                "openai_realtime_conn_id": self.openai_realtime_conn_id,
                "order": self.order,
                "match": self.match,
                "claimant": self.owner,
                "deadline": self.deadline,
                "connections": self.connections,
            },
        )

    def __repr__(self) -> str:
        classpath, kwargs = self.serialize()
        return self.repr(classpath, {**kwargs, "connections": "sealed" if self.connections else None})

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and fire once."""
        async with settling():
            try:
                payload = await self._wait()
            except OpenAIRealtimeError as error:
                payload = {"status": "error", "message": str(error)}
        yield TriggerEvent(payload)

    async def on_kill(self) -> None:
        """End a call that was taken over by now, or leave it to the next try; see ``triggers/killing.py``."""
        from airflow_openai_realtime.triggers.killing import Kill

        match = CallMatch.from_dict(self.match)
        kill = Kill(self._hook(), self.task_instance, self.owner, self._report, match=match)
        await carry_through(kill.carry_out())

    async def _wait(self) -> dict[str, Any]:
        from airflow_openai_realtime.inbound.feed import shared_feed
        from airflow_openai_realtime.inbound.taking_over import AnsweredMatch, TakingOver
        from airflow_openai_realtime.inbound.waiting import wait_for_call

        line = await self._hook().aline()
        async with shared_feed(line.switchboard) as feed:
            waited = await wait_for_call(
                feed,
                match=AnsweredMatch(self.order, CallMatch.from_dict(self.match)),
                owner=self.owner,
                seconds=self.deadline - time.time(),
                report=self._report,
                claimer=TakingOver(feed.client, self.owner, self.order),
            )
        return {"status": waited.status, "call_id": waited.call and waited.call.call_id}

    def _hook(self) -> RealtimeHook:
        return RealtimeHook(openai_realtime_conn_id=self.openai_realtime_conn_id, connections=self.connections)

    def _report(self, line: str) -> None:
        self.log.warning("%s", line)
