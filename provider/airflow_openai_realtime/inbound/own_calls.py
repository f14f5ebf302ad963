"""The calls of an owner: a task that starts again finds the calls of its earlier tries."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from airflow_openai_realtime.calls.call import SwitchboardCall
from airflow_openai_realtime.calls.matching import Match
from airflow_openai_realtime.exceptions import SwitchboardUnreachable
from airflow_openai_realtime.states import CallState
from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient
from airflow_openai_realtime.switchboard.client.switchboard_requests import list_calls

#: Pauses while the switchboard is unreachable, in seconds: the first, and the longest.
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 5.0


def newest_own(calls: Iterable[SwitchboardCall], match: Match) -> SwitchboardCall | None:
    """
    Return the newest live call of an owner that matches.

    :param calls: The claimant's calls.
    :param match: What is asked for now. Calls of another contact, who stood in the task's place before, do not count.
    """
    alive = [call for call in calls if call.state in (CallState.CLAIMED, CallState.ACCEPTED) and match.meets(call)]
    return max(alive, key=lambda call: call.received_at, default=None)


def newest_accepted(calls: Iterable[SwitchboardCall], match: Match) -> SwitchboardCall | None:
    """
    Return the newest accepted call of an owner that matches, live or over.

    :param calls: The claimant's calls in any state.
    :param match: What is looked for now: a cleared task may wait for a different call than before.
    """
    accepted = [call for call in calls if call.accepted_at is not None and match.meets(call)]
    return max(accepted, key=lambda call: call.received_at, default=None)


async def accepted_before(
    switchboard: SwitchboardClient,
    claimant: str,
    match: Match,
    *,
    seconds: float,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> SwitchboardCall | None:
    """
    Find the call that an owner has accepted before, also one that is over by now.

    Retries: with pauses of 0.5 to 5 s while the switchboard is unreachable.

    :param switchboard: Client of the line at its switchboard.
    :param claimant: Stable name of the task.
    :param match: What is looked for.
    :param seconds: How long to ask on, in seconds.
    :param sleep: Waits; for tests.
    :raises SwitchboardUnreachable: The switchboard did not answer in time.
    """
    loop = asyncio.get_running_loop()
    until, pause = loop.time() + seconds, FIRST_PAUSE_SECONDS
    while True:
        try:
            return newest_accepted((await switchboard.asend(list_calls(claimed_by=claimant))).calls, match)
        except SwitchboardUnreachable:
            if loop.time() >= until:
                raise
        await sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
