"""
What a client asks of the switchboard, as values; and what an answer means. Pure: nothing is sent from here.

Every request may be repeated: the switchboard answers a repeated one as it did the first, so a lost answer costs
nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from airflow_openai_realtime.api.error_text import json_object
from airflow_openai_realtime.api.instants import instant_text
from airflow_openai_realtime.api.sip import check_call_id
from airflow_openai_realtime.calls.call import Announcement, Attempt, CallPage, Preflight, SwitchboardCall
from airflow_openai_realtime.calls.matching import CallMatch
from airflow_openai_realtime.calls.task_states import TaskReference, TaskState
from airflow_openai_realtime.exceptions import (
    ConversationSuperseded,
    InvalidInput,
    MoveRefused,
    SwitchboardRefused,
    SwitchboardUnreachable,
    UnknownCall,
)
from airflow_openai_realtime.states import LONGEST_WAIT_SECONDS, RefusalCode

if TYPE_CHECKING:
    from airflow_openai_realtime.calls.witnesses import Account

_T = TypeVar("_T")


@dataclass(frozen=True)
class SwitchboardRequest:
    """
    One request.

    :param path: Below the switchboard's URL, starting with a slash, already quoted.
    :param wait_seconds: How long the switchboard may hold the answer back (long poll).
    """

    method: str
    path: str
    params: Mapping[str, str | int | float] = field(default_factory=dict)
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    call_id: str | None = None
    wait_seconds: float = 0.0


def list_calls(
    *,
    after: str | None,
    wait_seconds: float,
    state: str | None,
    claimed_by: str | None,
    limit: int,
) -> SwitchboardRequest:
    """Calls as they are now, or those that changed since a cursor."""
    if not 0 <= wait_seconds <= LONGEST_WAIT_SECONDS:
        raise InvalidInput(f"wait_seconds must be 0 to {LONGEST_WAIT_SECONDS:g}", field="wait_seconds")
    given = {"after": after, "wait": wait_seconds or None, "state": state, "claimed_by": claimed_by, "limit": limit}
    params = {key: value for key, value in given.items() if value is not None}
    return SwitchboardRequest("GET", "/v1/calls", params, wait_seconds=wait_seconds if after is not None else 0.0)


def one_call(call_id: str) -> SwitchboardRequest:
    """One call as it is now."""
    return SwitchboardRequest("GET", f"/v1/calls/{_quoted(call_id)}", call_id=call_id)


def move_call(call_id: str, move: str, **body: Any) -> SwitchboardRequest:
    """One of ``claim, accepting, accepted, release, accept_in_doubt, rejected, referred, ended``."""
    return SwitchboardRequest("POST", f"/v1/calls/{_quoted(call_id)}/{move}", body=body, call_id=call_id)


def announce(
    call_id: str, claimant: str, max_duration_seconds: float, is_sole: bool, sole_match: CallMatch | None = None
) -> SwitchboardRequest:
    """An accept that is about to be sent."""
    body: dict[str, Any] = {"claimant": claimant, "max_duration_seconds": max_duration_seconds}
    if is_sole:
        body["sole"] = True
        if sole_match is not None:
            body["sole_match"] = sole_match.to_dict()
    return move_call(call_id, "accepting", **body)


def end_call(call_id: str, reason: str, by: str, after_seconds: float, acting: bool) -> SwitchboardRequest:
    """That a call is to end."""
    return move_call(call_id, "end", reason=reason, by=by, after_seconds=after_seconds, acting=acting)


def decline_call(call_id: str, by: str, status_code: int, wanted: bool) -> SwitchboardRequest:
    """That a call is about to be declined, or certainly was not."""
    return move_call(call_id, "decline", by=by, status_code=status_code, wanted=wanted)


def referred(call_id: str, target_uri: str, requested: bool) -> SwitchboardRequest:
    """That a transfer was requested, or certainly was not."""
    return move_call(call_id, "referred", target_uri=target_uri, **({} if requested else {"requested": False}))


def ended(
    call_id: str, reason: str | Account, ended_at: datetime | None, *, too_late_for: str | None
) -> SwitchboardRequest:
    """That a call is over."""
    body: dict[str, Any] = {"reason": reason} if isinstance(reason, str) else asdict(reason)
    if ended_at is not None:
        body["ended_at"] = instant_text(ended_at)
    if too_late_for is not None:
        body["too_late_for"] = too_late_for
    return move_call(call_id, "ended", **{name: value for name, value in body.items() if value is not None})


def release(call_id: str, claimant: str, claimed_at: datetime | None, reason: str) -> SwitchboardRequest:
    """A claim that is given back."""
    at = None if claimed_at is None else instant_text(claimed_at)
    return move_call(call_id, "release", claimant=claimant, claimed_at=at, reason=reason)


def reserve_attempt(
    campaign: str, contact: str, attempt: int, to_number: str, claimant: str | None = None
) -> SwitchboardRequest:
    """The row of the ledger for an attempt, made if it is not there."""
    body: dict[str, Any] = {"campaign": campaign, "contact": contact, "attempt": attempt, "to_number": to_number}
    if claimant is not None:
        body["claimant"] = claimant
    return SwitchboardRequest("POST", "/v1/attempts", body=body)


def one_attempt(attempt_id: str) -> SwitchboardRequest:
    """One row of the ledger as it is now."""
    return SwitchboardRequest("GET", f"/v1/attempts/{quote(attempt_id, safe='')}")


def move_attempt(attempt_id: str, body: Mapping[str, Any]) -> SwitchboardRequest:
    """An attempt from one state to the next."""
    return SwitchboardRequest("POST", f"/v1/attempts/{quote(attempt_id, safe='')}/move", body=body)


def list_attempts(campaign: str, contact: str | None, after: str | None) -> SwitchboardRequest:
    """A page of a campaign's attempts. Asked in the body: access logs show addresses, and a contact may be a number."""
    given = {"campaign": campaign, "contact": contact, "after": after}
    body = {key: value for key, value in given.items() if value is not None}
    return SwitchboardRequest("POST", "/v1/attempts/find", body=body)


