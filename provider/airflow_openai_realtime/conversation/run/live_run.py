"""
Run an accepted call over the real clients to its end; if another owner takes it over, wait for that owner's result.

Slow to load: triggers import it in a thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any

from airflow_openai_realtime.api.call_requests import hang_up_call, refer_call
from airflow_openai_realtime.api.client import CallsClient
from airflow_openai_realtime.api.settings import ApiSettings
from airflow_openai_realtime.api.sideband.connection import attach
from airflow_openai_realtime.calls.call import SwitchboardCall
from airflow_openai_realtime.calls.line_settings import SwitchboardAddress
from airflow_openai_realtime.calls.result import CallResult
from airflow_openai_realtime.calls.saved_conversation import Conversation
from airflow_openai_realtime.calls.witnesses import Account
from airflow_openai_realtime.conversation.rules.plan import ConversationPlan
from airflow_openai_realtime.conversation.run.ports import CallPorts
from airflow_openai_realtime.conversation.run.progress import ProgressSender, shared_progress
from airflow_openai_realtime.conversation.run.run_call import run_call
from airflow_openai_realtime.conversation.wanted_conversation import WantedConversation
from airflow_openai_realtime.exceptions import (
    ConversationSuperseded,
    SwitchboardError,
    SwitchboardUnreachable,
    UnknownCall,
)
from airflow_openai_realtime.switchboard.client.conversation_requests import get_conversation
from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient
from airflow_openai_realtime.switchboard.client.switchboard_requests import get_call, report_ended, report_referred

#: Pause between two looks, in seconds.
LOOK_SECONDS = 3.0
#: How long after its end a call's result may still be under way, in seconds.
LATE_SECONDS = 30.0
#: How long after ``hangup_at`` the switchboard is asked, in seconds; it ends the call at that time.
OVERDUE_SECONDS = 120.0


async def run_live(
    api: ApiSettings,
    address: SwitchboardAddress,
    wanted: WantedConversation,
    call: SwitchboardCall,
    holder: str,
    report: Callable[[str], None],
    opened: Callable[[int], None],
) -> None:
    """
    Run a call to its end, with clients that are open as long; its result is then at the switchboard.

    :param api: How to reach OpenAI.
    :param address: The line at its switchboard.
    :param wanted: What is to happen.
    :param call: The accepted call.
    :param holder: Stable name of who runs the call: the owner's.
    :param report: Called with lines for the log of who runs it.
    :param opened: Called with the number of this holder each time that it becomes the holder of a call.
    :raises AuthenticationError: The key was refused; the switchboard ends the call at its time.
    :raises SwitchboardError: Another owner runs it, and the switchboard gives no answer about it.
    """
    async with AsyncExitStack() as stack:
        calls = await stack.enter_async_context(CallsClient(api))
        switchboard = await stack.enter_async_context(SwitchboardClient.at(address))
        progress = await stack.enter_async_context(shared_progress(address, switchboard))
        ports = live_ports(api, calls, switchboard, progress, holder, report, prices=wanted.prices, opened=opened)
        await run_or_follow(ports, wanted.plan, call, switchboard)


def live_ports(
    api: ApiSettings,
    calls: CallsClient,
    switchboard: SwitchboardClient,
    progress: ProgressSender,
    holder: str,
    report: Callable[[str], None],
    *,
    prices: Mapping[str, Mapping[str, Any]] | None = None,
    opened: Callable[[int], None] = lambda generation: None,
) -> CallPorts:
    """
    Make the ports of a call.

    :param api: How to reach OpenAI.
    :param calls: Client of OpenAI's call endpoints.
    :param switchboard: Client of the line at its switchboard.
    :param progress: What saves the progress of all conversations of this process on the line.
    :param holder: Stable name of who runs the call: the owner's.
    :param report: Called with lines for the log of who runs it.
    :param prices: Own prices, checked.
    :param opened: Called with the number of this holder each time that it becomes the holder of a call.
    """

    async def refer(call_id: str, target_uri: str) -> None:
        # That it is about to be transferred stands on the timeline: tools are noted before they run.
        await calls.asend(refer_call(call_id, target_uri))
        try:
            await switchboard.asend(report_referred(call_id, target_uri))
        except SwitchboardError as error:
            report(f"Could not report the transfer of call {call_id} to the switchboard: {error}")

    async def find(call_id: str) -> SwitchboardCall | None:
        try:
            return await switchboard.asend(get_call(call_id))
        except UnknownCall:
            return None

    async def ended(call_id: str, account: Account, ended_at: datetime) -> SwitchboardCall | None:
        try:
            return await switchboard.asend(report_ended(call_id, account, ended_at=ended_at))
        except SwitchboardError as error:
            report(f"Could not report to the switchboard that call {call_id} is over: {error}")
            return None

    async def open_conversation(call_id: str) -> Conversation:
        conversation = await progress.open(call_id, holder)
        opened(conversation.generation)
        return conversation

    return CallPorts(
        attach=partial(attach, api),
        hang_up=lambda call_id: calls.asend(hang_up_call(call_id)),
        refer=refer,
        find=find,
        ended=ended,
        open=open_conversation,
        read=lambda call_id: switchboard.asend(get_conversation(call_id)),
        append=progress.append,
        give_up=progress.give_up,
        finish=progress.finish,
        report=report,
        prices=prices,
    )


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
