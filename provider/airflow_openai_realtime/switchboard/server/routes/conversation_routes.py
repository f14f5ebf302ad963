"""
The private API of conversations: ``/v1/calls/{id}/conversation``, and ``/v1/progress``, which adds to all that one
process holds.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from airflow_openai_realtime.calls.saved_conversation import (
    LONGEST_OUTCOME,
    LONGEST_PROCESS,
    MOST_CONVERSATIONS_AT_ONCE,
    Conversation,
)
from airflow_openai_realtime.calls.saved_conversation import Progress as ProgressRecord
from airflow_openai_realtime.calls.timeline.entries import MOST_ENTRIES_AT_ONCE, TimelineEntry
from airflow_openai_realtime.exceptions import ConversationSuperseded, OpenAIRealtimeError, UnknownCall
from airflow_openai_realtime.switchboard.server.routes.admission import Admitted, PrivateRequest, PrivateRoute
from airflow_openai_realtime.switchboard.server.routes.call_routes import PRINTABLE, Answer, CallId, OwnerName

router = APIRouter(prefix="/v1", route_class=PrivateRoute)

_FIRST_INSTANT = datetime(2000, 1, 1, tzinfo=timezone.utc)
_LAST_INSTANT = datetime(2999, 1, 1, tzinfo=timezone.utc)

Generation = Annotated[int, Field(ge=1, le=2**31 - 1)]


class PrivateBody(BaseModel):
    """What is said in a call is personal data: no error repeats it."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


Process = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_PROCESS, pattern=PRINTABLE)]


class Holder(PrivateBody):
    """
    The owner of a conversation, and its process if that shows signs of life.

    :param holder: Name of the owner.
    :param process: Id of the owner's process; ``None``: it shows no signs of life.
    """

    holder: OwnerName
    process: Process | None = None


class Entry(PrivateBody):
    """
    One entry of the timeline.

    :param key: Unique in the conversation: an entry is kept once.
    :param kind: What it is about.
    :param at: When it happened, aware.
    :param body: What happened; the shape depends on the kind.
    """

    key: str
    kind: Literal["caller", "agent", "key", "tool_call", "tool_result", "usage", "error", "note"]
    at: AwareDatetime = Field(ge=_FIRST_INSTANT, le=_LAST_INSTANT)
    body: dict[str, Any] = Field(default_factory=dict)

    def record(self) -> TimelineEntry:
        """As the store takes it, which checks the rest."""
        return TimelineEntry(self.key, self.kind, self.at, self.body)


Entries = Annotated[list[Entry], Field(max_length=MOST_ENTRIES_AT_ONCE)]


class Append(PrivateBody):
    """
    What is new on the timeline.

    :param generation: Number of the holder, counted from 1.
    :param entries: New entries.
    """

    generation: Generation
    entries: Entries


class Finish(PrivateBody):
    """
    How it ended.

    :param generation: Number of the holder, counted from 1.
    :param outcome: How the call ended.
    :param result: What the task returns.
    :param entries: The last entries.
    """

    generation: Generation
    outcome: Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_OUTCOME, pattern=PRINTABLE)]
    result: dict[str, Any] | None = None
    entries: Entries = Field(default_factory=list)


class ConversationProgress(PrivateBody):
    """
    What is new in one conversation.

    :param call_id: OpenAI's id of the call.
    :param generation: Number of the holder, counted from 1.
    :param entries: New entries.
    :param given_up: Whether the process holds it no longer.
    """

    call_id: Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[\x20-\x7e]*$")]
    generation: Generation
    entries: Entries = Field(default_factory=list)
    given_up: bool = False


class Progress(PrivateBody):
    """
    What is new in the conversations of a process; nothing is a sign of life, too.

    :param process: Id of the process.
    :param leaving: Whether the process is about to end.
    :param conversations: What is new, by conversation.
    """

    process: Process
    leaving: bool = False
    conversations: Annotated[list[ConversationProgress], Field(max_length=MOST_CONVERSATIONS_AT_ONCE)] = Field(
        default_factory=list
    )

    @model_validator(mode="after")
    def _is_not_too_much(self) -> Progress:
        if len({each.call_id for each in self.conversations}) < len(self.conversations):
            raise ValueError("conversations must have each call once")
        if sum(len(each.entries) for each in self.conversations) > MOST_ENTRIES_AT_ONCE:
            raise ValueError(f"entries must be at most {MOST_ENTRIES_AT_ONCE} in one request")
        return self


@router.get("/calls/{call_id:path}/conversation")
async def one_conversation(request: PrivateRequest, call_id: CallId) -> Answer:
    """The conversation of a call, with its timeline."""
    return await _answered(request, request.service.store.conversations.find, call_id)


@router.post("/calls/{call_id:path}/conversation/open")
async def open_conversation(request: PrivateRequest, call_id: CallId, body: Holder) -> Answer:
    """Open the conversation as its new owner; an earlier owner may write nothing more."""
    opening = partial(request.service.store.conversations.open, process=body.process)
    return await _answered(request, opening, call_id, body.holder, request.now)


@router.post("/calls/{call_id:path}/conversation/append")
async def append(request: PrivateRequest, call_id: CallId, body: Append) -> Answer:
    """Add to the timeline; the answer names the keys that were new."""
    service = request.service
    entries = [entry.record() for entry in body.entries]
    new = await service.threads.run(
        service.store.conversations.append, request.line.name, call_id, body.generation, entries, request.now
    )
    return {"new": new}


@router.post("/calls/{call_id:path}/conversation/finish")
async def finish(request: PrivateRequest, call_id: CallId, body: Finish) -> Answer:
    """Write the outcome; the first one stays."""
    entries = [entry.record() for entry in body.entries]
    written = (body.generation, body.outcome, body.result, entries, request.now)
    return await _answered(request, request.service.store.conversations.finish, call_id, *written)


@router.post("/progress")
async def save_progress(request: PrivateRequest, body: Progress) -> Answer:
    """Add to timelines; the answer says for each conversation which keys were new, or why nothing was added."""
    service = request.service
    listed = [
        ProgressRecord(each.call_id, each.generation, tuple(entry.record() for entry in each.entries), each.given_up)
        for each in body.conversations
    ]
    save = partial(service.store.conversations.save_progress, leaving=body.leaving)
    answers = await service.threads.run(save, request.line.name, body.process, listed, request.now)
    if body.leaving or any(each.given_up for each in body.conversations):
        service.standby.sweep.soon()
    return {
        "conversations": [
            {"call_id": each.call_id, **_shown(answer)} for each, answer in zip(listed, answers, strict=True)
        ]
    }


async def _answered(request: Admitted, method: Callable[..., Conversation], call_id: str, *args: object) -> Answer:
    """The conversation that a method of the store returns."""
    conversation = await request.service.threads.run(method, request.line.name, call_id, *args)
    return {"conversation": conversation.to_dict()}


def _shown(answer: list[str] | OpenAIRealtimeError) -> Answer:
    if not isinstance(answer, OpenAIRealtimeError):
        return {"new": answer}
    code = "invalid_input"
    if isinstance(answer, ConversationSuperseded):
        code = answer.code
    elif isinstance(answer, UnknownCall):
        code = "unknown_call"
    return {"error": {"code": code, "message": str(answer)}}
