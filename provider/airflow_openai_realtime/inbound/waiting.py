"""
Wait for one call: find it, claim it, keep it. A :class:`Claimer` decides what is done: a claim, or more.

The switchboard knows a waiting task by a stable name, its owner name (``claimant``). A claim belongs to that name, not
to the process that made it: a waiter that starts again first looks for the call that it already owns.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from airflow_openai_realtime.calls.call import SwitchboardCall
from airflow_openai_realtime.calls.matching import Match
from airflow_openai_realtime.exceptions import (
    ClaimLost,
    DialError,
    MoveRefused,
    SwitchboardUnreachable,
    UnknownCall,
)
from airflow_openai_realtime.inbound.feed import CallFeed, Report, Waiter, newest_own
from airflow_openai_realtime.outbound import placed
from airflow_openai_realtime.outbound.carriers.port import Dialer
from airflow_openai_realtime.states import AttemptOutcome, CallState, RefusalCode
from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient
from airflow_openai_realtime.switchboard.client.switchboard_requests import claim_call, list_calls

#: Pause between attempts to claim a call while the switchboard does not answer, in seconds; a ringing phone waits.
CLAIM_AGAIN_SECONDS = 0.5
#: Pauses while the switchboard is unreachable, in seconds: the first, and the longest.
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 5.0

TIMEOUT = "timeout"
NOT_ANSWERED = "not_answered"

Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True)
class Waited:
    """
    How the waiting ended.

    :param status: ``claimed`` or ``accepted``, whichever the claimer does; ``timeout`` or ``not_answered``.
    :param call: The call, when there is one.
    :param outcome: Why no call came, as far as the carrier says: one of ``busy, no_answer, failed, canceled, gone``.
        With ``timeout`` it is ``canceled``: the placed call was taken back.
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

    dialer: Dialer
    carrier_call_id: str
    poll_seconds: float = 2.0


class Claimer(Protocol):
    """Claims an offered call."""

    #: Status of a call that was taken.
    status: str
    #: Whether it runs a step that must not be interrupted when the time is over.
    is_busy: bool
    #: Set when the time is over: the current step is the last.
    is_last: bool

    async def take(self, call: SwitchboardCall, /) -> SwitchboardCall | None:
        """
        Take a call that is on offer, or that the owner has already.

        :param call: The call.
        :return: The call, or ``None`` when it cannot be had.
        :raises MoveRefused: ``has_another``: the owner has a call already, and takes that.
        """


class Claiming:
    """
    Claims calls, and leaves them ringing.

    :param client: Client of the line at its switchboard.
    :param owner: Stable name of who waits.
    :param sleep: Waits between attempts; for tests.
    """

    status: str = CallState.CLAIMED
    is_busy = False

    def __init__(self, client: SwitchboardClient, owner: str, sleep: Sleep = asyncio.sleep) -> None:
        self.is_last = False
        self._client = client
        self._owner = owner
        self._sleep = sleep

    async def take(self, call: SwitchboardCall, /) -> SwitchboardCall | None:
        """
        Claim a call; see :meth:`Claimer.take`.

        :param call: The call.
        """
        if call.claimed_by == self._owner and call.state == CallState.CLAIMED:
            return call
        while True:
            try:
                return await self._ask(call.call_id)
            except (ClaimLost, UnknownCall):
                return None
            except SwitchboardUnreachable:
                # The claim may have succeeded; repeating it as the same owner succeeds then.
                await self._sleep(CLAIM_AGAIN_SECONDS)

    async def _ask(self, call_id: str) -> SwitchboardCall:
        return await self._client.asend(claim_call(call_id, self._owner))


def newest_accepted(calls: Iterable[SwitchboardCall], match: Match) -> SwitchboardCall | None:
    """
    Return the newest accepted call of an owner that matches, live or over.

    :param calls: The owner's calls in any state.
    :param match: What is looked for now: a cleared task may wait for a different call than before.
    """
    accepted = [call for call in calls if call.accepted_at is not None and match.meets(call)]
    return max(accepted, key=lambda call: call.received_at, default=None)


