"""
How a call ended: what the holder of a call saw, as an account, and an account as an outcome. Pure.

OpenAI signals only that the socket closed. So the cause is what we did ourselves, else an error that came a moment
before the end, else the caller. Which of several accounts counts is decided in
:mod:`~airflow_openai_realtime.calls.witnesses`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from airflow_openai_realtime.calls.result import CallResult
from airflow_openai_realtime.calls.witnesses import Account
from airflow_openai_realtime.states import EndedBy, EndReason, Outcome, Witness

#: The outcome of a call that we ended, by the reason; with any other reason a task had reached its aim.
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
    What the holder of a call knows about its end.

    :param ended_by: Why we hung up: ``end_call``, ``silence`` or ``max_duration``; ``None``: the call ended without us.
    :param was_over: Whether it was certainly over already when we did.
    :param lived: Whether the session was ever seen.
    :param was_new: Whether the socket was first tried within seconds of the accept.
    :param was_refused: Whether OpenAI said that there is no such call, or closed the socket, before that.
    :param is_expired: Whether OpenAI said that the session's 60 minutes are over.
    :param fatal_error: Code of an error of the session a moment before its end.
    :param transfer_requested: Whether a transfer was asked for.
    :param has_valid_result: Whether the result was recorded, and fits.
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
    Say how a call ended, as far as its holder knows.

    :param end: How the call ended.
    :return: The outcome, and the reason in raw words.
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
    Return the account that the holder of a call gives.

    :param outcome: What :func:`outcome_of` said.
    :param reason: The same.
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
    Return what an account makes of a call.

    :param account: The account that stands.
    :return: ``None``: the account is a weak witness's, and says no more than the holder of the call does.
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
    Correct a result to the account of the strongest witness.

    :param result: As its writer saw it: the holder of the call, or the switchboard in its place.
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
    # A caller who has left, and a session that OpenAI takes and then cannot use, look the same: 200, and no such call.
    return Outcome.GONE, EndReason.NO_SESSION if end.was_new else EndReason.OVER_BEFORE_ATTACHING
