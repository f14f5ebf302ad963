"""The private API of calls: ``/v1/calls``, their moves, and ``/v1/status``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import AwareDatetime, BaseModel, Field, StringConstraints

from airflow_openai_realtime import __version__
from airflow_openai_realtime.api.sip import DEFAULT_REJECT_STATUS, check_call_id
from airflow_openai_realtime.calls import transitions as moves
from airflow_openai_realtime.calls.call import SwitchboardCall
from airflow_openai_realtime.calls.matching import CallMatch
from airflow_openai_realtime.calls.order import ORDER_NAME, OWNER_PREFIX
from airflow_openai_realtime.calls.transitions import Change
from airflow_openai_realtime.calls.witnesses import Account
from airflow_openai_realtime.exceptions import InvalidInput
from airflow_openai_realtime.states import LONGEST_CALL_SECONDS, LONGEST_WAIT_SECONDS, CallState, Witness
from airflow_openai_realtime.switchboard.server.routes.admission import Admitted, PrivateRequest, PrivateRoute
from airflow_openai_realtime.switchboard.server.store import CallFilter, NewCall
from airflow_openai_realtime.switchboard.server.store.call_rows import SoleCall
from airflow_openai_realtime.switchboard.server.store.feed_rows import Cursor

router = APIRouter(prefix="/v1", route_class=PrivateRoute)

PRINTABLE = r"^[^\x00-\x1f\x7f]*$"  # what every database can store and every log show
OwnerName = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=PRINTABLE)]
Answer = dict[str, Any]


Reason = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=PRINTABLE)]
By = Annotated[str, StringConstraints(min_length=1, max_length=2000, pattern=PRINTABLE)]

LONGEST_BY = 500


def checked_id(call_id: str) -> str:
    """
    An id from a path, if it can be one; the same rule as for ids that are sent elsewhere.

    :param call_id: Id from the path.
    :raises InvalidInput: It cannot.
    """
    try:
        return check_call_id(call_id)
    except InvalidInput:
        raise InvalidInput(
            "the id in the path must be 1 to 255 printable ASCII characters without blanks and steps like ..",
            field="id",
        ) from None


async def _path_id(call_id: str) -> str:
    return checked_id(call_id)


CallId = Annotated[str, Depends(_path_id)]
"""The id of a call in the path, checked."""


class Claim(BaseModel):
    """
    Who takes a call.

    :param claimant: Stable name of the owner who takes it.
    """

    claimant: OwnerName


class ClaimOrTakeOver(Claim):
    """
    Who takes a ringing call; or, with the owner of a standing order, a live call that the order has accepted.

    :param from_claimant: ``order:NAME`` that has the live call; ``None``: the call rings.
    """

    from_claimant: Annotated[str, StringConstraints(pattern=rf"^{OWNER_PREFIX}{ORDER_NAME}$")] | None = None


class Accepting(Claim):
    """
    Who is about to accept a call, how long it may last, and whether the owner must have no other open call.

    :param max_duration_seconds: Limit of the call, in seconds.
    :param sole: Whether the owner must have no other open call.
    :param sole_match: Which calls count as such; ``None``: all.
    """

    max_duration_seconds: float = Field(gt=0, le=LONGEST_CALL_SECONDS, allow_inf_nan=False)
    sole: bool = False
    sole_match: dict[str, Any] | None = None


class Release(Claim):
    """
    Whose claim is given back, when it was made, and why.

    :param claimed_at: When the claim was made, aware; ``None``: whenever.
    :param reason: Why it is given back.
    """

    claimed_at: AwareDatetime | None = None
    reason: Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=PRINTABLE)]


class Rejected(BaseModel):
    """
    The SIP status that a call was rejected with.

    :param status_code: SIP status, 300 to 699.
    """

    status_code: int = Field(ge=300, le=699)


class WantedDecline(BaseModel):
    """
    Who is about to decline a call and with what SIP status; or that the call certainly was not declined.

    :param by: Who declines it.
    :param status_code: SIP status, 300 to 699.
    :param wanted: False: it certainly was not declined.
    """

    by: By
    status_code: int = Field(default=DEFAULT_REJECT_STATUS, ge=300, le=699)
    wanted: bool = True


class Referred(BaseModel):
    """
    Where a call was transferred to.

    :param target_uri: ``tel:`` or ``sip:`` address.
    :param requested: False: it certainly was not transferred.
    """

    target_uri: Annotated[str, StringConstraints(min_length=1, max_length=1024, pattern=PRINTABLE)]
    requested: bool = True


class WantedEnd(BaseModel):
    """
    Why a call is to end and who wants that.

    :param reason: Why it is to end.
    :param by: Who wants that.
    :param after_seconds: How long a call that has lost its holder waits for another one, in seconds.
    :param acting: The client ends it itself now; the switchboard does only when nothing more is reported.
    """

    reason: Reason
    by: By
    after_seconds: float = Field(default=0.0, ge=0, le=LONGEST_CALL_SECONDS, allow_inf_nan=False)
    acting: bool = False


class Ended(BaseModel):
    """
    Why a call is over, and all that a witness of its end knows.

    :param reason: Why it is over.
    :param witness: Who says so; ``None``: the reason tells.
    :param by: Who ended it.
    :param talk_seconds: How long was talked, in seconds.
    :param ended_at: When it was over, aware.
    :param too_late_for: Who wanted to end it, and came too late.
    """

    reason: Reason
    witness: Witness | None = None
    by: By | None = None
    talk_seconds: float | None = Field(default=None, ge=0, le=10 * LONGEST_CALL_SECONDS, allow_inf_nan=False)
    ended_at: AwareDatetime | None = None
    too_late_for: By | None = None

    def account(self) -> str | Account:
        """As a witness's account; a reason alone implies the witness."""
        if self.witness is None:
            return self.reason
        return Account(self.witness, self.reason, self.by and shortened(self.by), self.talk_seconds)


