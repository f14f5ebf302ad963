"""
What is asked of the switchboard about conversations and recent calls: one function for each.

Errors and retries are those of :mod:`airflow_openai_realtime.switchboard.client.switchboard_requests`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from airflow_openai_realtime.api.request import Request, Requests
from airflow_openai_realtime.calls.recent import MOST_RECENT, Place, RecentCall, RecentPage
from airflow_openai_realtime.calls.saved_conversation import MOST_RESULT_BYTES, Conversation
from airflow_openai_realtime.calls.timeline.entries import TimelineEntry, as_json, in_requests
from airflow_openai_realtime.exceptions import InvalidInput, SwitchboardRefused, UnknownCall
from airflow_openai_realtime.switchboard.client.switchboard_requests import quoted, switchboard_request


def open_conversation(call_id: str, holder: str, process: str | None = None) -> Requests[Conversation]:
    """
    Become the holder of a call's conversation; an earlier holder may add nothing more from now on.

    :param call_id: A call that the switchboard knows.
    :param holder: Who runs it: the owner's name.
    :param process: Name of the process, 1 to 64 characters, if it says by :func:`save_progress` twice a second that it
        is alive. While it does not, the switchboard listens in its place. ``None``: it does not listen.
    :returns: The conversation with the generation to write with, and what is on its timeline already. One that is
        finished is returned as it is.

    Sending it raises ``UnknownCall``: the line has never seen the call.

    Retries: up to 5 within 5 s; each makes a generation of its own, and the last one counts.
    """
    body = {"holder": holder} if process is None else {"holder": holder, "process": process}
    try:
        opened: Conversation = yield _conversation("open_conversation", "POST", call_id, "/open", body)
    except SwitchboardRefused as error:
        if process is None or error.status != 422:
            raise
        # An older switchboard knows of no processes.
        opened = yield _conversation("open_conversation", "POST", call_id, "/open", {"holder": holder})
    return opened


def append_entries(call_id: str, generation: int, entries: Sequence[TimelineEntry]) -> Requests[frozenset[str]]:
    """
    Add to the timeline, and commit. Many entries go in several requests.

    :param call_id: The call.
    :param generation: What :func:`open_conversation` gave.
    :param entries: In their order.
    :returns: The keys that were not there yet. When an answer was lost and the request repeated, keys that the first
        one stored are not among them: then what they stand for may have begun, and must not begin again.

    Sending it raises ``ConversationSuperseded`` (another holder has opened it, or it is finished), ``UnknownCall`` (the
    call has no conversation), ``InvalidInput`` (an entry cannot be kept; nothing was sent), ``SwitchboardRefused`` (the
    call has as many entries as it can have).

    Retries: up to 5 within 5 s for each request.
    """
    new: frozenset[str] = frozenset()
    for group in in_requests(entries) if entries else []:
        new |= yield _append(call_id, generation, group)
    return new


def finish_conversation(
    call_id: str,
    generation: int,
    outcome: str,
    result: Mapping[str, Any] | None,
    entries: Sequence[TimelineEntry] = (),
) -> Requests[Conversation]:
    """
    Write how it ended. The first finish wins: finishing again returns what was written first.

    :param call_id: The call.
    :param generation: What :func:`open_conversation` gave.
    :param outcome: One word, up to 64 characters.
    :param result: Of JSON values, at most 256 KiB as JSON.
    :param entries: The last of the timeline; what is beyond its limits is left out.

    Sending it raises ``ConversationSuperseded`` (another holder has opened it, and it is not finished), ``UnknownCall``
    (the call has no conversation), ``InvalidInput`` (the result or an entry cannot be kept; nothing was sent).

    Retries: up to 5 within 5 s for each request.
    """
    *before, last = in_requests(entries)
    body = {
        "generation": generation,
        "outcome": outcome,
        "result": json.loads(as_json(result, field="result", most_bytes=MOST_RESULT_BYTES)),
        "entries": [entry.to_dict() for entry in last],
    }
    finish = _conversation("finish_conversation", "POST", call_id, "/finish", body)
    for group in before:
        yield _append(call_id, generation, group)
    finished: Conversation = yield finish
    return finished


def get_conversation(call_id: str) -> Requests[Conversation | None]:
    """
    The conversation of a call as it is now, with its timeline; ``None`` when it has none.

    :param call_id: The call.
    """
    try:
        found: Conversation = yield _conversation("get_conversation", "GET", call_id)
    except UnknownCall:
        return None
    return found


def list_recent_calls(*, before: Place | None = None, limit: int = 100) -> Request[RecentPage]:
    """
    Calls of the line with what became of them: live ones first, then the newest that are over.

    :param before: ``next`` of an earlier page: only older ones that are over.
    :param limit: How many that are over, 1 to 500.
    :raises InvalidInput: The limit is out of range.
    """
    if not 1 <= limit <= MOST_RECENT:
        raise InvalidInput(f"limit must be 1 to {MOST_RECENT}", field="limit")
    params: dict[str, str | int | float] = (
        {"limit": limit} if before is None else {"limit": limit, "before": str(before)}
    )
    return switchboard_request("list_recent_calls", "GET", "/v1/recent", RecentPage.from_dict, params=params)


def get_recent_call(call_id: str) -> Requests[RecentCall | None]:
    """
    A call with what became of it; ``None`` when it is unknown, or the switchboard is of an older release.

    :param call_id: The call.
    """

    def read(answer: Mapping[str, Any]) -> RecentCall | None:
        return RecentCall.from_dict(answer["recent"])

    path = f"/v1/recent/{quoted(call_id)}"
    try:
        found: RecentCall | None = yield switchboard_request(
            "get_recent_call", "GET", path, read, call_id=call_id, when_missing=None
        )
    except UnknownCall:
        return None
    return found


def _append(call_id: str, generation: int, entries: Sequence[TimelineEntry]) -> Request[frozenset[str]]:
    path = f"/v1/calls/{quoted(call_id)}/conversation/append"
    body = {"generation": generation, "entries": [entry.to_dict() for entry in entries]}

    def read(answer: Mapping[str, Any]) -> frozenset[str]:
        return frozenset(str(key) for key in answer["new"])

    return switchboard_request("append_entries", "POST", path, read, body=body, call_id=call_id)


def _conversation(
    operation: str, method: str, call_id: str, action: str = "", body: Mapping[str, Any] | None = None
) -> Request[Conversation]:
    path = f"/v1/calls/{quoted(call_id)}/conversation{action}"

    def read(answer: Mapping[str, Any]) -> Conversation:
        return Conversation.from_dict(answer["conversation"])

    return switchboard_request(operation, method, path, read, body=body, call_id=call_id)
