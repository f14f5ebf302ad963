"""Reports to the switchboard what a carrier knows about the end of a call that it placed."""

from __future__ import annotations

import time
from collections.abc import Callable

from airflow_openai_realtime.calls.call import SwitchboardCall
from airflow_openai_realtime.calls.witnesses import Account
from airflow_openai_realtime.exceptions import OpenAIRealtimeError
from airflow_openai_realtime.outbound.carriers.port import CarrierCall, Dialer
from airflow_openai_realtime.states import EndedBy, EndReason, Witness
from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient
from airflow_openai_realtime.switchboard.client.switchboard_requests import report_ended

#: How often the carrier is asked, and with what pause in seconds: it notices the end of a call a moment later.
LOOKS = 3
PAUSE_SECONDS = 1.0

#: What a carrier's status says about the end of a call that came in. "completed" only says that it was answered.
_REASONS = {"busy": EndReason.BUSY, "no-answer": EndReason.NO_ANSWER, "failed": EndReason.CARRIER_FAILED}


def carriers_word(
    switchboard: SwitchboardClient,
    dialer: Callable[[], Dialer],
    call: SwitchboardCall,
    carrier_call_id: str,
    report: Callable[[str], None],
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> SwitchboardCall:
    """
    Ask the carrier how a call ended and how long it lasted, and report that to the switchboard.

    Without an answer of the carrier nothing changes.

    :param switchboard: Client of the line at its switchboard.
    :param dialer: Makes a client of the carrier.
    :param call: The call, over.
    :param carrier_call_id: The carrier's id of it.
    :param report: Called with lines for the task's log.
    :param sleep: Waits; for tests.
    :return: The call, with the account of its end that stands.

    Retries: harmless.
    """
    try:
        with dialer() as carrier:
            seen = carrier.send(carrier.look(carrier_call_id))
            for _ in range(LOOKS - 1):
                if seen.final:
                    break
                sleep(PAUSE_SECONDS)
                seen = carrier.send(carrier.look(carrier_call_id))
        account = account_of(seen, call)
        return call if account is None else switchboard.send(report_ended(call.call_id, account))
    except OpenAIRealtimeError as error:
        report(f"The carrier's word about the end of call {call.call_id} is missing: {error}")
        return call


def account_of(seen: CarrierCall, call: SwitchboardCall) -> Account | None:
    """
    Return what a carrier says about the end of a call; ``None``: nothing new.

    :param seen: The call as the carrier sees it.
    :param call: The call, over.
    """
    if not seen.final:
        return None
    reason = _REASONS.get(seen.status)
    if reason is not None:
        return Account(Witness.CARRIER, reason, EndedBy.CARRIER, seen.duration_seconds)
    if seen.duration_seconds is None:
        return None
    # It does not say who ended the call: the account of that stays.
    return Account(Witness.FOUND_GONE, call.end_reason or "gone", talk_seconds=seen.duration_seconds)
