"""Run a call to its end, or wait for the result if another owner takes it over."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta, timezone

from airflow_openai_realtime.calls.call import SwitchboardCall
from airflow_openai_realtime.calls.result import CallResult
from airflow_openai_realtime.conversation.rules.plan import ConversationPlan
from airflow_openai_realtime.conversation.run.ports import CallPorts
from airflow_openai_realtime.conversation.run.run_call import run_call
from airflow_openai_realtime.exceptions import ConversationSuperseded, SwitchboardError, SwitchboardUnreachable
from airflow_openai_realtime.switchboard.client.conversation_requests import get_conversation
from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient
from airflow_openai_realtime.switchboard.client.switchboard_requests import get_call

#: Pause between two looks, in seconds.
LOOK_SECONDS = 3.0
#: How long after its end a call's result may still be under way, in seconds.
LATE_SECONDS = 30.0
#: How long after ``hangup_at`` the switchboard is asked, in seconds; it ends the call at that time.
OVERDUE_SECONDS = 120.0


async def run_or_follow(
    ports: CallPorts, plan: ConversationPlan, call: SwitchboardCall, switchboard: SwitchboardClient
) -> CallResult | None:
    """
    Run a call to its end. If another owner takes it over meanwhile, wait until that owner has finished it.

    :param ports: The call's socket, OpenAI, the switchboard and the clock.
    :param plan: What is to happen.
    :param call: The accepted call.
    :param switchboard: Client of the line at its switchboard.
    :return: The result; ``None``: another owner has run it, and the result is at the switchboard.
    :raises AuthenticationError: The key was refused; the switchboard ends the call at its time.
    :raises SwitchboardError: Another owner runs it, and the switchboard gives no answer about it.
    """
    try:
        return await run_call(ports, plan, call)
    except ConversationSuperseded:
        ports.report(f"Another task runs the conversation of call {call.call_id} now; waiting for its end.")
    await until_finished(switchboard, call, ports.sleep, ports.now)
    return None


async def until_finished(
    switchboard: SwitchboardClient,
    call: SwitchboardCall,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    now: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
) -> None:
    """
    Wait until a call is over and its result is written, or will certainly not be written.

    :param switchboard: Client of the line at its switchboard.
    :param call: The call, with its ``hangup_at``.
    :param sleep: Waits.
    :param now: The time, aware.
    :raises SwitchboardError: The switchboard gives no answer, and the call's time is over.
    """
    last_at = (call.hangup_at or now()) + timedelta(seconds=OVERDUE_SECONDS)
    over_since: datetime | None = None
    while True:
        try:
            if over_since is None and (await switchboard.asend(get_call(call.call_id))).is_over:
                over_since = now()
            if over_since is not None:
                kept = await switchboard.asend(get_conversation(call.call_id))
                if kept is None or kept.is_finished or now() - over_since >= timedelta(seconds=LATE_SECONDS):
                    return
        except SwitchboardUnreachable:
            if now() >= last_at:
                raise
        if over_since is None and now() >= last_at:
            raise SwitchboardError(f"call {call.call_id} should be over, and is not", call_id=call.call_id)
        await sleep(LOOK_SECONDS)
