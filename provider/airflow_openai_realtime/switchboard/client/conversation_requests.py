"""What a client asks of the switchboard about conversations, as values. Pure: nothing is sent from here."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from airflow_openai_realtime.api.sip import check_call_id
from airflow_openai_realtime.calls.recent import MOST_RECENT, Place, RecentCall, RecentPage
from airflow_openai_realtime.calls.saved_conversation import MOST_RESULT_BYTES, Conversation
from airflow_openai_realtime.calls.timeline.entries import TimelineEntry, as_json, in_requests
from airflow_openai_realtime.exceptions import InvalidInput
from airflow_openai_realtime.switchboard.client.switchboard_requests import SwitchboardRequest, read_answer


def open_conversation(call_id: str, holder: str, process: str | None = None) -> SwitchboardRequest:
    """Become the holder."""
    body = {"holder": holder} if process is None else {"holder": holder, "process": process}
    return SwitchboardRequest("POST", _path(call_id, "/open"), body=body, call_id=call_id)


def append_entries(call_id: str, generation: int, entries: Sequence[TimelineEntry]) -> list[SwitchboardRequest]:
    """
    Add to the timeline; several requests when it is much.

    :raises InvalidInput: An entry cannot be kept.
    """
    checked = [entry.check() for entry in entries]
    if not checked:
        return []
    return [_append(call_id, generation, group) for group in in_requests(checked)]


def finish_conversation(
    call_id: str,
    generation: int,
    outcome: str,
    result: Mapping[str, Any] | None,
    entries: Sequence[TimelineEntry],
) -> tuple[list[SwitchboardRequest], SwitchboardRequest]:
    """
    Requests that add to the timeline first, and the one that finishes.

    :raises InvalidInput: The result or an entry cannot be kept.
    """
    *before, last = in_requests([entry.check() for entry in entries])
    body = {
        "generation": generation,
        "outcome": outcome,
        "result": json.loads(as_json(result, field="result", most_bytes=MOST_RESULT_BYTES)),
        "entries": [entry.to_dict() for entry in last],
    }
    finish = SwitchboardRequest("POST", _path(call_id, "/finish"), body=body, call_id=call_id)
    return [_append(call_id, generation, group) for group in before], finish


def conversation(call_id: str) -> SwitchboardRequest:
    """The conversation of a call."""
    return SwitchboardRequest("GET", _path(call_id), call_id=call_id)


def recent_calls(before: Place | None, limit: int) -> SwitchboardRequest:
    """
    Live calls and the newest that are over.

    :raises InvalidInput: The limit is out of range.
    """
    if not 1 <= limit <= MOST_RECENT:
        raise InvalidInput(f"limit must be 1 to {MOST_RECENT}", field="limit")
    params: dict[str, str | int] = {"limit": limit} if before is None else {"limit": limit, "before": str(before)}
    return SwitchboardRequest("GET", "/v1/recent", params)


def recent_call(call_id: str) -> SwitchboardRequest:
    """One call with what became of it."""
    return SwitchboardRequest("GET", f"/v1/recent/{quote(check_call_id(call_id), safe='')}", call_id=call_id)


def as_recent_page(answer: Mapping[str, Any]) -> RecentPage:
    """The page of recent calls in an answer."""
    return read_answer(lambda: RecentPage.from_dict(answer))


def as_recent_call(answer: Mapping[str, Any]) -> RecentCall:
    """The call in an answer."""
    return read_answer(lambda: RecentCall.from_dict(answer["recent"]))


def as_conversation(answer: Mapping[str, Any]) -> Conversation:
    """The conversation in an answer."""
    return read_answer(lambda: Conversation.from_dict(answer["conversation"]))


def as_keys(answer: Mapping[str, Any]) -> frozenset[str]:
    """The keys in an answer that were new."""
    return read_answer(lambda: frozenset(str(key) for key in answer["new"]))


def _append(call_id: str, generation: int, entries: Sequence[TimelineEntry]) -> SwitchboardRequest:
    body = {"generation": generation, "entries": [entry.to_dict() for entry in entries]}
    return SwitchboardRequest("POST", _path(call_id, "/append"), body=body, call_id=call_id)


def _path(call_id: str, action: str = "") -> str:
    return f"/v1/calls/{quote(check_call_id(call_id), safe='')}/conversation{action}"
