"""
Answering: accept the first call that is wanted and can be had, in a trigger or at once in a task.

Between the ring and the accept stand two requests: one to the switchboard, which claims the call and fixes when it must
be over, and the one to OpenAI. A call that is gone by then, or went to somebody else, is passed over, and the waiting
goes on. A claimant has one call at a time: whoever starts again finds its own and takes no second one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from airflow_openai_realtime.api.client import CallsClient
from airflow_openai_realtime.api.request import OPENAI, Request
from airflow_openai_realtime.calls.acceptance import AcceptanceRules, run_steps_async
from airflow_openai_realtime.calls.answer_plan import AnswerPlan
from airflow_openai_realtime.calls.call import SwitchboardCall
from airflow_openai_realtime.calls.matching import CallMatch, Match
from airflow_openai_realtime.exceptions import (
    AcceptFailed,
    CallAlreadyDecided,
    CallGone,
    ClaimLost,
    MoveRefused,
    SwitchboardUnreachable,
)
from airflow_openai_realtime.inbound.accepting import Acceptance
from airflow_openai_realtime.inbound.claiming import ringing_calls
from airflow_openai_realtime.inbound.feed import Report
from airflow_openai_realtime.inbound.own_calls import newest_own
from airflow_openai_realtime.inbound.waiting import CLAIM_AGAIN_SECONDS, Sleep, taken_up
from airflow_openai_realtime.states import CallState, RefusalCode
from airflow_openai_realtime.switchboard.client import switchboard_requests
from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient
from airflow_openai_realtime.switchboard.client.switchboard_requests import claim_call, list_calls

T = TypeVar("T")

#: After these the call is over or another claimant's, and the next one may be wanted.
_PASSED_OVER = (CallGone, AcceptFailed, ClaimLost, CallAlreadyDecided)


@dataclass
class Answering:
    """
    Accepts calls, from a trigger; a :class:`~airflow_openai_realtime.inbound.waiting.Claimer`.

    Once begun, an accept is carried through though the time is over. Cancelled, it is broken off: the call is the
    claimant's, and has its ``hangup_at``.

    :param plan: What a call is accepted with.
    :param calls: Client of OpenAI's call endpoints.
    :param switchboard: Client of the line at its switchboard.
    :param claimant: Stable name of who waits.
    :param report: Called with lines for the log of who waits.
    :param sleep: Waits between attempts; for tests.
    :param match: What is asked for: the claimant has one such call at a time. ``None``: one call, whichever.
    """

    plan: AnswerPlan
    calls: CallsClient
    switchboard: SwitchboardClient
    claimant: str
    report: Report
    sleep: Sleep = asyncio.sleep
    match: CallMatch | None = None
    status: str = field(default=CallState.ACCEPTED, init=False)
    is_busy: bool = field(default=False, init=False)
    is_last: bool = field(default=False, init=False)

    async def take(self, call: SwitchboardCall, /) -> SwitchboardCall | None:
        """
        Accept a call, unless that was done before.

        :param call: On offer, or the claimant's own.
        :return: The accepted call, or ``None`` when it cannot be had.
        :raises MoveRefused: ``has_another``: the claimant has another call.
        :raises CallError: It was not accepted and rings on, or that is not known and it is kept for a retry.
        """
        is_own = call.claimed_by == self.claimant
        if is_own and call.state == CallState.ACCEPTED:
            # Asked anew: what the feed knows may be from before the task was cleared.
            return await self._take_up(call)
        self.is_busy = True
        try:
            return await self._accept(call.call_id, is_sole=not is_own)
        finally:
            self.is_busy = False

    async def _take_up(self, call: SwitchboardCall) -> SwitchboardCall | None:
        """Go on with a call that an earlier try of the task has left behind, so that it does not end."""
        try:
            return await self.switchboard.asend(claim_call(call.call_id, self.claimant))
        except ClaimLost:
            return None

    async def _accept(self, call_id: str, *, is_sole: bool) -> SwitchboardCall | None:
        told = False
        while True:
            rules = AcceptanceRules(
                call_id,
                self.claimant,
                self.report,
                switchboard_requests,
                is_sole=is_sole,
                sole_match=self.match if is_sole else None,
            )
            steps = rules.accepting(self.plan.session_for, self.plan.max_duration_seconds)
            try:
                return await run_steps_async(steps, self._perform)
            except SwitchboardUnreachable as error:
                # Nothing was sent to OpenAI, and the phone rings on.
                if self.is_last:
                    return None
                if not told:
                    self.report(f"Call {call_id} cannot be answered yet: {error}")
                told = True
                await self.sleep(CLAIM_AGAIN_SECONDS)
            except _PASSED_OVER as error:
                if isinstance(error, MoveRefused) and error.code == RefusalCode.HAS_ANOTHER:
                    raise
                self.report(f"Call {call_id} is passed over: {error}")
                return None

    async def _perform(self, request: Request[T]) -> T:
        return await (self.calls if request.to == OPENAI else self.switchboard).asend(request)


def answer_now(
    switchboard: SwitchboardClient,
    match: Match,
    claimant: str,
    plan: AnswerPlan,
    begin: Callable[[str, bool], Acceptance],
    report: Report,
) -> SwitchboardCall | None:
    """
    Look once, from a task: the call that the claimant has already, else accept the first that rings and matches.

    :param switchboard: Client of the line at its switchboard.
    :param match: What is looked for.
    :param claimant: Stable name of who looks.
    :param plan: What a call is accepted with.
    :param begin: Makes an attempt to accept a call, given its id and whether the claimant must have no other.
    :param report: Called with lines for the task's log.
    :return: The accepted call, or ``None`` when none can be had now.
    :raises SwitchboardUnreachable: The switchboard did not answer.
    :raises CallError: A call was not accepted and rings on, or that is not known and it is kept for a retry.
    """
    own = newest_own(switchboard.send(list_calls(claimed_by=claimant)).calls, match)
    if own is not None and own.state == CallState.ACCEPTED:
        own = taken_up(switchboard, own, claimant)
        if own is not None:
            return own
    for call in [*([own] if own is not None else []), *ringing_calls(switchboard, match)]:
        try:
            return begin(call.call_id, call is not own).accept(plan.session_for, plan.max_duration_seconds)
        except _PASSED_OVER as error:
            report(f"Call {call.call_id} is passed over: {error}")
    return None
