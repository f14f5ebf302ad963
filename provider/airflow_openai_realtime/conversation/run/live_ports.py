"""The ports of a live call over the real clients."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any

from airflow_openai_realtime.api.call_requests import hang_up_call, refer_call
from airflow_openai_realtime.api.client import CallsClient
from airflow_openai_realtime.api.settings import ApiSettings
from airflow_openai_realtime.api.sideband.connection import attach
from airflow_openai_realtime.calls.call import SwitchboardCall
from airflow_openai_realtime.calls.saved_conversation import Conversation
from airflow_openai_realtime.calls.witnesses import Account
from airflow_openai_realtime.conversation.run.ports import CallPorts, Sideband
from airflow_openai_realtime.conversation.run.progress import ProgressSender
from airflow_openai_realtime.exceptions import SwitchboardError, UnknownCall
from airflow_openai_realtime.switchboard.client.conversation_requests import get_conversation
from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient
from airflow_openai_realtime.switchboard.client.switchboard_requests import get_call, report_ended, report_referred


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
    :param holder: Stable name of who runs the call: the claimant's.
    :param report: Called with lines for the log of who runs it.
    :param prices: Own prices, checked.
    :param opened: Called with the number of this holder each time that it becomes the holder of a call.
    """

    def open_socket(call_id: str, doubt_seconds: float) -> AbstractAsyncContextManager[Sideband]:
        return attach(api, call_id, retry_seconds=doubt_seconds)

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
        attach=open_socket,
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