async def accepted_before(
    switchboard: SwitchboardClient,
    owner: str,
    match: Match,
    *,
    seconds: float,
    sleep: Sleep = asyncio.sleep,
) -> SwitchboardCall | None:
    """
    Find the call that an owner has accepted before, also one that is over by now.

    Retries: with pauses of 0.5 to 5 s while the switchboard is unreachable.

    :param switchboard: Client of the line at its switchboard.
    :param owner: Stable name of the task.
    :param match: What is looked for.
    :param seconds: How long to ask on, in seconds.
    :param sleep: Waits; for tests.
    :raises SwitchboardUnreachable: The switchboard did not answer in time.
    """
    loop = asyncio.get_running_loop()
    until, pause = loop.time() + seconds, FIRST_PAUSE_SECONDS
    while True:
        try:
            return newest_accepted((await switchboard.asend(list_calls(claimed_by=owner))).calls, match)
        except SwitchboardUnreachable:
            if loop.time() >= until:
                raise
        await sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE_SECONDS)


def look_for_call(client: SwitchboardClient, match: Match, owner: str) -> SwitchboardCall | None:
    """
    Look once: the call the owner already has, else claim the first ringing call that matches.

    :param client: Client of the line at its switchboard.
    :param match: What is looked for.
    :param owner: Stable name of who looks.
    :return: The claimed call, or None when none rings that is wanted.
    :raises SwitchboardUnreachable: The switchboard did not answer.
    """
    own = newest_own(client.send(list_calls(claimed_by=owner)).calls, match)
    own = own and taken_up(client, own, owner)
    if own is not None:
        return own
    for call in client.send(list_calls(state=CallState.RINGING)).calls:
        if match.matches(call):
            try:
                return client.send(claim_call(call.call_id, owner))
            except (ClaimLost, UnknownCall):
                continue
    return None


def taken_up(client: SwitchboardClient, own: SwitchboardCall, owner: str) -> SwitchboardCall | None:
    """
    Go on with a call that an earlier try of the task has left behind, so that it does not end.

    :param client: Client of the line at its switchboard.
    :param own: The owner's call.
    :param owner: Stable name of the task.
    :return: The call; ``None``: it ends nevertheless.
    """
    if not own.end_is_delayed:
        return own
    try:
        return client.send(claim_call(own.call_id, owner))
    except (ClaimLost, UnknownCall):
        return None


async def wait_for_call(
    feed: CallFeed,
    *,
    match: Match,
    owner: str,
    seconds: float,
    report: Report,
    carrier: CarrierWatch | None = None,
    claimer: Claimer | None = None,
    sleep: Sleep = asyncio.sleep,
) -> Waited:
    """
    Wait until a matching call is taken, the time is over, or the carrier says that there will be none.

    When the time is over, a placed call is taken back at the carrier. A person who picks up in that moment is waited
    for, and when the call does not come in, it is ended.

    :param feed: Feed of the line; all waiters of a process share one.
    :param match: What is looked for.
    :param owner: Stable name of who waits.
    :param seconds: How long to wait, in seconds; 0 or less looks once.
    :param report: Called with lines for the log of who waits.
    :param carrier: The placed call to ask after, for outbound calls.
    :param claimer: Takes the call; left out, it is claimed.
    :param sleep: Waits between questions; for tests.
    :raises SwitchboardRefused: The switchboard refused the token.
    :raises CallError: The claimer failed, and not because the call is gone.
    """
    claimer = claimer or Claiming(feed.client, owner, sleep)
    waited = await _wait(feed, match, owner, seconds, report, carrier, claimer, sleep)
    if waited.status != TIMEOUT or carrier is None:
        return waited
    call = await placed.take_back(carrier.dialer, carrier.carrier_call_id, report)
    if call is None:
        return waited
    if call.status == "canceled":
        return Waited(TIMEOUT, outcome=placed.outcome_of(call))
    # The person has picked up, or the call is over, and its webhook may be under way.
    claimer.is_last = False
    late = await _wait(feed, match, owner, placed.LATE_WEBHOOK_SECONDS, report, None, claimer, sleep)
    if late.call is not None:
        return late
    if not call.final:
        await placed.end_picked_up(carrier.dialer, carrier.carrier_call_id, report)
        return Waited(NOT_ANSWERED, outcome=AttemptOutcome.GONE)
    return Waited(NOT_ANSWERED, outcome=placed.outcome_of(call))


