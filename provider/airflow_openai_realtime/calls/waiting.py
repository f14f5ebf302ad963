"""
Waiting for one call: find it, claim it, keep it.

Whoever waits is known to the switchboard by a stable name, its *claimant*. A claim belongs to that name, not to the
process that made it: a waiter that starts again first looks for the call it already has.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from airflow_openai_realtime.calls import outcomes
from airflow_openai_realtime.calls.feed import CallFeed, Match, Report
from airflow_openai_realtime.dialers.port import AsyncDialer
from airflow_openai_realtime.exceptions import (
    ClaimLost,
    DialError,
    SwitchboardUnreachable,
    UnknownCall,
)
from airflow_openai_realtime.switchboard.client import AsyncSwitchboardClient, SwitchboardClient
from airflow_openai_realtime.switchboard.records import ACCEPTED, CLAIMED, RINGING, SwitchboardCall

#: Pause between attempts to claim a call while the switchboard does not answer, in seconds; a ringing phone waits.
CLAIM_AGAIN_SECONDS = 0.5

Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True)
class Waited:
    """
    How the waiting ended.

    :param status: ``claimed``, ``timeout`` or ``not_answered``.
    :param call: The call, when it was claimed.
    :param outcome: Why no call came, when the carrier told: one of ``busy, no_answer, failed, canceled, gone``.
    """

    status: str
    call: SwitchboardCall | None = None
    outcome: str | None = None


@dataclass(frozen=True)
class CarrierWatch:
    """
    The carrier's view of a call that was placed.

    :param dialer: Asked for the status of the call.
    :param carrier_call_id: The carrier's id of it.
    :param poll_seconds: Pause between two questions, in seconds, above 0.
    """

    dialer: AsyncDialer
    carrier_call_id: str
    poll_seconds: float = 2.0


def look_for_call(client: SwitchboardClient, match: Match, claimant: str) -> SwitchboardCall | None:
    """
    Look once: the call the claimant already has, else claim the first ringing call that matches.

    :param client: Client of the line at its switchboard.
    :param match: What is looked for.
    :param claimant: Stable name of who looks.
    :return: The claimed call, or None when none rings that is wanted.
    :raises SwitchboardUnreachable: The switchboard did not answer.
    """
    own = newest_own(client.calls(claimed_by=claimant).calls)
    if own is not None:
        return own
    for call in client.calls(state=RINGING).calls:
        if match.matches(call):
            try:
                return client.claim(call.call_id, claimant)
            except (ClaimLost, UnknownCall):
                continue
    return None


def newest_own(calls: Iterable[SwitchboardCall]) -> SwitchboardCall | None:
    """Of the calls of one claimant, the one that is still alive; the newest if there are several."""
    alive = [call for call in calls if call.state in (CLAIMED, ACCEPTED)]
    return max(alive, key=lambda call: call.received_at, default=None)


async def wait_for_call(
    feed: CallFeed,
    *,
    match: Match,
    claimant: str,
    seconds: float,
    report: Report,
    carrier: CarrierWatch | None = None,
    sleep: Sleep = asyncio.sleep,
) -> Waited:
    """
    Wait until a matching call is claimed, the time is over, or the carrier says that there will be none.

    :param feed: Feed of the line; all waiters of a process share one.
    :param match: What is looked for.
    :param claimant: Stable name of who waits.
    :param seconds: How long to wait, in seconds; 0 or less looks once.
    :param report: Called with lines for the log of who waits.
    :param carrier: The placed call to ask after, for outbound calls.
    :param sleep: Waits between questions; for tests.
    :raises SwitchboardRefused: The switchboard refused the token.
    """
    claiming = asyncio.create_task(_claim_one(feed, match, claimant, report, sleep))
    asking = asyncio.create_task(_not_answered(carrier, report, sleep)) if carrier is not None else None
    tasks = [task for task in (claiming, asking) if task is not None]
    outcome = None
    try:
        await asyncio.wait(tasks, timeout=max(seconds, 0), return_when=asyncio.FIRST_COMPLETED)
        if claiming.done():
            return Waited("claimed", call=claiming.result())
        if asking is not None and asking.done():
            outcome = asking.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    # A claim may have been under way when the waiting ended; then the call is ours after all.
    own = await _own_call(feed.client, claimant)
    if own is not None:
        return Waited("claimed", call=own)
    return Waited("not_answered", outcome=outcome) if outcome else Waited("timeout")


async def _claim_one(feed: CallFeed, match: Match, claimant: str, report: Report, sleep: Sleep) -> SwitchboardCall:
    async with feed.waiter(match, claimant, report) as waiter:
        while True:
            call = await waiter.next_call()
            if call.claimed_by == claimant:
                return call
            claimed = await _claim(feed.client, call.call_id, claimant, sleep)
            if claimed is not None:
                return claimed


async def _claim(client: AsyncSwitchboardClient, call_id: str, claimant: str, sleep: Sleep) -> SwitchboardCall | None:
    while True:
        try:
            return await client.claim(call_id, claimant)
        except (ClaimLost, UnknownCall):
            return None
        except SwitchboardUnreachable:
            # It may have been claimed all the same; asking again as the same claimant is told yes.
            await sleep(CLAIM_AGAIN_SECONDS)


async def _own_call(client: AsyncSwitchboardClient, claimant: str) -> SwitchboardCall | None:
    try:
        return newest_own((await client.calls(claimed_by=claimant)).calls)
    except SwitchboardUnreachable:
        return None


async def _not_answered(carrier: CarrierWatch, report: Report, sleep: Sleep) -> str:
    """Return the outcome once the carrier's call is over; the caller stops this when a call comes in."""
    told = False
    while True:
        try:
            call = await carrier.dialer.look(carrier.carrier_call_id)
        except DialError as error:
            if not told:
                report(f"The carrier cannot say how the call goes, trying on: {error}")
            told = True
        else:
            if call.final:
                if call.status == "completed":
                    await sleep(outcomes.LATE_WEBHOOK_SECONDS)
                return outcomes.outcome_of(call)
        await sleep(carrier.poll_seconds)
