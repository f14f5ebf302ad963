"""Saving the progress of several conversations: what is asked, and what the answers add up to. Nothing is sent here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_openai_realtime.api.request import Request, Requests
from airflow_openai_realtime.api.sip import check_call_id
from airflow_openai_realtime.calls.saved_conversation import MOST_CONVERSATIONS_AT_ONCE, Progress
from airflow_openai_realtime.calls.timeline.entries import (
    MOST_BYTES_AT_ONCE,
    MOST_ENTRIES_AT_ONCE,
    TimelineEntry,
    in_requests,
    sent_bytes,
)
from airflow_openai_realtime.exceptions import (
    ConversationSuperseded,
    InvalidInput,
    OpenAIRealtimeError,
    SwitchboardRefused,
    UnknownCall,
)
from airflow_openai_realtime.states import RefusalCode
from airflow_openai_realtime.switchboard.client.switchboard_requests import switchboard_request

Saved = frozenset[str] | OpenAIRealtimeError
"""The keys that were new, or why nothing was added."""

_Part = tuple[int, list[TimelineEntry]]


def save_progress(process: str, conversations: Sequence[Progress], *, leaving: bool = False) -> Requests[list[Saved]]:
    """
    Add to the timelines of all conversations that a process holds, and say that it is alive.

    What is more than 200 entries or 200 conversations goes in several requests.

    :param process: The name that the conversations were opened with.
    :param conversations: What is new, each call once; nothing: only the sign of life.
    :param leaving: Whether the process gives all of its conversations up now: the switchboard need not find out.
    :returns: For each conversation the keys that were not there yet (see ``append_entries``), or why nothing was added:
        ``ConversationSuperseded``, ``UnknownCall``, ``InvalidInput`` (an entry cannot be kept and was not sent) or
        ``SwitchboardRefused`` (the call has as many entries as it can have).

    Sending it raises ``SwitchboardUnreachable`` (what was saved is not known, and saving it again is safe) and
    ``SwitchboardRefused`` (all of it; with status 404 or 405: the switchboard is older than this).

    Retries: up to 5 within 5 s for each request.
    """
    saved: dict[int, Saved] = {}
    batches = _batches(_parts(conversations, saved)) or [[]]
    for batch in batches:
        told = yield _request(process, conversations, batch, leaving=leaving and batch is batches[-1])
        for (place, _), one in zip(batch, told, strict=True):
            saved[place] = _joined(saved.get(place, frozenset()), one)
    return [saved[place] for place in range(len(conversations))]


def _parts(conversations: Sequence[Progress], saved: dict[int, Saved]) -> list[_Part]:
    """The conversations in parts that fit in a request; for one that cannot be kept, ``saved`` gets why."""
    parts: list[_Part] = []
    for place, each in enumerate(conversations):
        try:
            check_call_id(each.call_id)
            parts += [(place, group) for group in in_requests(each.entries)]
        except InvalidInput as error:
            saved[place] = error
    return parts


def _request(
    process: str, conversations: Sequence[Progress], batch: Sequence[_Part], *, leaving: bool
) -> Request[list[Saved]]:
    told = []
    for place, entries in batch:
        each = conversations[place]
        listed = [entry.to_dict() for entry in entries]
        one: dict[str, Any] = {"call_id": each.call_id, "generation": each.generation, "entries": listed}
        # Entries that follow in another request are heard, too: what was given up can still be written to.
        told.append({**one, "given_up": True} if each.given_up else one)

    def read(answer: Mapping[str, Any]) -> list[Saved]:
        saved = [_read(one) for one in answer["conversations"]]
        if len(saved) != len(batch):
            raise SwitchboardRefused("the switchboard's answer is about other conversations than it was asked about")
        return saved

    body = {"process": process, "leaving": leaving, "conversations": told}
    return switchboard_request("save_progress", "POST", "/v1/progress", read, body=body)


def _batches(parts: Sequence[_Part]) -> list[list[_Part]]:
    """Parts that go in one request each; two of one conversation never do, as together they are too much."""
    batches: list[list[_Part]] = []
    count = size = 0
    for part in parts:
        entries = part[1]
        length = sum(map(sent_bytes, entries))
        is_full = bool(batches) and len(batches[-1]) == MOST_CONVERSATIONS_AT_ONCE
        if not batches or is_full or count + len(entries) > MOST_ENTRIES_AT_ONCE or size + length > MOST_BYTES_AT_ONCE:
            batches.append([])
            count = size = 0
        batches[-1].append(part)
        count, size = count + len(entries), size + length
    return batches


def _read(told: Mapping[str, Any]) -> Saved:
    error = told.get("error")
    if error is None:
        return frozenset(str(key) for key in told["new"])
    code, message, call_id = str(error["code"]), str(error["message"]), str(told["call_id"])
    if code in (RefusalCode.SUPERSEDED, RefusalCode.FINISHED):
        return ConversationSuperseded(message, code=code, call_id=call_id, status=409)
    if code == "unknown_call":
        return UnknownCall(message, call_id=call_id, status=404)
    return SwitchboardRefused(f"the switchboard refused the entries: {message} ({code})", call_id=call_id, status=422)


def _joined(before: Saved, more: Saved) -> Saved:
    if isinstance(before, OpenAIRealtimeError):
        return before
    return more if isinstance(more, OpenAIRealtimeError) else before | more