async def _wait(
    feed: CallFeed,
    match: Match,
    owner: str,
    seconds: float,
    report: Report,
    carrier: CarrierWatch | None,
    claimer: Claimer,
    sleep: Sleep,
) -> Waited:
    taking = asyncio.create_task(_take_one(feed, match, owner, report, claimer, sleep))
    asking = asyncio.create_task(_not_answered(carrier, report, sleep)) if carrier is not None else None
    tasks = [task for task in (taking, asking) if task is not None]
    taken, outcome = None, None
    try:
        await asyncio.wait(tasks, timeout=max(seconds, 0), return_when=asyncio.FIRST_COMPLETED)
        claimer.is_last = True
        if claimer.is_busy and not taking.done():
            await asyncio.wait([taking])
        if taking.done():
            taken = taking.result()
        elif asking is not None and asking.done():
            outcome = asking.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    if taken is None:
        # A claim may have been under way when the waiting ended; then the call is ours after all.
        own = await _own_call(feed.client, owner, match)
        taken = await claimer.take(own) if own is not None else None
    if taken is not None:
        return Waited(claimer.status, call=taken)
    return Waited(NOT_ANSWERED, outcome=outcome) if outcome else Waited(TIMEOUT)


async def _take_one(
    feed: CallFeed, match: Match, owner: str, report: Report, claimer: Claimer, sleep: Sleep
) -> SwitchboardCall | None:
    """Return the call that was taken, or ``None`` when the time is over and what the claimer was at came to nothing."""
    while True:
        try:
            async with feed.waiter(match, owner, report) as waiter:
                return await _take_offered(waiter, claimer)
        except MoveRefused as error:
            # Raised out of the waiter, so that the offered call goes to another waiter here.
            if error.code != RefusalCode.HAS_ANOTHER:
                raise
        own = await _own_call(feed.client, owner, match)
        taken = await claimer.take(own) if own is not None else None
        if taken is not None or claimer.is_last:
            return taken
        await sleep(CLAIM_AGAIN_SECONDS)


async def _take_offered(waiter: Waiter, claimer: Claimer) -> SwitchboardCall | None:
    while True:
        taken = await claimer.take(await waiter.next_call())
        if taken is not None or claimer.is_last:
            return taken


async def _own_call(client: SwitchboardClient, owner: str, match: Match) -> SwitchboardCall | None:
    try:
        return newest_own((await client.asend(list_calls(claimed_by=owner))).calls, match)
    except SwitchboardUnreachable:
        return None


async def _not_answered(carrier: CarrierWatch, report: Report, sleep: Sleep) -> str:
    """Return the outcome once the carrier's call is over; the caller stops this when a call comes in."""
    told = False
    while True:
        try:
            call = await carrier.dialer.asend(carrier.dialer.look(carrier.carrier_call_id))
        except DialError as error:
            if not told:
                report(f"The carrier does not report the status of the call; retrying: {error}")
            told = True
        else:
            if call.final:
                if call.status == "completed":
                    await sleep(placed.LATE_WEBHOOK_SECONDS)
                return placed.outcome_of(call)
        await sleep(carrier.poll_seconds)
