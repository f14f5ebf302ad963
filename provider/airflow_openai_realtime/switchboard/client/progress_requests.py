"""Saving the progress of several conversations, as values: what is sent, and what an answer means. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

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
from airflow_openai_realtime.switchboard.client.switchboard_requests import SwitchboardRequest, read_answer

Saved = frozenset[str] | OpenAIRealtimeError
"""The keys that were new, or why nothing was added."""

_Part = tuple[int, list[TimelineEntry]]


class SavingProgress:
    """
    The requests that save some progress, and what their answers add up to.

    :param process: Which process holds the conversations.
    :param conversations: What is new, each call once.
    :param leaving: Whether the process gives all of them up.
    """

    def __init__(self, process: str, conversations: Sequence[Progress], *, leaving: bool) -> None:
        self._conversations = conversations
        self._saved: dict[int, Saved] = {}
        self._batches = _batches(self._parts()) or [[]]
        self.requests = [self._request(process, batch) for batch in self._batches]
        if leaving:
            self.requests[-1] = self._request(process, self._batches[-1], leaving=True)

    def result(self, answers: Sequence[Mapping[str, Any]]) -> list[Saved]:
        """
        What came of each conversation.

        :param answers: One for each of the requests.
        :raises SwitchboardRefused: One cannot be read.
        """
        saved = dict(self._saved)
        for batch, answer in zip(self._batches, answers, strict=True):
            told = read_answer(lambda answer=answer: [_read(one) for one in answer["conversations"]])  # type: ignore[misc]
            if len(told) != len(batch):
                raise SwitchboardRefused(
                    "the switchboard's answer is about other conversations than it was asked about"
                )
            for (place, _), one in zip(batch, told, strict=True):
                saved[place] = _joined(saved.get(place, frozenset()), one)
        return [saved[place] for place in range(len(self._conversations))]

    def _parts(self) -> list[_Part]:
        """The conversations in parts that fit in a request; one that cannot be kept is none."""
        parts: list[_Part] = []
        for place, each in enumerate(self._conversations):
            try:
                check_call_id(each.call_id)
                parts += [(place, group) for group in in_requests([entry.check() for entry in each.entries])]
            except InvalidInput as error:
                self._saved[place] = error
        return parts

    def _request(self, process: str, batch: Sequence[_Part], *, leaving: bool = False) -> SwitchboardRequest:
        told = []
        for place, entries in batch:
            each = self._conversations[place]
            listed = [entry.to_dict() for entry in entries]
            one: dict[str, Any] = {"call_id": each.call_id, "generation": each.generation, "entries": listed}
            # Entries that follow in another request are heard, too: what was given up can still be written to.
            told.append({**one, "given_up": True} if each.given_up else one)
        body = {"process": process, "leaving": leaving, "conversations": told}
        return SwitchboardRequest("POST", "/v1/progress", body=body)


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
