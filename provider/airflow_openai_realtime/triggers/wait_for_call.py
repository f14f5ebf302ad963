"""Wait for a call in the triggerer; optionally answer it there and run it to its end."""

from __future__ import annotations

import asyncio
import importlib
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_openai_realtime.calls.answer_plan import AnswerPlan
from airflow_openai_realtime.calls.matching import CallMatch
from airflow_openai_realtime.exceptions import OpenAIRealtimeError
from airflow_openai_realtime.hooks.realtime import RealtimeHook
from airflow_openai_realtime.hooks.session_secrets import hide_session_secrets_async
from airflow_openai_realtime.hooks.telephony_carrier import TelephonyCarrierHook
from airflow_openai_realtime.triggers.carried_through import carry_through
from airflow_openai_realtime.triggers.live_call import OVER, error_payload, run_to_its_end
from airflow_openai_realtime.triggers.pacing import settling

if TYPE_CHECKING:
    from airflow_openai_realtime.calls.call import SwitchboardCall
    from airflow_openai_realtime.conversation.wanted_conversation import WantedConversation
    from airflow_openai_realtime.hooks.realtime import LineSettings
    from airflow_openai_realtime.inbound.answering import Answering
    from airflow_openai_realtime.inbound.waiting import CarrierWatch, Waited
    from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient

#: How long a trigger that begins again asks on for its call while the switchboard is away, in seconds.
PATIENCE_SECONDS = 300.0