def task_state(task: TaskReference) -> SwitchboardRequest:
    """How an Airflow task is."""
    return SwitchboardRequest("POST", "/v1/task-state", body=asdict(task))


def task_stopped(
    task: TaskReference, call_id: str, by: str, generation: int, unknown_after_seconds: float
) -> SwitchboardRequest:
    """That Airflow has stopped the task of a call."""
    body = {
        **asdict(task),
        "call_id": call_id,
        "by": by,
        "generation": generation,
        "unknown_after_seconds": unknown_after_seconds,
    }
    return SwitchboardRequest("POST", "/v1/task-stopped", body=body, call_id=call_id)


def leave_result(task: TaskReference, call_id: str | None) -> SwitchboardRequest:
    """Leave the result of a killed task's call in Airflow."""
    return SwitchboardRequest("POST", "/v1/task-result", body={**asdict(task), "call_id": call_id}, call_id=call_id)


def status() -> SwitchboardRequest:
    """How the switchboard is."""
    return SwitchboardRequest("GET", "/v1/status")


def interpret(request: SwitchboardRequest, url: str, status: int, body: bytes) -> dict[str, Any]:
    """
    What an answer means.

    :param url: The switchboard's URL, for messages.
    :returns: The answer's JSON object.
    :raises UnknownCall: 404 with the switchboard's own code.
    :raises ConversationSuperseded: 409 about a conversation.
    :raises MoveRefused: Any other 409.
    :raises SwitchboardUnreachable: 429 or 5xx; asking again later is safe.
    :raises SwitchboardRefused: Anything else that is no success, and an answer that is no switchboard's.
    """
    answer = json_object(body)
    if 200 <= status < 300 and answer is not None:
        return answer
    error = (answer or {}).get("error")
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


def unreachable(request: SwitchboardRequest, url: str, error: Exception) -> SwitchboardUnreachable:
    """The error for a request that got no answer."""
    return SwitchboardUnreachable(
        f"no answer from the switchboard at {url} ({type(error).__name__}); check that it runs, that switchboard_url "
        "is right, and that this machine may connect to it",
        call_id=request.call_id,
    )


def preflight(run: Mapping[str, Any] | None, checks: Iterable[str]) -> SwitchboardRequest:
    """What is known before a phone is dialed."""
    return SwitchboardRequest("POST", "/v1/preflight", body={"run": run, "checks": list(checks)})


def checks_passed(checks: Iterable[str]) -> SwitchboardRequest:
    """Checks that passed just now."""
    return SwitchboardRequest("POST", "/v1/preflight/passed", body={"checks": list(checks)})


def run_start(dag_id: str, run_id: str, started_at: datetime) -> dict[str, Any]:
    """A DAG run and when it started, as the body of a request."""
    return {"dag_id": dag_id, "run_id": run_id, "started_at": started_at.isoformat()}


def as_preflight(answer: Mapping[str, Any]) -> Preflight:
    """What is known before a phone is dialed, in an answer."""

    def read() -> Preflight:
        first = answer["first_started_at"]
        return Preflight(
            first_started_at=None if first is None else datetime.fromisoformat(first),
            passed=frozenset(map(str, answer["passed"])),
            problems=tuple(map(str, answer["problems"])),
        )

    return read_answer(read)


def unknown_preflight(error: SwitchboardRefused) -> Preflight:
    """
    Return that nothing is known, when a switchboard of an older version has no such route.

    :raises SwitchboardRefused: It was refused for another reason.
    """
    if error.status != 404:
        raise error
    return Preflight()


def as_call(answer: Mapping[str, Any]) -> SwitchboardCall:
    """The call in an answer."""
    return read_answer(lambda: SwitchboardCall.from_dict(answer["call"]))


def as_announcement(answer: Mapping[str, Any]) -> Announcement:
    """The announced call in an answer; a switchboard that does not say whether OpenAI was asked leaves it open."""
    return Announcement(as_call(answer), bool(answer.get("asked_before", True)))


def as_page(answer: Mapping[str, Any]) -> CallPage:
    """The page of calls in an answer."""
    return read_answer(
        lambda: CallPage(tuple(SwitchboardCall.from_dict(call) for call in answer["calls"]), str(answer["cursor"]))
    )


def as_attempt(answer: Mapping[str, Any]) -> Attempt:
    """The attempt in an answer."""
    return read_answer(lambda: Attempt.from_dict(answer["attempt"]))


def as_attempts(answer: Mapping[str, Any]) -> tuple[list[Attempt], str | None]:
    """The attempts in an answer, and the cursor of the next page, if there is one."""
    return read_answer(lambda: ([Attempt.from_dict(attempt) for attempt in answer["attempts"]], answer.get("next")))


def as_task_state(answer: Mapping[str, Any]) -> TaskState | None:
    """The task's state in an answer; ``None``: this switchboard does not run in Airflow's API server."""
    return read_answer(lambda: None if answer["task"] is None else TaskState.from_dict(answer["task"]))


def read_answer(read: Callable[[], _T]) -> _T:
    """
    Read an answer.

    :raises SwitchboardRefused: It is not as it should be: the switchboard may be of another version.
    """
    try:
        return read()
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise SwitchboardRefused(
            f"the switchboard's answer cannot be read ({type(error).__name__}: {error}); "
            "its version may not fit this one"
        ) from error


def _quoted(call_id: str) -> str:
    return quote(check_call_id(call_id), safe="")
