"""
Read the result of a finished call from the switchboard, for a process that did not run it to its end.

The owner of a call writes its result there. If no owner could, because the triggerer died or the task was killed, the
result comes from the switchboard's row and the saved timeline.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from airflow_openai_realtime.calls.call import SwitchboardCall
from airflow_openai_realtime.calls.kept_result import result_without_end
from airflow_openai_realtime.calls.saved_conversation import Conversation
from airflow_openai_realtime.calls.timeline.entries import TimelineEntry
from airflow_openai_realtime.exceptions import SwitchboardError
from airflow_openai_realtime.switchboard.client.conversation_requests import (
    finish_conversation,
    get_conversation,
    open_conversation,
)
from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient
from airflow_openai_realtime.switchboard.client.switchboard_requests import get_call

#: Seconds after the end of a call in which its owner may still be writing its result.
LATE_SECONDS = 15.0
LOOK_SECONDS = 1.0

Prices = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class FinishedCall:
    """
    A call that is over.

    :param result: Its result, as ``CallResult.to_dict`` returns it.
    :param entries: Its timeline.
    """

    result: dict[str, Any]
    entries: tuple[TimelineEntry, ...] = ()


def finished_call(
    switchboard: SwitchboardClient,
    call: SwitchboardCall,
    holder: str,
    prices: Prices | None = None,
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> FinishedCall:
    """
    Read the result of a call that is over; write it if there is none.

    :param switchboard: Client of the line at its switchboard.
    :param call: The call, over.
    :param holder: Stable name of the requesting task.
    :param prices: Own prices for the estimate of the cost, checked.
    :param sleep: Waits; for tests.
    :raises SwitchboardUnreachable: The switchboard did not answer.

    Retries: safe; the first result that was written stays.
    """
    kept = _kept(switchboard, call, sleep)
    if kept is not None and kept.result is not None:
        return FinishedCall(dict(kept.result), kept.entries)
    result = result_without_end(call, kept, datetime.now(timezone.utc), prices)
    if call.accepted_at is not None:
        try:
            opened = switchboard.send(open_conversation(call.call_id, holder))
            kept = switchboard.send(
                finish_conversation(call.call_id, opened.generation, result.outcome, result.to_dict())
            )
        except SwitchboardError:
            pass  # The next try reports it again, from the same row.
    written = kept.result if kept is not None else None
    return FinishedCall(dict(written or result.to_dict()), kept.entries if kept is not None else ())


def _kept(switchboard: SwitchboardClient, call: SwitchboardCall, sleep: Callable[[float], None]) -> Conversation | None:
    """Return the conversation; if its owner may still be writing the result, wait for that."""
    while True:
        kept = switchboard.send(get_conversation(call.call_id))
        if kept is None or kept.is_finished or call.ended_at is None:
            return kept
        if datetime.now(timezone.utc) - call.ended_at > timedelta(seconds=LATE_SECONDS):
            return kept
        sleep(LOOK_SECONDS)


async def finish_ended_call(
    switchboard: SwitchboardClient, call_id: str, holder: str, prices: Prices | None = None
) -> None:
    """
    Write the result of a call that another process has just ended.

    :param switchboard: Client of the line at its switchboard.
    :param call_id: The call.
    :param holder: Stable name of the task that ended it.
    :param prices: Own prices for the estimate of the cost, checked.
    :raises SwitchboardError: It could not be written; the next reader of the result writes it.
    """
    call = await switchboard.asend(get_call(call_id))
    opened = await switchboard.asend(open_conversation(call_id, holder))
    if not opened.is_finished:
        result = result_without_end(call, opened, datetime.now(timezone.utc), prices)
        await switchboard.asend(finish_conversation(call_id, opened.generation, result.outcome, result.to_dict()))
