"""
What becomes of a call whose task was killed, cleared, or moved to another triggerer.

When a task or its run is marked failed or successful, the task's call ends at once. A cleared task's call is kept for
the next try; when none takes it over within a minute, it ends. A trigger that only moves leaves its call alone.

Ending a call is one request to the switchboard, which hangs up and writes row, ledger and result, whichever process
dies.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_openai_realtime.api.call_requests import hang_up_call
from airflow_openai_realtime.api.client import CallsClient
from airflow_openai_realtime.calls.call import SwitchboardCall
from airflow_openai_realtime.calls.kept_result import result_without_end
from airflow_openai_realtime.calls.result import unanswered_result
from airflow_openai_realtime.calls.task_states import CLEARED_SECONDS, TaskState, reference_to
from airflow_openai_realtime.exceptions import (
    MoveRefused,
    OpenAIRealtimeError,
    SwitchboardError,
    SwitchboardUnreachable,
    UnknownCall,
)
from airflow_openai_realtime.outbound.carriers.twilio import dialer_for
from airflow_openai_realtime.outbound.placed import end_picked_up, outcome_of, take_back
from airflow_openai_realtime.states import AttemptState, CallState, EndReason
from airflow_openai_realtime.switchboard import MOUNTED_AT
from airflow_openai_realtime.switchboard.client.conversation_requests import get_conversation
from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient
from airflow_openai_realtime.switchboard.client.switchboard_requests import (
    claim_call,
    end_call,
    get_call,
    get_task_state,
    leave_result,
    list_calls,
    move_attempt,
    report_ended,
    report_task_stopped,
)
from airflow_openai_realtime.triggers.carried_through import despite_shutdown
from airflow_openai_realtime.triggers.task_state import ask_airflow, push_result

if TYPE_CHECKING:
    from airflow_openai_realtime.calls.matching import CallMatch
    from airflow_openai_realtime.hooks.realtime import LineSettings, RealtimeHook
    from airflow_openai_realtime.hooks.telephony_carrier import TelephonyCarrierHook

#: How long the switchboard may take to say how the task is, in seconds; then Airflow and OpenAI are asked directly.
ANSWER_SECONDS = 3.0
#: How much longer one that runs in Airflow's API server may take, in seconds, before Airflow is asked another way.
BUSY_SECONDS = 15.0
#: When a claim or an accept that was under way is looked for, in seconds since the kill.
LATE_CLAIM_SECONDS = (0.0, 1.0, 4.0)
#: How long to try to reach a switchboard that is away, in seconds, and the pause between two tries.
TELL_SECONDS = 60.0
PAUSE_SECONDS = 2.0
#: Pauses before the looks whether the result of an ended call is written, in seconds: many calls may end at once.
RESULT_PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 16.0)


@dataclass
class Order:
    """
    A placed call that a trigger waits for.

    :param carrier: The carrier's connection.
    :param carrier_call_id: The carrier's id of the call.
    :param attempt_id: Row of the ledger; ``None`` when the trigger was made by an older release.
    """

    carrier: TelephonyCarrierHook
    carrier_call_id: str
    attempt_id: str | None = None


@dataclass
class Kill:
    """
    One trigger that Airflow has cancelled.

    :param hook: The line's connection.
    :param task: The trigger's task instance, as Airflow sets it.
    :param owner: Stable name of the task.
    :param report: Called with lines for the log.
    :param call_id: The call that the trigger runs; ``None``: it waits for one, and may have it by now.
    :param generation: Number of the trigger as a holder of the call; 0: it was none.
    :param order: The placed call that it waits for.
    :param match: What the task waits for; other calls of its name are not its own. ``None``: all are.
    :param returns_result: Whether the task returns the result of its call, so that a killed one has it as well.
    :param sleep: Waits some seconds; for tests.
    """

    hook: RealtimeHook
    task: Any
    owner: str
    report: Callable[[str], None]
    call_id: str | None = None
    generation: int = 0
    order: Order | None = None
    match: CallMatch | None = None
    returns_result: bool = False
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    _ended: list[str] = field(default_factory=list, init=False)
    _outcome: str | None = field(default=None, init=False)
    _state: TaskState | None = field(default=None, init=False)

    async def carry_out(self) -> None:
        """Find out why the trigger was cancelled, and do what that means for its call."""
        line = await self.hook.aline()
        async with SwitchboardClient.at(line.switchboard) as switchboard:
            tell = partial(self._tell_stopped, switchboard)
            is_told = await self._in_time(tell, ANSWER_SECONDS)
            if not is_told and line.switchboard.url.rstrip("/").endswith(MOUNTED_AT):
                # It lives, since Airflow's API server has taken the kill; it is only busy.
                is_told = await self._in_time(tell, BUSY_SECONDS)
            state = self._state or await ask_airflow(self.task)
            if not is_told and (state is None or not state.is_ended):
                await self._repeatedly(tell, asyncio.get_running_loop().time())
                state = self._state or state
            if state is not None and state.is_ended:
                await self._end(line, switchboard)
            elif state is not None and state.is_moved:
                self.report("The task only moved to another triggerer: its call goes on.")
                if self._state is None:
                    await self._withdraw(switchboard)
            elif self.order is not None:
                await self._watch_order(self.order, switchboard)

    # -- why -------------------------------------------------------------------------------------------------------

    async def _in_time(self, tell: Callable[[], Awaitable[None]], seconds: float) -> bool:
        try:
            await despite_shutdown(lambda: asyncio.wait_for(tell(), seconds))
        except (OpenAIRealtimeError, asyncio.TimeoutError) as error:
            self.report(f"The switchboard does not answer ({type(error).__name__}).")
            return False
        return True

    async def _tell_stopped(self, switchboard: SwitchboardClient) -> None:
        """
        Tell the switchboard that the task was stopped; in Airflow's API server it knows why, and decides.

        There this one request ends a killed task's call. A switchboard that runs elsewhere lets the call go on for a
        minute at most, unless a holder goes on with it or is said to.
        """
        reference = reference_to(self.task)
        call_ids = await self._call_ids(switchboard)
        for call_id in call_ids:
            if reference is None:
                await self._want_end(switchboard, call_id, CLEARED_SECONDS)
                continue
            with suppress(UnknownCall):
                self._state = await switchboard.asend(
                    report_task_stopped(reference, call_id, by=self.owner, generation=self.generation)
                )
                self._note_stopped(call_id)
        if reference is not None and not call_ids:
            self._state = await switchboard.asend(get_task_state(reference))

    def _note_stopped(self, call_id: str) -> None:
        if self._state is None or not (self._state.is_ended or self._state.is_moved):
            self.report(f"Call {call_id} waits {CLEARED_SECONDS:g} s for the next try of the task.")
        elif self._state.is_ended and call_id not in self._ended:
            self.report(f"The task is killed: call {call_id} is ended.")
            self._ended.append(call_id)

    # -- moved, or cleared -----------------------------------------------------------------------------------------

    async def _withdraw(self, switchboard: SwitchboardClient) -> None:
        for call_id in await self._call_ids(switchboard):
            try:
                await switchboard.asend(claim_call(call_id, self.owner))
            except (MoveRefused, UnknownCall):
                continue  # it is over, or another task's
            except SwitchboardError as error:
                self.report(f"Call {call_id} ends in a minute, though its task goes on: {error}")

    async def _watch_order(self, order: Order, switchboard: SwitchboardClient) -> None:
        """Take a placed call back when no next try waits for it after a minute."""
        await self.sleep(CLEARED_SECONDS)
        reference = reference_to(self.task)
        if reference is None:
            return
        try:
            state = await switchboard.asend(get_task_state(reference)) or await ask_airflow(self.task)
        except OpenAIRealtimeError:
            state = await ask_airflow(self.task)
        if state is not None and not state.is_cared_for:
            await self._take_back(order, switchboard)

    # -- killed ----------------------------------------------------------------------------------------------------

    async def _end(self, line: LineSettings, switchboard: SwitchboardClient) -> None:
        began = asyncio.get_running_loop().time()
        if self.call_id is not None:
            await self._end_call(line, switchboard, self.call_id, began)
        else:
            if self.order is not None:
                await self._take_back(self.order, switchboard)
            for at in LATE_CLAIM_SECONDS:
                await self.sleep(max(0.0, began + at - asyncio.get_running_loop().time()))
                for call in await self._own_calls(switchboard):
                    await self._end_call(line, switchboard, call.call_id, began)
        if self.returns_result and (self._ended or self._outcome is not None):
            await self._leave_result(line, switchboard)

    async def _end_call(self, line: LineSettings, switchboard: SwitchboardClient, call_id: str, began: float) -> None:
        if call_id in self._ended:
            return
        self._ended.append(call_id)
        self.report(f"The task is killed: ending call {call_id}.")
        try:
            await despite_shutdown(lambda: asyncio.wait_for(self._want_end(switchboard, call_id, 0.0), ANSWER_SECONDS))
        except (SwitchboardError, asyncio.TimeoutError) as error:
            self.report(f"The switchboard cannot be reached ({type(error).__name__}): hanging up call {call_id}.")
            is_hung_up = await self._hang_up(line, call_id)
            tell = self._tell_ended if is_hung_up else self._want_end
            await self._repeatedly(partial(tell, switchboard, call_id), began)

    async def _want_end(self, switchboard: SwitchboardClient, call_id: str, after_seconds: float = 0.0) -> None:
        with suppress(UnknownCall):
            await switchboard.asend(
                end_call(call_id, reason=EndReason.KILLED, by=self.owner, after_seconds=after_seconds)
            )

    async def _hang_up(self, line: LineSettings, call_id: str) -> bool:
        try:
            async with CallsClient(line.api) as calls:
                await calls.asend(hang_up_call(call_id))
        except OpenAIRealtimeError as error:
            self.report(f"Call {call_id} could not be hung up: {error}")
            return False
        return True

    async def _tell_ended(self, switchboard: SwitchboardClient, call_id: str) -> None:
        with suppress(UnknownCall):
            await switchboard.asend(report_ended(call_id, EndReason.KILLED))

    async def _repeatedly(self, send: Callable[[], Awaitable[None]], began: float) -> None:
        """Send until the switchboard answers, for a minute."""
        while True:
            try:
                await send()
            except SwitchboardUnreachable as error:
                if asyncio.get_running_loop().time() - began > TELL_SECONDS:
                    self.report(f"Could not report to the switchboard; it ends the call at its time: {error}")
                    return
                await self.sleep(PAUSE_SECONDS)
            else:
                return

    async def _take_back(self, order: Order, switchboard: SwitchboardClient) -> None:
        """Cancel the placed call, or end it if it is picked up in this moment; the ledger says that it was killed."""
        settings = await order.carrier.asettings()
        async with dialer_for(settings) as dialer:
            call = await take_back(dialer, order.carrier_call_id, self.report)
            if call is not None and not call.final:
                await end_picked_up(dialer, order.carrier_call_id, self.report)
        if call is None:
            return
        is_ours = not call.final or call.status == "canceled"
        self._outcome = EndReason.KILLED if is_ours else outcome_of(call)
        if order.attempt_id is None:
            return
        try:
            await switchboard.asend(
                move_attempt(order.attempt_id, AttemptState.PLACED, AttemptState.ENDED, outcome=self._outcome)
            )
        except MoveRefused:
            return  # its call came in, and the ledger's row ends with that
        except SwitchboardError as error:
            self.report(f"Could not write to the ledger that the placed call was taken back: {error}")

    # -- its calls, and what came of them --------------------------------------------------------------------------

    async def _call_ids(self, switchboard: SwitchboardClient) -> list[str]:
        if self.call_id is not None:
            return [self.call_id]
        return [call.call_id for call in await self._own_calls(switchboard)]

    async def _own_calls(self, switchboard: SwitchboardClient) -> list[SwitchboardCall]:
        try:
            calls = (await switchboard.asend(list_calls(claimed_by=self.owner))).calls
        except SwitchboardError as error:
            self.report(f"The switchboard cannot say whether the task has a call: {error}")
            return []
        return [
            call
            for call in calls
            if call.state in (CallState.CLAIMED, CallState.ACCEPTED) and (self.match is None or self.match.meets(call))
        ]

    async def _leave_result(self, line: LineSettings, switchboard: SwitchboardClient) -> None:
        """
        Leave the result in XCom once it is written.

        A switchboard in Airflow's API server does that. Else the triggerer's supervisor is asked, which was asked for
        the task's state before: only its first question takes long, and keeps other triggers from being handed out.
        """
        call_id = self._ended[-1] if self._ended else None
        reference = reference_to(self.task)
        if reference is None:
            return
        for pause in RESULT_PAUSES:
            await self.sleep(pause)
            with suppress(SwitchboardUnreachable):
                if self._state is not None:
                    if await switchboard.asend(leave_result(reference, call_id)):
                        return
                elif call_id is None:
                    await push_result(self.task, unanswered_result(str(self._outcome), line.switchboard.line))
                    return
                elif (result := await self._written_result(switchboard, call_id)) is not None:
                    await push_result(self.task, result)
                    return

    async def _written_result(self, switchboard: SwitchboardClient, call_id: str) -> dict[str, Any] | None:
        call = await switchboard.asend(get_call(call_id))
        if not call.is_over:
            return None
        kept = await switchboard.asend(get_conversation(call_id))
        if kept is None:
            return result_without_end(call, None, datetime.now(timezone.utc)).to_dict()
        return None if kept.result is None else dict(kept.result)
