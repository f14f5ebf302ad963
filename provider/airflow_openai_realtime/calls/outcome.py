"""
How a call ended: from the observations of its owner to an account, and from an account to an outcome. Pure.

OpenAI signals only that the socket closed. The cause is therefore our own action, else an error just before the end,
else the caller. :mod:`~airflow_openai_realtime.calls.witnesses` decides which of several accounts counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from airflow_openai_realtime.calls.result import CallResult
from airflow_openai_realtime.calls.witnesses import Account
from airflow_openai_realtime.states import EndedBy, EndReason, Outcome, Witness

#: Outcomes of calls that we ended, by reason; any other reason means that the task completed.
_ENDED_BY_US: Mapping[str, Outcome] = {
    EndReason.KILLED: Outcome.KILLED,
    EndReason.STOPPED: Outcome.KILLED,
    EndReason.MAX_DURATION: Outcome.MAX_DURATION,
    EndReason.SILENCE: Outcome.SILENCE,
    EndReason.REJECTED: Outcome.REJECTED,
}
_BY_CARRIER: Mapping[str, Outcome] = {
    EndReason.CARRIER_FAILED: Outcome.FAILED,
    EndReason.BUSY: Outcome.BUSY,
    EndReason.NO_ANSWER: Outcome.NO_ANSWER,
}


@dataclass(frozen=True)
class End:
    """
    What the owner of a call knows about its end.

    :param ended_by: Why we hung up: ``end_call``, ``silence`` or ``max_duration``; ``None``: we did not.
    :param was_over: Whether the call was certainly over before we hung up.
    :param lived: Whether the session was ever seen.
    :param was_new: Whether the first attempt to attach came within seconds of the accept.
    :param was_refused: Whether OpenAI answered that there is no such call, or closed the socket, before the session
        was seen.
    :param is_expired: Whether OpenAI reported that the session's 60 minutes are over.
    :param fatal_error: Code of a session error just before the end.
    :param transfer_requested: Whether a transfer was requested.
    :param has_valid_result: Whether a valid result was recorded.
    """

    ended_by: str | None = None
    was_over: bool = False
    lived: bool = True
    was_new: bool = False
    was_refused: bool = False
    is_expired: bool = False
    fatal_error: str | None = None
    transfer_requested: bool = False
    has_valid_result: bool = False


def outcome_of(end: End) -> tuple[Outcome, str]:
    """
    Decide how a call ended, as far as its owner knows.

    :param end: Observations of the owner.
    :return: The outcome, and the detailed reason.
    """
    if end.ended_by == EndReason.END_CALL:
        return Outcome.COMPLETED, EndReason.END_CALL
    if end.is_expired:
        return Outcome.MAX_DURATION, EndReason.SESSION_EXPIRED
    if end.ended_by in (EndReason.MAX_DURATION, EndReason.SILENCE) and not end.was_over:
        return _ENDED_BY_US[end.ended_by], end.ended_by
    if end.transfer_requested:
        return Outcome.TRANSFER_REQUESTED, EndReason.SOCKET_CLOSED
    if not end.lived:
        return _never_lived(end)
    if end.has_valid_result:
        return Outcome.COMPLETED, end.fatal_error or EndReason.SOCKET_CLOSED
    if end.fatal_error is not None:
        return Outcome.FAILED, end.fatal_error
    return Outcome.CALLER_HUNG_UP, EndReason.SOCKET_CLOSED


def account_of(outcome: Outcome, reason: str) -> Account:
    """
    Return the owner's account of a call's end.

    :param outcome: Outcome from :func:`outcome_of`.
    :param reason: Reason from :func:`outcome_of`.
    """
    if reason == EndReason.END_CALL:
        return Account(Witness.API, EndReason.END_CALL, EndedBy.AGENT)
    if reason in (EndReason.SILENCE, EndReason.MAX_DURATION):
        return Account(Witness.API, reason, EndedBy.LIMIT)
    if outcome is Outcome.TRANSFER_REQUESTED:
        return Account(Witness.TRANSFER, EndReason.TRANSFER_REQUESTED)
    if outcome is Outcome.GONE:
        return Account(Witness.FOUND_GONE, EndReason.GONE)
    if outcome is Outcome.UNKNOWN:
        return Account(Witness.FOUND_GONE, outcome.value)
    if outcome in (Outcome.MAX_DURATION, Outcome.FAILED):
        return Account(Witness.SOCKET, outcome.value, EndedBy.OPENAI)
    return Account(Witness.SOCKET, outcome.value, EndedBy.CALLER)


def outcome_by(account: Account) -> Outcome | None:
    """
    Return the outcome that an account implies.

    :param account: The account that counts.
    :return: ``None`` when the account comes from a weak witness, which knows no more than the owner of the call.
    """
    if account.witness is Witness.API:
        return _ENDED_BY_US.get(account.reason, Outcome.COMPLETED)
    if account.witness is Witness.TRANSFER:
        return Outcome.TRANSFER_REQUESTED
    if account.witness is Witness.CARRIER:
        return _BY_CARRIER.get(account.reason, Outcome.FAILED)
    return None


def restated(result: CallResult, account: Account | None) -> CallResult:
    """
    Correct a result by the account of the strongest witness.

    :param result: Result as written by the owner of the call, or by the switchboard in its place.
    :param account: The account of the strongest witness; ``None``: there is no other.
    """
    if account is None:
        return result
    outcome = outcome_by(account)
    if outcome is not None and outcome.value != result.outcome:
        result = replace(result, outcome=outcome.value, reason=account.reason)
    elif account.witness is Witness.API and outcome is not Outcome.REJECTED:
        result = replace(result, reason=account.reason)
    if account.talk_seconds is not None:
        result = replace(result, talk_seconds=round(account.talk_seconds, 3))
    return result


def _never_lived(end: End) -> tuple[Outcome, str]:
    if end.fatal_error is not None:
        return Outcome.FAILED, end.fatal_error
    if not end.was_refused:
        return Outcome.UNKNOWN, EndReason.NEVER_ATTACHED
    # A caller who has left and a session that OpenAI accepts but cannot use look the same: 200, then no such call.
    return Outcome.GONE, EndReason.NO_SESSION if end.was_new else EndReason.OVER_BEFORE_ATTACHING
