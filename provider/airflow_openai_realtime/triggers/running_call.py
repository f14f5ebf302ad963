"""Running an accepted call in a trigger, whichever trigger has it."""

from __future__ import annotations

import asyncio
import importlib
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from airflow_openai_realtime.exceptions import OpenAIRealtimeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_openai_realtime.calls.call import SwitchboardCall
    from airflow_openai_realtime.conversation.wanted_conversation import WantedConversation
    from airflow_openai_realtime.hooks.realtime import LineSettings

#: Status of the event when a call is over.
OVER = "over"


async def run_to_its_end(
    line: LineSettings,
    wanted: WantedConversation,
    call: SwitchboardCall,
    holder: str,
    report: Callable[[str], None],
    opened: Callable[[int], None] = lambda generation: None,
) -> dict[str, Any]:
    """
    Run an accepted call until it is over.

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
    for module in ("following", "live_ports"):
        await asyncio.to_thread(importlib.import_module, f"airflow_openai_realtime.conversation.run.{module}")
    from airflow_openai_realtime.api.client import CallsClient
    from airflow_openai_realtime.conversation.run.following import run_or_follow
    from airflow_openai_realtime.conversation.run.live_ports import live_ports
    from airflow_openai_realtime.conversation.run.progress import shared_progress
    from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient

    async with AsyncExitStack() as stack:
        calls = await stack.enter_async_context(CallsClient(line.api))
        switchboard = await stack.enter_async_context(SwitchboardClient.at(line.switchboard))
        progress = await stack.enter_async_context(shared_progress(line.switchboard, switchboard))
        ports = live_ports(line.api, calls, switchboard, progress, holder, report, prices=wanted.prices, opened=opened)
        await run_or_follow(ports, wanted.plan, call, switchboard)
    return {"status": OVER, "call_id": call.call_id}


def error_payload(error: OpenAIRealtimeError) -> dict[str, Any]:
    """
    Return what the event says when a call cannot be run.

    :param error: Why; its message holds nothing personal.
    """
    return {"status": "error", "message": str(error)}
