"""Hang up or decline a call at once, in any state, for a task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from airflow_openai_realtime.api.call_requests import hang_up_call, reject_call
from airflow_openai_realtime.api.request import Request, Requests
from airflow_openai_realtime.api.sip import DEFAULT_REJECT_STATUS
from airflow_openai_realtime.calls.call import SwitchboardCall
from airflow_openai_realtime.calls.witnesses import Account
from airflow_openai_realtime.exceptions import CallAlreadyDecided, CallGone, OpenAIRealtimeError
from airflow_openai_realtime.states import CallState, EndReason, Witness
from airflow_openai_realtime.switchboard.client.switchboard_requests import end_call, report_ended, report_rejected


@dataclass(frozen=True)
class EndedNow:
    """
    How ending a call went.

    :param gone: It was certainly over before.
    :param declined: It only rang, and was declined.
    :param end_reason: Why it ended, as the switchboard knows it; ``None``: it does not know the call, or is away.
    """

    gone: bool = False
    declined: bool = False
    end_reason: str | None = None


def ending_now(call_id: str, reason: str, by: str, report: Callable[[str], None]) -> Requests[EndedNow]:
    """
    End a call: decline it while it rings, else hang it up. Yields the requests to the switchboard and to OpenAI.

    The switchboard first notes who ends the call and why: if the process dies on the way, the switchboard ends it. One
    that cannot be asked, whatever the cause, keeps no call alive.

    :param call_id: The call.
    :param reason: Why it is ended, 1 to 200 characters.
    :param by: Who ends it, 1 to 2,000 characters.
    :param report: Called with a line for the log when the switchboard cannot be asked.
    :raises AuthenticationError: The key was refused.
    :raises ServiceUnavailable: OpenAI did not answer.
    :raises OutcomeUnknown: No clear answer came to a call that rings.

    Retries: harmless; a call that is over stays as it is.
    """
    row: SwitchboardCall | None = None
    try:
        row = yield end_call(call_id, reason=reason, by=by, acting=True)
    except OpenAIRealtimeError as error:
        report(f"Could not report to the switchboard that call {call_id} is being ended: {error}")
    if row is not None and row.is_over:
        return EndedNow(gone=True, end_reason=row.end_reason)
    ended = yield from _ending(call_id, row)
    try:
        told: SwitchboardCall = yield _how_it_went(call_id, ended, reason, by)
    except OpenAIRealtimeError as error:
        report(f"Could not report to the switchboard that call {call_id} is over: {error}")
        return ended
    return replace(ended, end_reason=told.end_reason)


def _ending(call_id: str, row: SwitchboardCall | None) -> Requests[EndedNow]:
    """End the call at OpenAI. Without the switchboard's row it is taken to be live."""
    if row is None or row.state == CallState.ACCEPTED:
        return (yield from _hanging_up(call_id))
    if row.hangup_at is not None:
        # An accept may have left: it is live, or it rings.
        ended = yield from _hanging_up(call_id)
        if not ended.gone:
            return ended
    try:
        yield reject_call(call_id, DEFAULT_REJECT_STATUS)
    except CallAlreadyDecided:
        return (yield from _hanging_up(call_id))
    except CallGone:
        return EndedNow(gone=True)
    return EndedNow(declined=True)


def _hanging_up(call_id: str) -> Requests[EndedNow]:
    result = yield hang_up_call(call_id)
    return EndedNow(gone=result.gone and not result.maybe_by_us)


def _how_it_went(call_id: str, ended: EndedNow, reason: str, by: str) -> Request[SwitchboardCall]:
    """Report to the switchboard how ending the call went."""
    if ended.declined:
        return report_rejected(call_id, DEFAULT_REJECT_STATUS)
    if ended.gone:
        return report_ended(call_id, Account(Witness.FOUND_GONE, EndReason.GONE), too_late_for=by)
    return report_ended(call_id, Account(Witness.API, reason, by))
