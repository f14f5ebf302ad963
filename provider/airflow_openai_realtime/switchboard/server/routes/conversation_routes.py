"""The private API of conversations: ``/v1/calls/{id}/conversation``."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints
from starlette.requests import Request

from airflow_openai_realtime.calls.saved_conversation import LONGEST_OUTCOME, LONGEST_PROCESS
from airflow_openai_realtime.calls.timeline.entries import MOST_ENTRIES_AT_ONCE, TimelineEntry
from airflow_openai_realtime.switchboard.server.routes.call_routes import PRINTABLE, Answer, Claimant, checked_id
from airflow_openai_realtime.switchboard.server.routes.admission import CallerLine, PrivateRoute
from airflow_openai_realtime.switchboard.server.service import service_of

router = APIRouter(prefix="/v1/calls", route_class=PrivateRoute)

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

    holder: Claimant
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


@router.get("/{call_id:path}/conversation")
async def one_conversation(request: Request, line: CallerLine, call_id: str) -> Answer:
    """The conversation of a call, with its timeline."""
    service = service_of(request)
    found = await service.threads.run(service.store.conversations.find, line.name, checked_id(call_id))
    return {"conversation": found.to_dict()}


@router.post("/{call_id:path}/conversation/open")
async def open_conversation(request: Request, line: CallerLine, call_id: str, body: Holder) -> Answer:
    """Open the conversation as its new owner; an earlier owner may write nothing more."""
    service = service_of(request)
    opened = await service.threads.run(
        service.store.conversations.open,
        line.name,
        checked_id(call_id),
        body.holder,
        service.now(),
        process=body.process,
    )
    return {"conversation": opened.to_dict()}


@router.post("/{call_id:path}/conversation/append")
async def append(request: Request, line: CallerLine, call_id: str, body: Append) -> Answer:
    """Add to the timeline; the answer names the keys that were new."""
    service = service_of(request)
    entries = [entry.record() for entry in body.entries]
    new = await service.threads.run(
        service.store.conversations.append, line.name, checked_id(call_id), body.generation, entries, service.now()
    )
    return {"new": new}


@router.post("/{call_id:path}/conversation/finish")
async def finish(request: Request, line: CallerLine, call_id: str, body: Finish) -> Answer:
    """Write the outcome; the first one stays."""
    service = service_of(request)
    finished = await service.threads.run(
        service.store.conversations.finish,
        line.name,
        checked_id(call_id),
        body.generation,
        body.outcome,
        body.result,
        [entry.record() for entry in body.entries],
        service.now(),
    )
    return {"conversation": finished.to_dict()}
