"""
What is asked of the switchboard about calls, the ledger and tasks, one function for each. Nothing is sent from here.

Sending any of them raises ``SwitchboardUnreachable`` (no answer, 429 or 5xx after the last attempt) and
``SwitchboardRefused`` (token, line or request are wrong); what else it raises, each function says.

Retries: up to 5 attempts within 5 s. A repeated request has no second effect, and is answered as the first one was.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from airflow_openai_realtime.api.request import (
    ANY_TROUBLE,
    SWITCHBOARD,
    Answer,
    NoAnswer,
    Policy,
    Request,
    Requests,
    json_object,
)
from airflow_openai_realtime.api.sip import DEFAULT_REJECT_STATUS, check_call_id
from airflow_openai_realtime.calls.call import Announcement, Attempt, CallPage, Preflight, SwitchboardCall, instant_text
from airflow_openai_realtime.calls.matching import CallMatch
from airflow_openai_realtime.calls.order import owner_of_order
from airflow_openai_realtime.calls.task_states import CLEARED_SECONDS, TaskReference, TaskState
from airflow_openai_realtime.exceptions import (
    ConversationSuperseded,
    InvalidInput,
    MoveRefused,
    SwitchboardError,
    SwitchboardRefused,
    SwitchboardUnreachable,
    UnknownCall,
)
from airflow_openai_realtime.states import LONGEST_WAIT_SECONDS, RefusalCode

if TYPE_CHECKING:
    from airflow_openai_realtime.calls.witnesses import Account

T = TypeVar("T")

POLICY = Policy(5, 5.0, ANY_TROUBLE, first_pause_seconds=0.2, longest_pause_seconds=1.5, obeys_retry_after=False)
"""A phone may be ringing: the pauses are short, whatever a proxy in front asks for."""


def list_calls(
    *,
    after: str | None = None,
    wait_seconds: float = 0.0,
    state: str | None = None,
    claimed_by: str | None = None,
    limit: int = 500,
) -> Request[CallPage]:
    """
    Calls of the line, oldest first, and a cursor.

    Without ``after``: calls as they are now; without a filter the ringing ones. With ``after``: calls that changed
    since that cursor, each as it is now; when there is none yet, the answer is held back up to ``wait_seconds``.

    :param after: Cursor of an earlier page.
    :param wait_seconds: 0 to 25, in seconds; only with ``after``.
    :param state: Only calls in this state; several separated by commas; ``all`` for every state.
    :param claimed_by: Only calls of this owner; without ``state`` in any state.
    :param limit: 1 to 1,000; the newest ones when there are more.
    :raises InvalidInput: ``wait_seconds`` is out of range.
    """
    if not 0 <= wait_seconds <= LONGEST_WAIT_SECONDS:
        raise InvalidInput(f"wait_seconds must be 0 to {LONGEST_WAIT_SECONDS:g}", field="wait_seconds")
    given = {"after": after, "wait": wait_seconds or None, "state": state, "claimed_by": claimed_by, "limit": limit}

    def read(answer: Mapping[str, Any]) -> CallPage:
        return CallPage(tuple(map(SwitchboardCall.from_dict, answer["calls"])), str(answer["cursor"]))

    return switchboard_request(
        "list_calls",
        "GET",
        "/v1/calls",
        read,
        params={key: value for key, value in given.items() if value is not None},
        wait_seconds=wait_seconds if after is not None else 0.0,
    )


def get_call(call_id: str) -> Request[SwitchboardCall]:
    """
    One call as it is now.

    :param call_id: The call.

    Sending it raises ``UnknownCall``: the line has never seen it.
    """
    return switchboard_request("get_call", "GET", f"/v1/calls/{quoted(call_id)}", _read_call, call_id=call_id)


def claim_call(call_id: str, owner: str) -> Request[SwitchboardCall]:
    """
    Take a ringing call. Only one owner gets it; the same one asking again gets it again.

    :param call_id: The call.
    :param owner: A stable name, for example of the task instance, so that a retried task gets its own call.

    Sending it raises ``MoveRefused``, a ``ClaimLost`` (another owner has it, or it rings no more), and
    ``UnknownCall``.
    """
    return _move(call_id, "claim", claimant=owner)


def take_over_call(call_id: str, owner: str, order: str) -> Request[SwitchboardCall]:
    """
    Take over a live call from the standing order that has accepted it. Only one owner gets it; the same one asking
    again gets it again. For the caller nothing changes.

    :param call_id: The call.
    :param owner: A stable name, for example of the task instance.
    :param order: Name of the order.

    Sending it raises ``MoveRefused`` (``not_accepted``: it is not accepted yet; ``claimed_by_other``; ``ended``) and
    ``UnknownCall``.
    """
    return _move(call_id, "claim", claimant=owner, from_claimant=owner_of_order(order))


def announce_accept(
    call_id: str,
    owner: str,
    max_duration_seconds: float,
    is_sole: bool = False,
    sole_match: CallMatch | None = None,
) -> Request[Announcement]:
    """
    Say, before OpenAI is asked to accept, by when the call must be over; claims it when it is not claimed yet.

    A call that the switchboard does not know is registered, so that it is watched as well. The moment is counted by
    the switchboard's clock, and is never moved later by asking again.

    :param call_id: The call.
    :param owner: Who accepts it.
    :param max_duration_seconds: Above 0, at most 3,600, in seconds.
    :param is_sole: Whether the owner must have no other open call; then it is refused as ``has_another``.
    :param sole_match: Which other calls count for that; ``None``: all.
    :return: The call, and whether OpenAI may have been asked before.

    Sending it raises ``MoveRefused``: another owner has it, or it is over; do not accept it.
    """
    body: dict[str, Any] = {"claimant": owner, "max_duration_seconds": max_duration_seconds}
    if is_sole:
        body["sole"] = True
        if sole_match is not None:
            body["sole_match"] = sole_match.to_dict()

    def read(answer: Mapping[str, Any]) -> Announcement:
        # A switchboard that does not say whether OpenAI was asked leaves it open.
        return Announcement(_read_call(answer), bool(answer.get("asked_before", True)))

    return switchboard_request(
        "announce_accept", "POST", f"/v1/calls/{quoted(call_id)}/accepting", read, body=body, call_id=call_id
    )


def report_accepted(call_id: str, owner: str) -> Request[SwitchboardCall]:
    """
    Say that OpenAI has accepted the call.

    :param call_id: The call.
    :param owner: Who had it accepted.

    Sending it raises ``MoveRefused``: ``ended``: it was hung up meanwhile; ``claimed_by_other``.
    """
    return _move(call_id, "accepted", claimant=owner)


def report_accept_in_doubt(call_id: str, owner: str) -> Request[SwitchboardCall]:
    """
    Note that an accept failed without a clear answer. The claim and the announced end stay.

    :param call_id: The call.
    :param owner: Who has claimed it.

    Sending it raises ``UnknownCall``.
    """
    return _move(call_id, "accept_in_doubt", claimant=owner)


def release_call(call_id: str, owner: str, claimed_at: datetime | None, reason: str) -> Request[SwitchboardCall]:
    """
    Give a claim back, when OpenAI has certainly not accepted the call: it rings on, and any task may claim it.

    Nothing happens when the owner does not have the call any more, or has claimed it again in between.

    :param call_id: The call.
    :param owner: Who has claimed it.
    :param claimed_at: When, as the call says that was announced or claimed.
    :param reason: Why, for example ``accept_failed``, up to 200 characters; the call's ``end_reason`` if no other task
        answers it.

    Sending it raises ``UnknownCall``.
    """
    at = None if claimed_at is None else instant_text(claimed_at)
    return _move(call_id, "release", claimant=owner, claimed_at=at, reason=reason)


def want_decline(
    call_id: str, *, by: str, status_code: int = DEFAULT_REJECT_STATUS, wanted: bool = True
) -> Request[SwitchboardCall]:
    """
    Note that a call is about to be declined. When nothing more is reported for five seconds, the switchboard declines
    it.

    :param call_id: The call.
    :param by: Who declines it, 1 to 2,000 characters.
    :param status_code: SIP status, 300 to 699.
    :param wanted: ``False`` withdraws that: the call certainly was not declined, and rings on.

    Sending it raises ``MoveRefused`` (``not_ringing``: it was accepted) and ``UnknownCall``.
    """
    return _move(call_id, "decline", by=by, status_code=status_code, wanted=wanted)


def report_rejected(call_id: str, status_code: int) -> Request[SwitchboardCall]:
    """
    Say that the call was rejected; a call that is over stays as it is.

    :param call_id: The call.
    :param status_code: The SIP status, 300 to 699.

    Sending it raises ``MoveRefused`` (``not_ringing``: it was accepted) and ``UnknownCall``.
    """
    return _move(call_id, "rejected", status_code=status_code)


def want_transfer(call_id: str, target_uri: str) -> Request[SwitchboardCall]:
    """
    Note that a transfer is about to be requested, so that the end that follows counts as the transfer's.

    :param call_id: The call.
    :param target_uri: Where to.

    Sending it raises ``MoveRefused`` (``not_accepted``) and ``UnknownCall``.
    """
    return _move(call_id, "refer", target_uri=target_uri)


def report_referred(call_id: str, target_uri: str, *, requested: bool = True) -> Request[SwitchboardCall]:
    """
    Say that a transfer was requested. The call stays open until it is said to have ended.

    :param call_id: The call.
    :param target_uri: Where to.
    :param requested: Whether it was; ``False``: it certainly was not.

    Sending it raises ``MoveRefused`` (``not_accepted``) and ``UnknownCall``.
    """
    return _move(call_id, "referred", target_uri=target_uri, **({} if requested else {"requested": False}))


def end_call(
    call_id: str, *, reason: str, by: str, after_seconds: float = 0.0, acting: bool = False
) -> Request[SwitchboardCall]:
    """
    Ask the switchboard to end a call. The answer comes at once; the call is over a moment later.

    The switchboard commits who wants the end and why. From then on it hangs up, as often as it takes, declines the call
    when it only rings, and writes the end, the result and the ledger, whichever process dies.

    :param call_id: The call.
    :param reason: Why, for example ``hung_up``, 1 to 200 characters. The first request's reason counts.
    :param by: Who wants it, 1 to 2,000 characters.
    :param after_seconds: 0: now. Above, at most 3,600: the call has lost its holder, and ends then unless another takes
        it over.
    :param acting: Whether the caller of this function ends the call itself right after; the switchboard does so only
        when nothing more is reported for five seconds.
    :return: The call as it is now; one that is over already stays as it is.

    Sending it raises ``UnknownCall``.
    """
    return _move(call_id, "end", reason=reason, by=by, after_seconds=after_seconds, acting=acting)


def report_ended(
    call_id: str, reason: str | Account, *, ended_at: datetime | None = None, too_late_for: str | None = None
) -> Request[SwitchboardCall]:
    """
    Report that the call is over. The account of a stronger witness stays.

    :param call_id: The call.
    :param reason: Why, for example ``hung_up``, up to 200 characters; or the whole account of a witness.
    :param ended_at: When it was over, aware; ``None``: now.
    :param too_late_for: The ``by`` of an :func:`end_call` that certainly came too late.
    :return: The call, with the account of its end that stands.

    Sending it raises ``UnknownCall``.
    """
    body: dict[str, Any] = {"reason": reason} if isinstance(reason, str) else asdict(reason)
    if ended_at is not None:
        body["ended_at"] = instant_text(ended_at)
    if too_late_for is not None:
        body["too_late_for"] = too_late_for
    return _move(call_id, "ended", **{name: value for name, value in body.items() if value is not None})


def reserve_attempt(
    campaign: str, contact: str, attempt: int, to_number: str, owner: str | None = None
) -> Request[Attempt]:
    """
    The ledger's row for an attempt; made and committed if it is not there, else returned as it is.

    :param campaign: Name of the campaign; with contact and attempt the key of the row.
    :param contact: Key of the contact within it.
    :param attempt: 1 or more.
    :param to_number: E.164; kept as it was when the row is there already, until a move gives another.
    :param owner: Stable name of the task that dials; users who may read its DAG see the attempt on the Calls page.
        ``None``: only users who may read the connection do.
    """
    body: dict[str, Any] = {"campaign": campaign, "contact": contact, "attempt": attempt, "to_number": to_number}
    if owner is not None:
        body["claimant"] = owner
    return switchboard_request("reserve_attempt", "POST", "/v1/attempts", _read_attempt, body=body)


def get_attempt(attempt_id: str) -> Request[Attempt]:
    """
    One row of the ledger as it is now.

    :param attempt_id: The row.

    Sending it raises ``UnknownCall``: the line has no such attempt.
    """
    return switchboard_request("get_attempt", "GET", f"/v1/attempts/{quote(attempt_id, safe='')}", _read_attempt)


def move_attempt(
    attempt_id: str, from_state: str, to_state: str, *, owner: str | None = None, **fields: str | None
) -> Request[Attempt]:
    """
    Move an attempt on, if it still is in ``from_state``; only one mover wins.

    :param attempt_id: The row.
    :param from_state: The state it must be in.
    :param to_state: The state it gets.
    :param owner: Names this one move, so that its repetition after a lost answer is not taken for a second mover.
        Leave it out: it is made up anew for each request. Never reuse one for *reserved → dialing* across retries of a
        task: the second would be allowed to dial, and the phone would ring twice.
    :param fields: Any of ``carrier_call_id, outcome, call_id, detail, to_number``, to store with the move.

    Sending it raises ``MoveRefused`` (``attempt_moved``: it is in another state, or no such move exists) and
    ``UnknownCall``.
    """
    body = {"from_state": from_state, "to_state": to_state, "owner": owner or uuid.uuid4().hex, **fields}
    path = f"/v1/attempts/{quote(attempt_id, safe='')}/move"
    return switchboard_request("move_attempt", "POST", path, _read_attempt, body=body)


def list_attempts(campaign: str, *, contact: str | None = None) -> Requests[list[Attempt]]:
    """
    All attempts of a campaign, or of one contact in it, in the order they were reserved; a request for each page.

    Asked in the body: access logs show addresses, and a contact may be a number.

    :param campaign: Name of the campaign.
    :param contact: Key of the contact; ``None``: all.
    """
    found: list[Attempt] = []
    after: str | None = None
    while True:
        given = {"campaign": campaign, "contact": contact, "after": after}
        body = {key: value for key, value in given.items() if value is not None}
        page, after = yield switchboard_request("list_attempts", "POST", "/v1/attempts/find", _read_page, body=body)
        found += page
        if after is None:
            return found


def preflight(checks: Iterable[str], *, run: tuple[str, str, datetime] | None = None) -> Request[Preflight]:
    """
    What the switchboard knows before a phone is dialed; one of an older release knows nothing.

    :param checks: Names of the checks that the caller would make, at most 20.
    :param run: DAG id, run id and start of the DAG run that asks, aware. Its first start is remembered.
    """
    told = None
    if run is not None:
        dag_id, run_id, started_at = run
        told = {"dag_id": dag_id, "run_id": run_id, "started_at": started_at.isoformat()}

    def read(answer: Mapping[str, Any]) -> Preflight:
        first = answer["first_started_at"]
        return Preflight(
            first_started_at=None if first is None else datetime.fromisoformat(first),
            passed=frozenset(map(str, answer["passed"])),
            problems=tuple(map(str, answer["problems"])),
        )

    body = {"run": told, "checks": list(checks)}
    return switchboard_request("preflight", "POST", "/v1/preflight", read, body=body, when_missing=Preflight())


def report_checks_passed(checks: Iterable[str]) -> Request[None]:
    """
    Let the switchboard remember for some minutes that checks passed.

    :param checks: Their names, 1 to 20.
    """
    body = {"checks": list(checks)}
    return switchboard_request("report_checks_passed", "POST", "/v1/preflight/passed", lambda _: None, body=body)


def get_task_state(task: TaskReference) -> Request[TaskState | None]:
    """
    How an Airflow task is, as a switchboard in Airflow's API server sees it.

    :param task: One try of a task instance.
    :return: ``None``: this switchboard runs elsewhere, or is of an older release.
    """
    return switchboard_request(
        "get_task_state", "POST", "/v1/task-state", _read_task_state, body=asdict(task), when_missing=None
    )


def report_task_stopped(
    task: TaskReference,
    call_id: str,
    *,
    by: str,
    generation: int = 0,
    unknown_after_seconds: float = CLEARED_SECONDS,
) -> Request[TaskState | None]:
    """
    Let the switchboard decide about the call of a task that Airflow has stopped.

    The call of a task that is over ends at once. That of a cleared one waits a minute for the next try. That of a
    trigger that only moves to another triggerer goes on.

    :param task: The try that was stopped.
    :param call_id: Its call.
    :param by: Its owner, 1 to 2,000 characters.
    :param generation: Its number as a holder of the conversation; 0: it was none.
    :param unknown_after_seconds: When the call ends, 0 to 3,600, unless a holder goes on with it, where the switchboard
        does not run in Airflow's API server and so does not know how the task is.
    :return: How the task is; ``None``: this switchboard does not know.

    Sending it raises ``UnknownCall``.
    """
    body = {
        **asdict(task),
        "call_id": call_id,
        "by": by,
        "generation": generation,
        "unknown_after_seconds": unknown_after_seconds,
    }
    return switchboard_request(
        "report_task_stopped", "POST", "/v1/task-stopped", _read_task_state, body=body, call_id=call_id
    )


def leave_result(task: TaskReference, call_id: str | None) -> Request[bool]:
    """
    Leave the result of a killed task's call in Airflow, where the task would have returned it.

    :param task: The try that was killed.
    :param call_id: Its call; ``None``: it had none yet.
    :return: Whether it is there now; not while the result is not written, and not by a standalone switchboard.
    """
    return switchboard_request(
        "leave_result",
        "POST",
        "/v1/task-result",
        lambda answer: bool(answer.get("left")),
        body={**asdict(task), "call_id": call_id},
        call_id=call_id,
        when_missing=False,
    )


def get_status() -> Request[dict[str, Any]]:
    """How the switchboard is: its version, the line, its limits."""
    return switchboard_request("get_status", "GET", "/v1/status", dict)


_REQUIRED: Any = object()


def switchboard_request(
    operation: str,
    method: str,
    path: str,
    read: Callable[[dict[str, Any]], T],
    *,
    params: Mapping[str, str | int | float] | None = None,
    body: Mapping[str, Any] | None = None,
    call_id: str | None = None,
    wait_seconds: float = 0.0,
    when_missing: T = _REQUIRED,
) -> Request[T]:
    """
    Build a request to the switchboard.

    :param operation: What it does, in snake_case.
    :param method: HTTP method.
    :param path: Below the switchboard's URL, starting with a slash, already quoted.
    :param read: Turns the answer's JSON object into the result; an error of its own means an unreadable answer.
    :param params: Query parameters.
    :param body: JSON body.
    :param call_id: The call it is about.
    :param wait_seconds: How long the switchboard may hold the answer back (long poll), in seconds.
    :param when_missing: The result when a switchboard of an older release has no such route (404, 405).
    """

    def read_answer(request: Request[Any], answer: Answer) -> T:
        try:
            told = check(request, answer)
        except SwitchboardRefused as error:
            if when_missing is _REQUIRED or error.status not in (404, 405):
                raise
            return when_missing
        return readable(lambda: read(told))

    return Request(
        SWITCHBOARD,
        operation,
        method,
        path,
        read_answer,
        _no_answer,
        POLICY,
        call_id,
        params=params or {},
        body=body,
        wait_seconds=wait_seconds,
    )


def check(request: Request[Any], answer: Answer) -> dict[str, Any]:
    """
    Return the JSON object of an answer that is a success.

    :param request: What was asked.
    :param answer: What came.
    :raises UnknownCall: 404 with the switchboard's own code.
    :raises ConversationSuperseded: 409 about a conversation.
    :raises MoveRefused: Any other 409.
    :raises SwitchboardUnreachable: 429 or 5xx; asking again later is safe.
    :raises SwitchboardRefused: Anything else that is no success, and an answer that is no switchboard's.
    """
    status, url, told = answer.status_code, answer.service.base_url, json_object(answer.content)
    if 200 <= status < 300 and told is not None:
        return told
    error = (told or {}).get("error")
    code, message = (str(error.get("code")), str(error.get("message"))) if isinstance(error, dict) else ("", "")
    if status == 429 or status >= 500:
        raise SwitchboardUnreachable(
            f"the switchboard at {url} answered {status}{f' ({message})' if message else ''}; it or its store is "
            "overloaded or down: see its log",
            call_id=request.call_id,
            status=status,
        )
    if status in (401, 403):
        raise SwitchboardRefused(
            f"the switchboard at {url} refused the token or does not know the line; compare switchboard_token, "
            "webhook_secret and line of the openai_realtime connection with what the switchboard runs with",
            call_id=request.call_id,
            status=status,
        )
    if not code:
        raise SwitchboardRefused(
            f"{url} answered {status}, but not as a switchboard does; check switchboard_url (mounted in Airflow's API "
            "server it ends with /openai-realtime)",
            call_id=request.call_id,
            status=status,
        )
    if status == 404 and code == "unknown_call":
        raise UnknownCall(message, call_id=request.call_id, status=status)
    if status == 409 and code in (RefusalCode.SUPERSEDED, RefusalCode.FINISHED):
        raise ConversationSuperseded(message, code=code, call_id=request.call_id, status=status)
    if status == 409:
        raise MoveRefused(message, code=code, call_id=request.call_id, status=status)
    raise SwitchboardRefused(
        f"the switchboard refused the request: {message} ({code})", call_id=request.call_id, status=status
    )


def readable(read: Callable[[], T]) -> T:
    """
    Read an answer.

    :param read: Reads it.
    :raises SwitchboardRefused: It is not as it should be: the switchboard may be of another version.
    """
    try:
        return read()
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise SwitchboardRefused(
            f"the switchboard's answer cannot be read ({type(error).__name__}: {error}); "
            "its version may not fit this one"
        ) from error


def quoted(call_id: str) -> str:
    """
    Return a call id as it stands in a path.

    :param call_id: The call.
    :raises InvalidInput: It cannot be one.
    """
    return quote(check_call_id(call_id), safe="")


def _move(call_id: str, move: str, **body: Any) -> Request[SwitchboardCall]:
    path = f"/v1/calls/{quoted(call_id)}/{move}"
    return switchboard_request(move, "POST", path, _read_call, body=body, call_id=call_id)


def _no_answer(request: Request[Any], lost: NoAnswer) -> SwitchboardError:
    return SwitchboardUnreachable(
        f"no answer from the switchboard at {lost.service.base_url} ({lost.kind}); check that it runs, that "
        "switchboard_url is right, and that this machine may connect to it",
        call_id=request.call_id,
    )


def _read_call(answer: Mapping[str, Any]) -> SwitchboardCall:
    return SwitchboardCall.from_dict(answer["call"])


def _read_task_state(answer: Mapping[str, Any]) -> TaskState | None:
    return None if answer["task"] is None else TaskState.from_dict(answer["task"])


def _read_attempt(answer: Mapping[str, Any]) -> Attempt:
    return Attempt.from_dict(answer["attempt"])


def _read_page(answer: Mapping[str, Any]) -> tuple[list[Attempt], str | None]:
    return [Attempt.from_dict(attempt) for attempt in answer["attempts"]], answer.get("next")