@router.get("/calls")
async def list_calls(
    request: PrivateRequest,
    after: str | None = None,
    wait: Annotated[float, Query(ge=0, le=LONGEST_WAIT_SECONDS, allow_inf_nan=False)] = 0.0,
    state: str | None = None,
    claimed_by: Annotated[str | None, Query(min_length=1, max_length=500, pattern=PRINTABLE)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 500,
) -> Answer:
    """Calls as they are now, or, with ``after``, those that changed since; see the client's ``calls``."""
    service = request.service
    if after is None:
        by_default = tuple(CallState) if claimed_by else (CallState.RINGING,)
        wanted = CallFilter(_states(state) or by_default, claimed_by)
        page = await service.polls.current(request.line.name, wanted, limit)
    else:
        wanted = CallFilter(_states(state) or tuple(CallState), claimed_by)
        wait = min(wait, service.settings.long_poll_seconds)
        page = await service.polls.changes(request.line.name, wanted, Cursor.parse(after), wait)
    return {"calls": [call.to_dict() for call in page.calls], "cursor": page.cursor}


@router.get("/calls/{call_id:path}")
async def one_call(request: PrivateRequest, call_id: CallId) -> Answer:
    """One call as it is now."""
    return await _answered(request, request.service.store.calls.find, call_id)


@router.post("/calls/{call_id:path}/claim")
async def claim(request: PrivateRequest, call_id: CallId, body: ClaimOrTakeOver) -> Answer:
    """Take a ringing call, or take over one that a standing order has accepted."""
    rule = partial(moves.claim, owner=body.claimant, now=request.now)
    if body.from_claimant is not None:
        rule = partial(moves.take_over, owner=body.claimant, from_owner=body.from_claimant, now=request.now)
    return await move_call(request, call_id, rule)


@router.post("/calls/{call_id:path}/accepting")
async def accepting(request: PrivateRequest, call_id: CallId, body: Accepting) -> Answer:
    """Fix when the call must be over, before it is accepted; an unknown call is registered."""
    asked_before = False

    def rule(call: SwitchboardCall) -> Change:
        nonlocal asked_before
        asked_before = call.hangup_at is not None
        return moves.accepting(call, body.claimant, request.now, body.max_duration_seconds)

    match = None if body.sole_match is None else CallMatch.from_dict(body.sole_match)
    sole = SoleCall(body.claimant, match) if body.sole else None
    answer = await move_call(request, call_id, rule, register=True, sole=sole)
    return {**answer, "asked_before": asked_before}


@router.post("/calls/{call_id:path}/accepted")
async def accepted(request: PrivateRequest, call_id: CallId, body: Claim) -> Answer:
    """Note that OpenAI has accepted the call; an unknown call is registered."""
    seconds = request.service.settings.default_max_duration_seconds
    rule = partial(moves.accepted, owner=body.claimant, now=request.now, default_duration_seconds=seconds)
    return await move_call(request, call_id, rule, register=True)


@router.post("/calls/{call_id:path}/release")
async def release(request: PrivateRequest, call_id: CallId, body: Release) -> Answer:
    """Give a claim back: the call rings for others again."""
    rule = partial(moves.release, owner=body.claimant, claimed_at=body.claimed_at, reason=body.reason)
    answer = await move_call(request, call_id, rule)
    # A fallback that is due by now need not wait for the next sweep.
    request.service.orders.sweep.soon()
    return answer


@router.post("/calls/{call_id:path}/accept_in_doubt")
async def accept_in_doubt(request: PrivateRequest, call_id: CallId, body: Claim) -> Answer:
    """Note that an accept failed without a clear answer; the claim stays."""
    return await move_call(request, call_id, partial(moves.accept_in_doubt, owner=body.claimant))


@router.post("/calls/{call_id:path}/rejected")
async def rejected(request: PrivateRequest, call_id: CallId, body: Rejected) -> Answer:
    """Note that the call was rejected."""
    rule = partial(moves.rejected, now=request.now, status_code=body.status_code)
    return await move_call(request, call_id, rule)


@router.post("/calls/{call_id:path}/decline")
async def decline(request: PrivateRequest, call_id: CallId, body: WantedDecline) -> Answer:
    """Note who is about to decline a call; the switchboard declines it when nothing more is reported."""
    by = shortened(body.by)
    rule = partial(
        moves.want_decline, now=request.now, by=by, status_code=body.status_code, acting_seconds=moves.ACTING_SECONDS
    )
    return await move_call(request, call_id, rule if body.wanted else partial(moves.not_declined, by=by))


@router.post("/calls/{call_id:path}/refer")
async def refer(request: PrivateRequest, call_id: CallId, body: Referred) -> Answer:
    """Note that a transfer is about to be requested."""
    return await move_call(request, call_id, partial(moves.want_transfer, target_uri=body.target_uri))


@router.post("/calls/{call_id:path}/referred")
async def referred(request: PrivateRequest, call_id: CallId, body: Referred) -> Answer:
    """Note that a transfer was requested, or certainly was not."""
    rule = moves.referred if body.requested else moves.not_referred
    return await move_call(request, call_id, partial(rule, target_uri=body.target_uri))


@router.post("/calls/{call_id:path}/end")
async def end(request: PrivateRequest, call_id: CallId, body: WantedEnd) -> Answer:
    """Note who wants a call to end and why; the switchboard ends it, whichever process dies."""
    acting_seconds = moves.ACTING_SECONDS if body.acting else 0.0
    return await end_call(
        request,
        call_id,
        reason=body.reason,
        by=body.by,
        after_seconds=body.after_seconds,
        acting_seconds=acting_seconds,
    )


@router.post("/calls/{call_id:path}/ended")
async def ended(request: PrivateRequest, call_id: CallId, body: Ended) -> Answer:
    """Note that the call is over; when it is over already, only a stronger witness changes its account."""
    rule = partial(
        moves.ended,
        now=request.now,
        reason=body.account(),
        ended_at=body.ended_at,
        too_late_for=body.too_late_for and shortened(body.too_late_for),
    )
    return await move_call(request, call_id, rule)


@router.get("/status")
async def status(request: PrivateRequest) -> Answer:
    """How the switchboard is, as seen from one line."""
    service = request.service
    counts, oldest = await service.threads.run(service.store.calls.counts, request.line.name)
    last_sweep = service.reaper.sweep.last_at
    return {
        "line": request.line.name,
        "version": __version__,
        "store": service.store.database.dialect,
        "calls": counts,
        "oldest_ringing_seconds": None if oldest is None else max(0.0, (request.now - oldest).total_seconds()),
        "reaper_last_sweep_at": None if last_sweep is None else last_sweep.isoformat(),
        "waiting_polls": service.polls.waiting,
    }


def shortened(by: str) -> str:
    """
    Who wanted or did something, as the store keeps it: names of tasks may be longer than its column.

    :param by: Who wanted or did something.
    """
    return by if len(by) <= LONGEST_BY else f"{by[: LONGEST_BY - 1]}…"


async def end_call(
    request: PrivateRequest,
    call_id: str,
    *,
    reason: str,
    by: str,
    after_seconds: float,
    acting_seconds: float = 0.0,
) -> Answer:
    """
    Note who wants a call to end and why, and let the reaper carry it out; see :func:`moves.want_end`.

    :param request: The request, for its line.
    :param call_id: OpenAI's id of the call.
    :param reason: Why it is to end.
    :param by: Who wants that.
    :param after_seconds: How long it waits for another holder, in seconds.
    :param acting_seconds: How long the client may take to end it itself, in seconds.
    """
    rule = partial(
        moves.want_end,
        now=request.now,
        reason=reason,
        by=shortened(by),
        after_seconds=after_seconds,
        acting_seconds=acting_seconds,
    )
    answer = await move_call(request, call_id, rule)
    request.service.reaper.end_now(request.line.name, call_id)
    return answer


async def move_call(
    request: PrivateRequest,
    call_id: str,
    rule: Callable[[SwitchboardCall], Change],
    *,
    register: bool = False,
    sole: SoleCall | None = None,
) -> Answer:
    """
    Change a call by a rule, notify the followers of the feed, and answer with the call.

    :param request: The request, for its line.
    :param call_id: OpenAI's id of the call.
    :param rule: What becomes of the call, as it is now.
    :param register: Whether a call that no webhook has announced is stored first.
    :param sole: Of what the call has to be the only one.
    :raises MoveRefused: The rule does not allow it.
    :raises UnknownCall: The line has never seen it.
    """
    service, line = request.service, request.line.name
    unknown = None
    if register:  # so that it is watched like all others
        unknown = NewCall(line=line, call_id=call_id, received_at=request.now, expires_at=request.now)
    move = partial(service.store.calls.move, if_unknown=unknown, sole=sole)
    answer = await _answered(request, move, call_id, rule, request.now)
    service.polls.wake(line)
    return answer


async def _answered(request: Admitted, method: Callable[..., SwitchboardCall], call_id: str, *args: object) -> Answer:
    """The call that a method of the store returns."""
    call = await request.service.threads.run(method, request.line.name, call_id, *args)
    return {"call": call.to_dict()}


def _states(text: str | None) -> tuple[str, ...]:
    """
    The states that a query names; none when it names none.

    :raises InvalidInput: One is no state.
    """
    if text in (None, "", "all"):
        return tuple(CallState) if text == "all" else ()
    named = tuple(part.strip() for part in str(text).split(","))
    unknown = [state for state in named if state not in tuple(CallState)]
    if unknown:
        raise InvalidInput(f"state must be {', '.join(CallState)} or all; several separated by commas", field="state")
    return named
