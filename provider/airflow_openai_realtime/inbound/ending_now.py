"""End a call at once in any state, for a task or a user. The intention must be stored before."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_openai_realtime.api.call_requests import hang_up_call, reject_call
from airflow_openai_realtime.api.client import CallsClient
from airflow_openai_realtime.api.sip import DEFAULT_REJECT_STATUS
from airflow_openai_realtime.calls.call import SwitchboardCall
from airflow_openai_realtime.calls.witnesses import Account
from airflow_openai_realtime.exceptions import CallAlreadyDecided, CallGone
from airflow_openai_realtime.states import CallState, EndReason, Witness
from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient
from airflow_openai_realtime.switchboard.client.switchboard_requests import report_ended, report_rejected


@dataclass(frozen=True)
class EndedNow:
    """
    How ending a call went.

    :param gone: It was certainly over before.
    :param declined: It only rang, and was declined.
    """

    gone: bool = False
    declined: bool = False


def end_now(calls: CallsClient, call_id: str, row: SwitchboardCall | None) -> EndedNow:
    """
    End a call: decline it while it rings, else hang it up.

    :param calls: Client of OpenAI's call endpoints.
    :param call_id: The call.
    :param row: The call as the switchboard has it; ``None``: it is taken to be live.
    :raises AuthenticationError: The key was refused.
    :raises ServiceUnavailable: OpenAI did not answer.
    :raises OutcomeUnknown: No clear answer came to a call that rings.
    """
    if row is None or row.state == CallState.ACCEPTED:
        return _hung_up(calls, call_id)
    if row.hangup_at is not None:
        # An accept may have left: it is live, or it rings.
        ended = _hung_up(calls, call_id)
        if not ended.gone:
            return ended
    try:
        calls.send(reject_call(call_id, DEFAULT_REJECT_STATUS))
    except CallAlreadyDecided:
        return _hung_up(calls, call_id)
    except CallGone:
        return EndedNow(gone=True)
    return EndedNow(declined=True)


def tell_ended_now(
    switchboard: SwitchboardClient, call_id: str, ended: EndedNow, reason: str, by: str
) -> SwitchboardCall:
    """
    Report to the switchboard how ending a call went.

    :param switchboard: Client of the line at its switchboard.
    :param call_id: The call.
    :param ended: How it went.
    :param reason: Why it was ended.
    :param by: Who ended it, as was noted before.
    :return: The call, with the account of its strongest witness.
    :raises SwitchboardError: It could not be reported.
    """
    if ended.declined:
        return switchboard.send(report_rejected(call_id, DEFAULT_REJECT_STATUS))
    if ended.gone:
        return switchboard.send(report_ended(call_id, Account(Witness.FOUND_GONE, EndReason.GONE), too_late_for=by))
    return switchboard.send(report_ended(call_id, Account(Witness.API, reason, by)))


def _hung_up(calls: CallsClient, call_id: str) -> EndedNow:
    result = calls.send(hang_up_call(call_id))
    return EndedNow(gone=result.gone and not result.maybe_by_us)
