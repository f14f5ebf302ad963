"""Ending the call of a task that is over before it could hand the call on."""

from __future__ import annotations

from airflow_openai_realtime.api.client import AsyncCallsClient
from airflow_openai_realtime.calls.listeners import Report
from airflow_openai_realtime.calls.waiting import newest_own
from airflow_openai_realtime.switchboard.client import AsyncSwitchboardClient
from airflow_openai_realtime.switchboard.records import CLAIMED

#: What the switchboard is told as the reason.
KILLED = "killed"
#: When the switchboard ends a call whose accept may still be on its way, in seconds from now. It looks for some time.
SOON_SECONDS = 1.0


async def end_own_call(
    calls: AsyncCallsClient, switchboard: AsyncSwitchboardClient, claimant: str, report: Report
) -> None:
    """
    Hang up the call that a claimant has, if it has one; nobody will ask for it any more.

    :param calls: Client of OpenAI's call endpoints.
    :param switchboard: Client of the line at its switchboard.
    :param claimant: Stable name of the task.
    :param report: Called with lines for the task's log.
    :raises CallError: The call could not be hung up; the switchboard ends it at its time.
    :raises SwitchboardUnreachable: The switchboard did not answer; it ends the call at its time.
    """
    own = newest_own((await switchboard.calls(claimed_by=claimant)).calls)
    if own is None:
        return
    report(f"The task is ended: hanging up call {own.call_id}.")
    is_in_doubt = own.state == CLAIMED and own.hangup_at is not None
    if is_in_doubt:
        # OpenAI may carry out the accept after it was asked to hang up, so the switchboard looks as well.
        await switchboard.accepting(own.call_id, claimant, SOON_SECONDS)
    hung_up = await calls.hang_up(own.call_id)
    if not (is_in_doubt and hung_up.gone):
        await switchboard.ended(own.call_id, KILLED)
