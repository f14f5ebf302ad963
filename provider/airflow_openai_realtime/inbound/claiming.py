"""Claim all ringing calls at once, for a task that a notification has started."""

from __future__ import annotations

from airflow_openai_realtime.calls.call import SwitchboardCall
from airflow_openai_realtime.calls.matching import Match
from airflow_openai_realtime.exceptions import ClaimLost, SwitchboardUnreachable, UnknownCall
from airflow_openai_realtime.inbound.feed import Report
from airflow_openai_realtime.states import CallState
from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient
from airflow_openai_realtime.switchboard.client.switchboard_requests import claim_call, list_calls

#: Most calls to look at; the switchboard's limit for one answer.
MOST_CALLS = 1000


def ringing_calls(client: SwitchboardClient, match: Match) -> list[SwitchboardCall]:
    """
    Return the calls that ring, are unclaimed, and match; oldest first.

    :param client: Client of the line at its switchboard.
    :param match: Which calls are wanted.
    :raises SwitchboardUnreachable: The switchboard did not answer.
    """
    return [
        call for call in client.send(list_calls(state=CallState.RINGING, limit=MOST_CALLS)).calls if match.matches(call)
    ]


def claim_ringing(
    client: SwitchboardClient, match: Match, owner: str, report: Report, *, most: int
) -> list[SwitchboardCall]:
    """
    Claim the calls that ring, are unclaimed, and match. Calls that the owner has already come first.

    If the switchboard stops answering in between, return the calls that were claimed so far: no other task gets them.

    :param client: Client of the line at its switchboard.
    :param match: Which calls are wanted.
    :param owner: Stable name of who claims.
    :param report: Called with lines for the log of who claims.
    :param most: How many calls to have at most; the others go on ringing.
    :raises SwitchboardUnreachable: The switchboard did not answer, and nothing is claimed.
    """
    own = client.send(list_calls(claimed_by=owner)).calls
    claimed = [call for call in own if call.state in (CallState.CLAIMED, CallState.ACCEPTED) and match.meets(call)]
    try:
        for call in ringing_calls(client, match):
            if len(claimed) >= most:
                report(f"{most} calls are claimed; the others go on ringing.")
                break
            try:
                claimed.append(client.send(claim_call(call.call_id, owner)))
            except (ClaimLost, UnknownCall) as error:
                report(f"Call {call.call_id} is not claimed: {error}")
    except SwitchboardUnreachable as error:
        if not claimed:
            raise
        report(f"The switchboard stopped answering; going on with the {len(claimed)} calls that are claimed: {error}")
    return claimed