class WaitForCallTrigger(BaseTrigger):
    """
    Wait for a call that matches, and claim or accept it. Fires once, with ``status``:

    - ``claimed`` and ``call_id``; the call itself stays at the switchboard, since Airflow logs events with their
      content,
    - ``accepted`` and ``call_id``: as before, and the call is accepted,
    - ``over`` and ``call_id``: with a conversation: the call was accepted and is over,
    - ``timeout``; ``outcome`` is ``canceled`` when a placed call was taken back at the carrier,
    - ``not_answered`` and ``outcome``: the carrier says that no call will come,
    - ``error`` and ``message``: waiting on cannot help, or an accept failed; the phone rings on for others.

    All of these in a process share one long poll. Moved to another triggerer, it waits on there, and a call that it had
    claimed or accepted is found again; with a conversation the call goes on from what was saved.

    :param openai_realtime_conn_id: Connection of type ``openai_realtime``.
    :param match: What to look for, as ``CallMatch.to_dict`` writes it.
    :param claimant: Stable name of the task, the call's owner.
    :param deadline: When to give up, in seconds since 1970.
    :param telephony_carrier_conn_id: Connection of the carrier that placed the call, for outbound calls.
    :param carrier_call_id: The carrier's id of the placed call.
    :param answer: What calls are accepted with, sealed by ``AnswerPlan.seal``; ``None``: a call is only claimed.
    :param conversation: What is to happen in the call once it is accepted, sealed by ``WantedConversation.seal``;
        ``None``: the task hands the call on.
    :param connections: The connections, sealed by ``hand_over``; without them they are looked up.
    :param attempt_id: Row of the placed call in the ledger.
    """

    def __init__(
        self,
        openai_realtime_conn_id: str,
        match: dict[str, Any],
        claimant: str,
        deadline: float,
        telephony_carrier_conn_id: str | None = None,
        carrier_call_id: str | None = None,
        answer: str | None = None,
        conversation: str | None = None,
        connections: str | None = None,
        attempt_id: str | None = None,
    ) -> None:
        super().__init__()
        # No checks: whatever a constructor raises ends the whole triggerer. The task has checked all of it.
        self.openai_realtime_conn_id = openai_realtime_conn_id
        self.match = match
        self.owner = claimant
        self.deadline = deadline
        self.telephony_carrier_conn_id = telephony_carrier_conn_id
        self.carrier_call_id = carrier_call_id
        self.answer = answer
        self.conversation = conversation
        self.connections = connections
        self.attempt_id = attempt_id
        self._generation = 0
        self._live_call_id: str | None = None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what makes this trigger again: JSON primitives, no secret; what may hold one is sealed."""
        return (
            "airflow_openai_realtime.triggers.wait_for_call.WaitForCallTrigger",
            {
                "openai_realtime_conn_id": self.openai_realtime_conn_id,
                "match": self.match,
                "claimant": self.owner,
                "deadline": self.deadline,
                "telephony_carrier_conn_id": self.telephony_carrier_conn_id,
                "carrier_call_id": self.carrier_call_id,
                "answer": self.answer,
                "conversation": self.conversation,
                "connections": self.connections,
                "attempt_id": self.attempt_id,
            },
        )

    def __repr__(self) -> str:
        classpath, kwargs = self.serialize()
        sealed = {name: "sealed" if kwargs[name] else None for name in ("answer", "conversation", "connections")}
        return self.repr(classpath, {**kwargs, **sealed})

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and fire once."""
        async with settling():
            # Only the event waits; the call is accepted by now.
            try:
                payload = await self._wait_and_run()
            except OpenAIRealtimeError as error:
                payload = error_payload(error)
        yield TriggerEvent(payload)

    async def on_kill(self) -> None:
        """
        End the call and take a placed one back, or leave it to the next try or to another triggerer.

        See ``triggers/killing.py``.
        """
        from airflow_openai_realtime.triggers.killing import Kill, Order

        order = None
        if self.telephony_carrier_conn_id and self.carrier_call_id and self._live_call_id is None:
            order = Order(self._carrier_hook(), self.carrier_call_id, self.attempt_id)
        kill = Kill(
            self._hook(),
            self.task_instance,
            self.owner,
            self._report,
            call_id=self._live_call_id,
            generation=self._generation,
            order=order,
            match=CallMatch.from_dict(self.match),
            returns_result=self.conversation is not None,
        )
        await carry_through(kill.carry_out())

    async def _wait_and_run(self) -> dict[str, Any]:
        line = await self._hook().aline()
        wanted = self._wanted(line)
        if wanted is not None:
            from airflow_openai_realtime.inbound.waiting import accepted_before
            from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient

            # It may begin again in the middle of the call, or after it.
            seconds = max(self.deadline - time.time(), PATIENCE_SECONDS)
            async with SwitchboardClient.at(line.switchboard) as switchboard:
                match = CallMatch.from_dict(self.match)
                call = await accepted_before(switchboard, self.owner, match, seconds=seconds)
            if call is not None and call.is_over:
                return {"status": OVER, "call_id": call.call_id}
            if call is not None:
                return await self._run_call(line, wanted, call)
        waited = await self._wait(line)
        if waited.call is None:
            return {"status": waited.status, "outcome": waited.outcome}
        if wanted is not None:
            return await self._run_call(line, wanted, waited.call)
        return {"status": waited.status, "call_id": waited.call.call_id}

    async def _run_call(self, line: LineSettings, wanted: WantedConversation, call: SwitchboardCall) -> dict[str, Any]:
        self._live_call_id = call.call_id
        return await run_to_its_end(line, wanted, call, self.owner, self._report, self._note_opened)

    def _wanted(self, line: LineSettings) -> WantedConversation | None:
        if self.conversation is None:
            return None
        from airflow_openai_realtime.conversation.wanted_conversation import WantedConversation

        return WantedConversation.unseal(self.conversation, line.api.api_key)

    async def _wait(self, line: LineSettings) -> Waited:
        from airflow_openai_realtime.inbound.feed import shared_feed
        from airflow_openai_realtime.inbound.waiting import wait_for_call

        async with AsyncExitStack() as stack:
            feed = await stack.enter_async_context(shared_feed(line.switchboard))
            return await wait_for_call(
                feed,
                match=CallMatch.from_dict(self.match),
                owner=self.owner,
                seconds=self.deadline - time.time(),
                report=self._report,
                carrier=await self._carrier_watch(stack),
                claimer=await self._answering(stack, line, feed.client),
            )

    async def _answering(
        self, stack: AsyncExitStack, line: LineSettings, switchboard: SwitchboardClient
    ) -> Answering | None:
        if self.answer is None:
            return None
        from airflow_openai_realtime.api.client import CallsClient
        from airflow_openai_realtime.inbound.answering import Answering

        plan = AnswerPlan.unseal(self.answer, line.api.api_key)
        await hide_session_secrets_async(plan.session)
        # Slow to load: not when a phone rings, and not in the event loop.
        await asyncio.to_thread(importlib.import_module, "airflow_openai_realtime.api.session.realtime_session")
        calls = await stack.enter_async_context(CallsClient(line.api))
        match = CallMatch.from_dict(self.match)
        return Answering(plan, calls, switchboard, self.owner, self._report, match=match)

    async def _carrier_watch(self, stack: AsyncExitStack) -> CarrierWatch | None:
        if not self.telephony_carrier_conn_id or not self.carrier_call_id:
            return None
        from airflow_openai_realtime.inbound.waiting import CarrierWatch
        from airflow_openai_realtime.outbound.carriers.twilio import dialer_for

        settings = await self._carrier_hook().asettings()
        return CarrierWatch(await stack.enter_async_context(dialer_for(settings)), self.carrier_call_id)

    def _carrier_hook(self) -> TelephonyCarrierHook:
        return TelephonyCarrierHook(str(self.telephony_carrier_conn_id), self.connections)

    def _note_opened(self, generation: int) -> None:
        self._generation = generation

    def _hook(self) -> RealtimeHook:
        return RealtimeHook(openai_realtime_conn_id=self.openai_realtime_conn_id, connections=self.connections)

    def _report(self, line: str) -> None:
        self.log.warning("%s", line)
