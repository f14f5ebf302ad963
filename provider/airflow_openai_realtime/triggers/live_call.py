"""Run an accepted call in the triggerer until it is over."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_openai_realtime.conversation.wanted_conversation import WantedConversation
from airflow_openai_realtime.exceptions import OpenAIRealtimeError, SwitchboardError
from airflow_openai_realtime.hooks.realtime import RealtimeHook
from airflow_openai_realtime.triggers.carried_through import carry_through
from airflow_openai_realtime.triggers.pacing import settling

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_openai_realtime.calls.call import SwitchboardCall
    from airflow_openai_realtime.hooks.realtime import LineSettings

#: Status of the event when a call is over.
OVER = "over"


class LiveCallTrigger(BaseTrigger):
    """
    Hold the socket of an accepted call until it is over, and run its conversation. Fires once, with ``status``:

    - ``over`` and ``call_id``; the result stays at the switchboard, since Airflow logs events with their content,
    - ``error`` and ``message``: the call cannot be run; the switchboard ends it at its time.

    When the trigger moves to another triggerer, the call goes on there from the saved timeline. A cancelled trigger
    leaves the call alone. When the task is marked as failed or successful, or its run is, the call ends; when the task
    is cleared, the call waits a minute for the next try (Airflow 3.3 and later).

    :param openai_realtime_conn_id: Connection of type ``openai_realtime``.
    :param call_id: OpenAI's id of the call.
    :param holder: Stable name of the task, which owns the conversation.
    :param conversation: The call and its conversation, encrypted by ``WantedConversation.seal``.
    :param connections: The connections, encrypted by ``hand_over``; ``None``: the trigger looks them up.
    """

    def __init__(
        self,
        openai_realtime_conn_id: str,
        call_id: str,
        holder: str,
        conversation: str,
        connections: str | None = None,
    ) -> None:
        super().__init__()
        # No checks: an exception in a constructor ends the whole triggerer. The task has checked the arguments.
        self.openai_realtime_conn_id = openai_realtime_conn_id
        self.call_id = call_id
        self.holder = holder
        self.conversation = conversation
        self.connections = connections
        self._generation = 0

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the arguments of this trigger: JSON primitives; those that may hold secrets are encrypted."""
        return (
            "airflow_openai_realtime.triggers.live_call.LiveCallTrigger",
            {
                "openai_realtime_conn_id": self.openai_realtime_conn_id,
                "call_id": self.call_id,
                "holder": self.holder,
                "conversation": self.conversation,
                "connections": self.connections,
            },
        )

    def __repr__(self) -> str:
        classpath, kwargs = self.serialize()
        sealed = {name: "sealed" if kwargs[name] else None for name in ("conversation", "connections")}
        return self.repr(classpath, {**kwargs, **sealed})

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Run the call, and fire once."""
        async with settling():
            try:
                payload = await self._run_call()
            except OpenAIRealtimeError as error:
                payload = error_payload(error)
        yield TriggerEvent(payload)

    async def on_kill(self) -> None:
        """End the call, or leave it to the next try or to another triggerer; see ``triggers/killing.py``."""
        from airflow_openai_realtime.triggers.killing import Kill

        kill = Kill(
            self._hook(),
            self.task_instance,
            self.holder,
            self._report,
            call_id=self.call_id,
            generation=self._generation,
            returns_result=True,
        )
        await carry_through(kill.carry_out())

    async def _run_call(self) -> dict[str, Any]:
        line = await self._hook().aline()
        wanted = WantedConversation.unseal(self.conversation, line.api.api_key)
        if wanted.call is None:
            raise SwitchboardError(f"the trigger got no data of call {self.call_id}", call_id=self.call_id)
        return await run_to_its_end(line, wanted, wanted.call, self.holder, self._report, self._note_opened)

    def _note_opened(self, generation: int) -> None:
        self._generation = generation

    def _hook(self) -> RealtimeHook:
        return RealtimeHook(openai_realtime_conn_id=self.openai_realtime_conn_id, connections=self.connections)

    def _report(self, line: str) -> None:
        self.log.warning("%s", line)


async def run_to_its_end(
    line: LineSettings,
    wanted: WantedConversation,
    call: SwitchboardCall,
    holder: str,
    report: Callable[[str], None],
    opened: Callable[[int], None],
) -> dict[str, Any]:
    """
    Run an accepted call until it is over, in whichever trigger has it.

    :param line: The connection's settings.
    :param wanted: What is to happen.
    :param call: The accepted call.
    :param holder: Stable name of the task.
    :param report: Called with lines for the log.
    :param opened: Called with the number of this holder of the call.
    :return: What the trigger's event says: no more than that the call is over, since Airflow logs events.
    :raises OpenAIRealtimeError: It cannot be run; the switchboard ends it at its time.
    """
    # Slow to load: not in the event loop, where other calls run.
    await asyncio.to_thread(importlib.import_module, "airflow_openai_realtime.conversation.run.live_run")
    from airflow_openai_realtime.conversation.run.live_run import run_live

    await run_live(line.api, line.switchboard, wanted, call, holder, report, opened)
    return {"status": OVER, "call_id": call.call_id}


def error_payload(error: OpenAIRealtimeError) -> dict[str, Any]:
    """
    Return what the event says when a call cannot be run.

    :param error: Why; its message holds nothing personal.
    """
    return {"status": "error", "message": str(error)}
