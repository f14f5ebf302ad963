"""
Accept the first available call that matches, in a trigger, or at once in a task.

Accepting takes two requests: one to the switchboard, which claims the call and sets its latest end, and the one to
OpenAI. A call that is gone by then, or has another owner, is skipped, and the wait goes on. An owner has one call at a
time: after a restart it finds its own call and takes no second one.
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
from airflow_openai_realtime.inbound.feed import Report, newest_own
from airflow_openai_realtime.inbound.waiting import CLAIM_AGAIN_SECONDS, Sleep, taken_up
from airflow_openai_realtime.states import CallState, RefusalCode
from airflow_openai_realtime.switchboard.client import switchboard_requests
from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient
from airflow_openai_realtime.switchboard.client.switchboard_requests import claim_call, list_calls

T = TypeVar("T")

#: After these errors the call is over or has another owner; continue with the next one.
_PASSED_OVER = (CallGone, AcceptFailed, ClaimLost, CallAlreadyDecided)


@dataclass
class Answering:
    """
    Accepts calls, from a trigger; a :class:`~airflow_openai_realtime.inbound.waiting.Claimer`.

    An accept that was begun is completed even after the time is over. A cancellation stops it: the call then belongs to
    the owner, and has its ``hangup_at``.

    :param plan: What a call is accepted with.
    :param calls: Client of OpenAI's call endpoints.
    :param switchboard: Client of the line at its switchboard.
    :param owner: Stable name of the waiting owner.
    :param report: Called with lines for the owner's log.
    :param sleep: Waits between attempts; for tests.
    :param match: Condition; the owner has one matching call at a time. ``None``: one call of any kind.
    """

    plan: AnswerPlan
    calls: CallsClient
    switchboard: SwitchboardClient
    owner: str
    report: Report
    sleep: Sleep = asyncio.sleep
    match: CallMatch | None = None
    status: str = field(default=CallState.ACCEPTED, init=False)
    is_busy: bool = field(default=False, init=False)
    is_last: bool = field(default=False, init=False)

    async def take(self, call: SwitchboardCall, /) -> SwitchboardCall | None:
        """
        Accept a call, unless that was done before.

        :param call: On offer, or the owner's own.
        :return: The accepted call, or ``None`` when it cannot be had.
        :raises MoveRefused: ``has_another``: the owner has another call.
        :raises CallError: It was not accepted and rings on, or that is not known and it is kept for a retry.
        """
        is_own = call.claimed_by == self.owner
        if is_own and call.state == CallState.ACCEPTED:
            # Ask again: the feed's state may be older than the clear of the task.
            return await self._take_up(call)
        self.is_busy = True
        try:
            return await self._accept(call.call_id, is_sole=not is_own)
        finally:
            self.is_busy = False

    async def _take_up(self, call: SwitchboardCall) -> SwitchboardCall | None:
        """Continue a call of an earlier try of the task, which cancels its delayed end."""
        try:
            return await self.switchboard.asend(claim_call(call.call_id, self.owner))
        except ClaimLost:
            return None

    async def _accept(self, call_id: str, *, is_sole: bool) -> SwitchboardCall | None:
        told = False
        while True:
            rules = AcceptanceRules(
                call_id,
                self.owner,
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
    owner: str,
    plan: AnswerPlan,
    begin: Callable[[str, bool], Acceptance],
    report: Report,
) -> SwitchboardCall | None:
    """
    Look once, from a task: return the owner's call, else accept the first ringing call that matches.

    :param switchboard: Client of the line at its switchboard.
    :param match: What is looked for.
    :param owner: Stable name of who looks.
    :param plan: What a call is accepted with.
    :param begin: Makes an attempt to accept a call, given its id and whether the owner must have no other.
    :param report: Called with lines for the task's log.
    :return: The accepted call, or ``None`` when none can be had now.
    :raises SwitchboardUnreachable: The switchboard did not answer.
    :raises CallError: A call was not accepted and rings on, or that is not known and it is kept for a retry.
    """
    own = newest_own(switchboard.send(list_calls(claimed_by=owner)).calls, match)
    if own is not None and own.state == CallState.ACCEPTED:
        own = taken_up(switchboard, own, owner)
        if own is not None:
            return own
    for call in [*([own] if own is not None else []), *ringing_calls(switchboard, match)]:
        try:
            return begin(call.call_id, call is not own).accept(plan.session_for, plan.max_duration_seconds)
        except _PASSED_OVER as error:
            report(f"Call {call.call_id} is passed over: {error}")
    return None
