"""The private API of the ledger: ``/v1/attempts``."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from airflow_openai_realtime.switchboard.server.routes.admission import PrivateRequest, PrivateRoute
from airflow_openai_realtime.switchboard.server.routes.call_routes import PRINTABLE, Answer, checked_id

router = APIRouter(prefix="/v1/attempts", route_class=PrivateRoute)

Key = Annotated[str, StringConstraints(min_length=1, max_length=2000, pattern=PRINTABLE)]
Word = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=PRINTABLE)]
Id = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=PRINTABLE)]
Number = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=PRINTABLE)]
State = Literal["reserved", "dialing", "placed", "ended", "unknown"]


class Reservation(BaseModel):
    """
    The contact to dial.

    :param campaign: Name of the campaign.
    :param contact: Name of the contact.
    :param attempt: Number of the attempt, 1 or more.
    :param to_number: Number to dial, E.164.
    :param claimant: Name of the task that dials.
    """

    campaign: Key
    contact: Key
    attempt: int = Field(ge=1, le=1_000_000)
    to_number: Number
    claimant: Annotated[str, StringConstraints(min_length=1, max_length=800, pattern=PRINTABLE)] | None = None


class Wanted(BaseModel):
    """
    Whose attempts are asked for. A contact is often a phone number, so it travels in a body and in no access log.

    :param campaign: Name of the campaign.
    :param contact: Name of a contact; ``None``: of all.
    :param after: Number of the last row of the page before.
    """

    model_config = ConfigDict(extra="forbid")

    campaign: Key
    contact: Key | None = None
    after: int = Field(default=0, ge=0, le=10**18)


class AttemptMove(BaseModel):
    """
    From which state to which, named by an owner, and what is stored with it.

    :param from_state: State that the attempt must have.
    :param to_state: State that it gets.
    :param owner: What only the client knows that reserved it.
    :param carrier_call_id: The carrier's id of the call.
    :param outcome: How the attempt ended.
    :param call_id: OpenAI's id of the call.
    :param detail: Text for people.
    :param to_number: Number that was dialed, E.164.
    """

    model_config = ConfigDict(extra="forbid")

    from_state: State
    to_state: State
    owner: Word
    carrier_call_id: Id | None = None
    outcome: Word | None = None
    call_id: Id | None = None
    detail: Annotated[str, StringConstraints(max_length=2000, pattern=PRINTABLE)] | None = None
    to_number: Number | None = None  # another number than the one reserved, when nothing has dialed that


@router.post("")
async def reserve(request: PrivateRequest, body: Reservation) -> Answer:
    """The row of an attempt; made and committed if it is not there."""
    service = request.service
    attempt = await service.threads.run(
        service.store.attempts.reserve,
        request.line.name,
        body.campaign,
        body.contact,
        body.attempt,
        body.to_number,
        request.now,
        body.claimant,
    )
    return {"attempt": attempt.to_dict()}


@router.post("/find")
async def find(request: PrivateRequest, body: Wanted) -> Answer:
    """Attempts of a campaign, a page at a time. A read, but by POST: what is asked for may be a phone number."""
    service = request.service
    page, following = await service.threads.run(
        service.store.attempts.page, request.line.name, body.campaign, body.contact, body.after
    )
    return {"attempts": [attempt.to_dict() for attempt in page], "next": following and str(following)}


@router.get("/{attempt_id}")
async def one_attempt(request: PrivateRequest, attempt_id: str) -> Answer:
    """One attempt as it is now."""
    service = request.service
    attempt = await service.threads.run(service.store.attempts.find, request.line.name, checked_id(attempt_id))
    return {"attempt": attempt.to_dict()}


@router.post("/{attempt_id}/move")
async def move(request: PrivateRequest, attempt_id: str, body: AttemptMove) -> Answer:
    """Move an attempt on, if it still is in the state it is said to be in."""
    service = request.service
    values = body.model_dump(exclude={"from_state", "to_state", "owner"}, exclude_none=True)
    attempt = await service.threads.run(
        service.store.attempts.move,
        request.line.name,
        checked_id(attempt_id),
        body.from_state,
        body.to_state,
        body.owner,
        values,
        request.now,
    )
    return {"attempt": attempt.to_dict()}
