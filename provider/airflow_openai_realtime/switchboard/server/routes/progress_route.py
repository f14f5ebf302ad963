"""``POST /v1/progress``: what is new in all conversations that one process holds, and a sign of its life."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field, StringConstraints, model_validator
from starlette.requests import Request

from airflow_openai_realtime.calls.saved_conversation import MOST_CONVERSATIONS_AT_ONCE
from airflow_openai_realtime.calls.saved_conversation import Progress as ProgressRecord
from airflow_openai_realtime.calls.timeline.entries import MOST_ENTRIES_AT_ONCE
from airflow_openai_realtime.exceptions import ConversationSuperseded, OpenAIRealtimeError, UnknownCall
from airflow_openai_realtime.switchboard.server.routes.call_routes import Answer
from airflow_openai_realtime.switchboard.server.routes.conversation_routes import (
    Entries,
    Generation,
    PrivateBody,
    Process,
)
from airflow_openai_realtime.switchboard.server.routes.admission import CallerLine, PrivateRoute
from airflow_openai_realtime.switchboard.server.service import service_of

router = APIRouter(prefix="/v1", route_class=PrivateRoute)


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


@router.post("/progress")
async def save_progress(request: Request, line: CallerLine, body: Progress) -> Answer:
    """Add to timelines; the answer says for each conversation which keys were new, or why nothing was added."""
    service = service_of(request)
    listed = [
        ProgressRecord(each.call_id, each.generation, tuple(entry.record() for entry in each.entries), each.given_up)
        for each in body.conversations
    ]
    answers = await service.threads.run(
        service.store.conversations.save_progress, line.name, body.process, listed, service.now(), leaving=body.leaving
    )
    if body.leaving or any(each.given_up for each in body.conversations):
        service.standby.sweep.soon()
    return {
        "conversations": [
            {"call_id": each.call_id, **_shown(answer)} for each, answer in zip(listed, answers, strict=True)
        ]
    }


def _shown(answer: list[str] | OpenAIRealtimeError) -> Answer:
    if not isinstance(answer, OpenAIRealtimeError):
        return {"new": answer}
    code = "invalid_input"
    if isinstance(answer, ConversationSuperseded):
        code = answer.code
    elif isinstance(answer, UnknownCall):
        code = "unknown_call"
    return {"error": {"code": code, "message": str(answer)}}
