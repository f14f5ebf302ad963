"""The page's routes: calls, one call, and hanging up. Each answer is made for the requesting user."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request

from airflow_openai_realtime.api.sip import check_call_id
from airflow_openai_realtime.calls.witnesses import Account
from airflow_openai_realtime.exceptions import OpenAIRealtimeError
from airflow_openai_realtime.states import CallState, EndReason, Witness
from airflow_openai_realtime.switchboard.server.process import logs
from airflow_openai_realtime.ui.access import (
    READ_CALLS,
    Permissions,
    SeenAttempt,
    SeenCall,
    may_read_transcript,
    visible,
    visible_attempts,
)
from airflow_openai_realtime.ui.csrf import check_same_site
from airflow_openai_realtime.ui.directory import Missing
from airflow_openai_realtime.ui.page import CallsPage, page_of, signed_in_user
from airflow_openai_realtime.ui.shown import shown_attempt, shown_call, shown_conversation
from airflow_openai_realtime.ui.sources import FoundCall, Source

log = logging.getLogger(__name__)

router = APIRouter(prefix="/api")

PAGE_SIZE = 50
MOST_ROUNDS = 5
"""Most pages that are searched for calls that a user may see; then the user has to ask for more."""

User = Annotated[Permissions, Depends(signed_in_user)]
PRINTABLE = r"^[^\x00-\x1f\x7f]+$"  # text that every database accepts in a query
ConnId = Annotated[str, Query(max_length=250, pattern=PRINTABLE)]
CallId = Annotated[str, Query(max_length=255, pattern=PRINTABLE)]
OwnerName = Annotated[str, Query(max_length=800, pattern=PRINTABLE)]
Answer = dict[str, Any]


class WantedHangUp(BaseModel):
    """
    The call to hang up.

    :param conn_id: Id of the connection.
    :param call_id: OpenAI's id of the call.
    """

    model_config = ConfigDict(extra="forbid")

    conn_id: str = Field(max_length=250, pattern=PRINTABLE)
    call_id: str = Field(max_length=255, pattern=PRINTABLE)


@router.get("/calls")
async def calls(request: Request, user: User, before: str | None = None) -> Answer:
    """Return live calls and the newest that are over; with ``before`` older ones."""
    page = page_of(request)
    return await page.work.run(user.user_name, _calls, page, user, before)


def _calls(page: CallsPage, user: Permissions, before: str | None) -> Answer:
    place = None if before is None else page.cursors.read(before)
    seen: list[SeenCall] = []
    attempts: list[SeenAttempt] = []
    missing: list[Missing] = []
    for _ in range(MOST_ROUNDS):
        found, missing = page.directory.page(place, PAGE_SIZE)
        seen += visible(found.calls, user)
        attempts += visible_attempts(found.attempts, user)
        place = found.next
        if place is None or len(seen) + len(attempts) >= PAGE_SIZE:
            break
    now = page.now()
    return {
        "now": now.isoformat(),
        "calls": [*(shown_call(each, now) for each in seen), *(shown_attempt(each) for each in attempts)],
        "next": None if place is None else page.cursors.seal(place),
        "notes": _notes(missing, user),
    }


@router.get("/call")
async def call(
    request: Request,
    user: User,
    conn_id: ConnId,
    call_id: CallId,
    known: Annotated[int, Query(ge=0, le=100_000)] = 0,
) -> Answer:
    """Return one call. If the user may read it, with its timeline, without the first ``known`` entries."""
    page = page_of(request)
    return await page.work.run(user.user_name, _call, page, user, conn_id, call_id, known)


def _call(page: CallsPage, user: Permissions, conn_id: str, call_id: str, known: int) -> Answer:
    seen, _, found = _seen_call(page, user, conn_id, call_id)
    may_read = may_read_transcript(seen, user)
    conversation = found.conversation if may_read else None
    now = page.now()
    return {
        "now": now.isoformat(),
        "call": shown_call(seen, now),
        "may_read_transcript": may_read,
        "conversation": None if conversation is None else shown_conversation(conversation, known),
    }


@router.get("/attempt")
async def attempt(request: Request, user: User, conn_id: ConnId, attempt_id: CallId) -> Answer:
    """Return an attempt to reach a person; ``call_id`` is set once it has become a call."""
    page = page_of(request)
    return await page.work.run(user.user_name, _attempt, page, user, conn_id, attempt_id)


def _attempt(page: CallsPage, user: Permissions, conn_id: str, attempt_id: str) -> Answer:
    found = page.directory.find_attempt(conn_id, attempt_id)
    seen = visible_attempts([found], user) if found is not None else []
    if not seen:
        raise HTTPException(404, "there is no such attempt, or you may not see it")
    return {"now": page.now().isoformat(), "call": shown_attempt(seen[0])}


@router.get("/claimed")
async def claimed(request: Request, user: User, conn_id: ConnId, claimant: OwnerName) -> Answer:
    """Return the newest call of a waiting task; ``null`` when there is none yet, or the user may not see it."""
    page = page_of(request)
    return await page.work.run(user.user_name, _claimed, page, user, conn_id, claimant)


def _claimed(page: CallsPage, user: Permissions, conn_id: str, owner: str) -> Answer:
    call_id = page.directory.find_claimed(conn_id, owner)
    located = None if call_id is None else page.directory.find(conn_id, call_id)
    seen = visible([located[1].recent], user) if located is not None else []
    now = page.now()
    return {"now": now.isoformat(), "call": shown_call(seen[0], now) if seen else None}


@router.post("/hang-up", dependencies=[Depends(check_same_site)])
async def hang_up(request: Request, user: User, body: WantedHangUp) -> Answer:
    """End a call. Repeating the request changes nothing."""
    page = page_of(request)
    return await page.work.run(user.user_name, _hang_up, page, user, body)


def _hang_up(page: CallsPage, user: Permissions, body: WantedHangUp) -> Answer:
    seen, source, _ = _seen_call(page, user, body.conn_id, body.call_id)
    if seen.recent.call.is_over:
        return {"gone": True}
    if seen.recent.call.state != CallState.ACCEPTED:
        raise HTTPException(409, "this call has not been accepted, so there is nothing to hang up")
    if not seen.may_hang_up:
        raise HTTPException(403, "hanging up needs the right to edit the DAG (for calls of no DAG: the connection)")
    page.backend.note(user.user_name, seen.owner, body.conn_id, body.call_id)
    by = f"user {user.user_name}"
    _tell(source, body, lambda: source.end(body.conn_id, body.call_id, EndReason.HUNG_UP, by))
    gone = page.backend.hang_up(body.conn_id, body.call_id)
    account = Account(Witness.FOUND_GONE, EndReason.GONE) if gone else Account(Witness.API, EndReason.HUNG_UP, by)
    _tell(source, body, lambda: source.ended(body.conn_id, body.call_id, account, by if gone else None))
    page.directory.forget()
    return {"gone": gone}


def _seen_call(page: CallsPage, user: Permissions, conn_id: str, call_id: str) -> tuple[SeenCall, Source, FoundCall]:
    """
    Find a call that the user may see.

    :raises HTTPException: 404: there is none, or the user may not see it. The answer is the same in both cases.
    :raises InvalidInput: The id is not valid.
    """
    located = page.directory.find(conn_id, check_call_id(call_id))
    seen = visible([located[1].recent], user) if located is not None else []
    if located is None or not seen:
        raise HTTPException(404, "there is no such call, or you may not see it")
    return seen[0], located[0], located[1]


def _tell(source: Source, call: WantedHangUp, move: Callable[[], None]) -> None:
    try:
        move()
    except OpenAIRealtimeError as error:
        # The call is hung up anyway. Its owner notices the end, and so does the switchboard at the call's time.
        log.warning(logs.line("calls_page.end_not_noted", conn_id=call.conn_id, call_id=call.call_id, error=error))


def _notes(missing: list[Missing], user: Permissions) -> list[str]:
    """Return notes about missing calls, with names of connections only if the user may see those."""
    named = {each.conn_id for each in missing if each.conn_id is not None}
    readable = user.connections(READ_CALLS, named) if named else set()
    notes = []
    for each in missing:
        if each.conn_id is None:
            notes.append("The switchboard in Airflow's API server cannot be read: its calls are missing here.")
        elif each.conn_id in readable:
            notes.append(f"The calls of connection {each.conn_id} are missing here: {each.problem}")
        else:
            notes.append("A switchboard does not answer: its calls are missing here.")
    return list(dict.fromkeys(notes))
