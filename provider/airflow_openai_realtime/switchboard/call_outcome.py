"""
How a call ended, as one pure rule over what is known about its end.

OpenAI tells nothing but that the socket closed. So: what we did ourselves is known; what the switchboard did stands in
its row; what an error said a moment before the end is believed; and what is left was the caller.
"""

from __future__ import annotations

from dataclasses import dataclass

from airflow_openai_realtime.switchboard.call_result import Outcome

END_CALL = "end_call"
SILENCE = "silence"
MAX_DURATION = "max_duration"
GONE = "gone"
SESSION_EXPIRED = "session_expired"
SOCKET_CLOSED = "socket_closed"
#: There was nothing to attach to within seconds of the accept: the caller has left, or the session never lived.
NO_SESSION = "no_session"
#: There was nothing to attach to when somebody tried, later: it lived meanwhile, as far as is known.
OVER_BEFORE = "over_before_attaching"
NEVER_ATTACHED = "never_attached"

#: Reasons that the switchboard writes when a task or a user of ours hung up, and what that makes of the call.
ENDED_BY_US = {"hung_up": Outcome.COMPLETED, "killed": Outcome.KILLED, "stopped": Outcome.KILLED}


@dataclass(frozen=True)
class End:
    """
    What is known about the end of a call.

    :param ended_by: Why we hung up: ``end_call``, ``silence`` or ``max_duration``; ``None``: the call ended without us.
    :param was_over: Whether it was over already when we did.
    :param lived: Whether the session was ever seen.
    :param was_new: Whether the socket was first tried within seconds of the accept.
    :param was_refused: Whether OpenAI said that there is no such call, or closed the socket, before that.
    :param is_expired: Whether OpenAI said that the session's 60 minutes are over.
    :param fatal_error: Code of an error of the session a moment before its end.
    :param transfer_requested: Whether a transfer was asked for.
    :param row_reason: Why it ended by the switchboard's row, when that is over.
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
    row_reason: str | None = None
    has_valid_result: bool = False


def outcome_of(end: End) -> tuple[Outcome, str]:
    """
    Say how a call ended.

    :return: The outcome, and the reason in raw words.
    """
    if end.ended_by == END_CALL:
        return Outcome.COMPLETED, END_CALL
    if end.is_expired:
        return Outcome.MAX_DURATION, SESSION_EXPIRED
    if end.row_reason == MAX_DURATION or (end.ended_by == MAX_DURATION and not end.was_over):
        return Outcome.MAX_DURATION, MAX_DURATION
    if end.ended_by == SILENCE and not end.was_over:
        return Outcome.SILENCE, SILENCE
    if end.row_reason in ENDED_BY_US:
        return ENDED_BY_US[end.row_reason], end.row_reason
    if not end.lived:
        return _never_lived(end)
    return _ended_without_us(end)


def _never_lived(end: End) -> tuple[Outcome, str]:
    if end.row_reason == GONE:
        return Outcome.GONE, GONE
    if end.fatal_error is not None:
        return Outcome.FAILED, end.fatal_error
    if not end.was_refused:
        return Outcome.UNKNOWN, NEVER_ATTACHED
    # A caller who has left, and a session that OpenAI takes and then cannot use, look the same: 200, and no such call.
    return Outcome.GONE, NO_SESSION if end.was_new else OVER_BEFORE


def _ended_without_us(end: End) -> tuple[Outcome, str]:
    if end.transfer_requested:
        return Outcome.TRANSFER_REQUESTED, SOCKET_CLOSED
    if end.has_valid_result:
        return Outcome.COMPLETED, end.fatal_error or SOCKET_CLOSED
    if end.fatal_error is not None:
        return Outcome.FAILED, end.fatal_error
    return Outcome.CALLER_HUNG_UP, SOCKET_CLOSED
