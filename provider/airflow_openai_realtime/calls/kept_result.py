"""The result of a call whose owner wrote none, from the switchboard's row and the saved timeline. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from airflow_openai_realtime.calls import witnesses
from airflow_openai_realtime.calls.call import SwitchboardCall
from airflow_openai_realtime.calls.outcome import End, account_of, outcome_of, restated
from airflow_openai_realtime.calls.result import CallResult, result_of
from airflow_openai_realtime.calls.saved_conversation import Conversation
from airflow_openai_realtime.calls.timeline.summary import Summary
from airflow_openai_realtime.calls.witnesses import Account
from airflow_openai_realtime.states import CallState, EndReason, Outcome, Witness

Prices = Mapping[str, Mapping[str, Any]]


def result_without_end(
    call: SwitchboardCall, conversation: Conversation | None, now: datetime, prices: Prices | None = None
) -> CallResult:
    """
    Return the result of a call whose owner wrote none.

    :param call: The call as stored by the switchboard.
    :param conversation: The saved conversation; ``None``: there is none.
    :param now: Current time, aware; the end of a call whose end was not recorded.
    :param prices: Prices of the user, from :func:`~airflow_openai_realtime.calls.timeline.usage.check_prices`.
    """
    summary = _summary(conversation)
    result = result_of(
        call,
        summary,
        _outcome(call, summary),
        ended_at=call.ended_at or summary.last_at or now,
        resumed=conversation is not None and conversation.generation > 1 and bool(conversation.entries),
        prices=prices,
    )
    return restated(result, standing_account(call, conversation)) if call.is_over else result


def standing_account(call: SwitchboardCall, conversation: Conversation | None) -> Account | None:
    """
    Return the account of a call's end, also from its timeline: an owner notes there, before it acts, that it ends or
    transfers the call.

    :param call: The call, over.
    :param conversation: The saved conversation; ``None``: there is none.
    """
    kept = witnesses.kept_account(call)
    summary = _summary(conversation)
    noted: Account | None = None
    if summary.ending is not None and not summary.went_on:
        noted = account_of(Outcome.UNKNOWN, summary.ending)
        noted = noted if noted.witness is Witness.API else None
    if noted is None and (summary.may_be_transferred or call.target_uri is not None):
        noted = Account(Witness.TRANSFER, EndReason.TRANSFER_REQUESTED)
    if kept is None or noted is None:
        return kept or noted
    return witnesses.standing(kept, noted)


def _summary(conversation: Conversation | None) -> Summary:
    return Summary.of(conversation.entries, conversation.heard_until) if conversation is not None else Summary()


def _outcome(call: SwitchboardCall, summary: Summary) -> tuple[Outcome, str]:
    if call.end_reason == EndReason.KILLED:
        return Outcome.KILLED, EndReason.KILLED
    if call.state == CallState.REJECTED:
        return Outcome.REJECTED, f"sip_{call.status_code}"
    if call.end_reason == EndReason.ACCEPT_FAILED:
        return Outcome.FAILED, EndReason.ACCEPT_FAILED
    if call.state == CallState.MISSED or (call.is_over and call.accepted_at is None):
        return Outcome.GONE, call.end_reason or call.state
    if not call.is_over:
        return Outcome.UNKNOWN, EndReason.NOT_SAVED
    reason = call.end_reason or EndReason.NOT_SAVED
    if reason in {each.value for each in Outcome} and reason != EndReason.GONE:
        return Outcome(reason), reason
    lived = summary.attachments > 0
    known = End(lived=lived, was_refused=not lived, has_valid_result=bool(summary.result_valid))
    return outcome_of(known)[0], reason
