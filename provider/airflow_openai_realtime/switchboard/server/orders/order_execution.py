"""
Carrying out a standing order for one call that it has taken.

The claim and the time at which the call must be over are committed by then. Accepting follows the rules that tasks and
triggers follow, with the store in place of the switchboard's private API: a call that was certainly not answered rings
on for others, one in doubt is resumed after its lease. If this worker dies on the way, another one resumes; "already
decided" then means that this one had come through.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_openai_realtime.api.call_requests import HangUpResult, is_live, reject_call
from airflow_openai_realtime.api.client import CallsClient
from airflow_openai_realtime.api.request import Request
from airflow_openai_realtime.calls import transitions as moves
from airflow_openai_realtime.calls.acceptance import AcceptanceRules, run_steps_async
from airflow_openai_realtime.calls.call import Announcement, SwitchboardCall
from airflow_openai_realtime.calls.matching import CallMatch
from airflow_openai_realtime.calls.order import OrderAnswer, StandingOrder
from airflow_openai_realtime.calls.transitions import Change
from airflow_openai_realtime.exceptions import CallAlreadyDecided, CallError, CallGone, StoreUnavailable
from airflow_openai_realtime.states import CallState, EndReason
from airflow_openai_realtime.switchboard.server.process import logs
from airflow_openai_realtime.switchboard.server.process.executor import Executor
from airflow_openai_realtime.switchboard.server.store import Store

if TYPE_CHECKING:
    from airflow_openai_realtime.api.session.realtime_session import RealtimeSession

log = logging.getLogger(__name__)


@dataclass
class OrderExecution:
    """
    One order and one call.

    :param store: Where the call is.
    :param threads: To use the store from.
    :param now: The clock.
    :param client: Client of the line's project.
    :param call: The call, claimed by the order.
    :param is_resumed: Whether another worker may have asked OpenAI before.
    :param default_duration_seconds: For a call that has no ``hangup_at``, which none has that an order accepts.
    :param on_change: Told of the line of the call when it has changed.
    :param order: The order; ``None`` when it was removed.
    """

    store: Store
    threads: Executor
    now: Callable[[], datetime]
    client: CallsClient
    call: SwitchboardCall
    is_resumed: bool
    default_duration_seconds: float
    on_change: Callable[[str], None]
    order: StandingOrder | None = None
    is_given_back: bool = field(default=False, init=False)
    """Whether the call rings on for others."""
    _accepted_here: bool = field(default=True, init=False)

    async def accept(self, order: StandingOrder, answer: OrderAnswer, session: RealtimeSession) -> bool:
        """
        Accept the call.

        :param order: The order that has taken it.
        :param answer: What it accepts calls with.
        :param session: The session in it, checked.
        :returns: Whether it was this worker that found it accepted first; it then greets.
        :raises CallError: It was not accepted and rings on for others, or that is not known and it is resumed.
        :raises StoreUnavailable: What became of the call could not be stored.
        """
        seconds = order.max_duration_seconds or self.default_duration_seconds
        rules = self._rules()
        steps = rules.accepting(partial(answer.session_for, session), seconds)
        await run_steps_async(steps, self._perform)
        return self._accepted_here

    async def give_up(self) -> None:
        """
        Leave a call that this order answers no more: it rang out, or its order is gone.

        One that still rings is given back to others. One that may have been accepted is hung up.
        """
        if self.call.expires_at > self.now() and await self._is_surely_not_live():
            await self._give_back(EndReason.ACCEPT_FAILED)
        else:
            await run_steps_async(self._rules().undoing(EndReason.ACCEPT_FAILED), self._perform)

    async def _is_surely_not_live(self) -> bool:
        if not self.is_resumed:
            return True
        try:
            return not await self.client.asend(is_live(self.call.call_id))
        except CallError:
            return False

    async def reject(self, status_code: int) -> None:
        """
        Decline the call. Who declines it is committed before OpenAI is asked; when this worker dies, another worker or
        the reaper declines it.

        :param status_code: SIP status that the caller gets, 300 to 699.
        :raises CallError: It was not declined and rings on for others, or that is not known and it is resumed.
        :raises MoveRefused: It was accepted meanwhile.
        :raises StoreUnavailable: What became of the call could not be stored.
        """
        now, seconds = self.now(), moves.ACTING_SECONDS
        wanted = partial(moves.want_decline, now=now, by=self._owner, status_code=status_code)
        await self._move(partial(wanted, acting_seconds=seconds))
        try:
            await self.client.asend(reject_call(self.call.call_id, status_code))
        except CallGone as error:
            may_be_ours = self.is_resumed or error.may_have_happened
            await self._ended(EndReason.GONE, too_late_for=None if may_be_ours else self._owner)
        except CallAlreadyDecided:
            # From then on the reaper may have declined it.
            if not self.is_resumed and self.now() < now + timedelta(seconds=seconds):
                await self._ended(EndReason.DECIDED_ELSEWHERE, too_late_for=self._owner)
                raise
            await self._rejected(status_code)
        except CallError as error:
            if not (self.is_resumed or error.may_have_happened):
                await self._give_back(EndReason.REJECT_FAILED)
            raise
        else:
            await self._rejected(status_code)

    @property
    def _owner(self) -> str:
        return self.call.claimed_by or ""

    def _rules(self) -> AcceptanceRules:
        return AcceptanceRules(self.call.call_id, self._owner, self._report, self, now=self.now)

    async def _perform(self, step: Request[Any] | Awaitable[Any]) -> Any:
        if not isinstance(step, Request):
            return await step
        if step.operation == "hang_up" and await self._is_taken_over():
            return HangUpResult(gone=False)
        return await self.client.asend(step)

    # What the rules ask of a switchboard: this one.

    async def announce_accept(
        self,
        call_id: str,
        owner: str,
        max_duration_seconds: float,
        is_sole: bool = False,
        sole_match: CallMatch | None = None,
        /,
    ) -> Announcement:
        """
        Was done when the order took the call.

        :param call_id: The call; it is the one that is being answered.
        :param owner: The order's name as an owner.
        :param max_duration_seconds: As the order says, in seconds.
        :param is_sole: Not asked of orders.
        :param sole_match: Not asked of orders.
        """
        return Announcement(self.call, asked_before=self.is_resumed)

    async def report_accepted(self, call_id: str, owner: str, /) -> SwitchboardCall:
        """
        Store that the call is accepted.

        :param call_id: The call; it is the one that is being answered.
        :param owner: The order's name as an owner.
        """
        return await self._move(self._accepting_rule)

    async def report_accept_in_doubt(self, call_id: str, owner: str, /) -> SwitchboardCall:
        """
        Store that an accept failed without a clear answer.

        :param call_id: The call; it is the one that is being answered.
        :param owner: The order's name as an owner.
        """
        return await self._move(partial(moves.accept_in_doubt, owner=owner))

    async def release_call(self, call_id: str, owner: str, claimed_at: datetime | None, reason: str, /) -> None:
        """
        Give the call back to others.

        :param call_id: The call; it is the one that is being answered.
        :param owner: The order's name as an owner.
        :param claimed_at: When the order took the call.
        :param reason: Why.
        """
        await self._give_back(reason)

    async def get_call(self, call_id: str, /) -> SwitchboardCall:
        """
        Look the call up.

        :param call_id: The call; it is the one that is being answered.
        """
        return await self._found()

    async def report_ended(self, call_id: str, reason: str, /) -> SwitchboardCall:
        """
        Store that the call is over.

        :param call_id: The call; it is the one that is being answered.
        :param reason: Why.
        """
        return await self._ended(reason)

    def _accepting_rule(self, call: SwitchboardCall) -> Change:
        if self._is_other_owners(call):
            change = moves.NOTHING
        else:
            change = moves.accepted(call, self._owner, self.now(), self.default_duration_seconds)
        self._accepted_here = bool(change.values)
        return change

    async def _ended(self, reason: str, too_late_for: str | None = None) -> SwitchboardCall:
        def rule(call: SwitchboardCall) -> Change:
            if self._is_other_owners(call):
                return moves.NOTHING
            return moves.ended(call, self.now(), reason, too_late_for=too_late_for)

        return await self._move(rule)

    async def _give_back(self, reason: str) -> None:
        await self._move(partial(moves.not_declined, by=self._owner))
        self.is_given_back = True
        give_back = partial(self.store.order_taking.give_back, self.call, self.order, reason)
        while await self.threads.run(give_back, self.now()) is None:
            pass  # It changed between the look and the write.
        self.on_change(self.call.line)

    async def _is_taken_over(self) -> bool:
        try:
            return self._is_other_owners(await self._found())
        except StoreUnavailable:
            return False

    def _is_other_owners(self, call: SwitchboardCall) -> bool:
        """Tell whether another worker accepted the call and a task took it over: another owner handles it."""
        return call.state == CallState.ACCEPTED and call.claimed_by != self.call.claimed_by

    async def _found(self) -> SwitchboardCall:
        return await self.threads.run(self.store.calls.find, self.call.line, self.call.call_id)

    async def _rejected(self, status_code: int) -> None:
        await self._move(partial(moves.rejected, now=self.now(), status_code=status_code))

    async def _move(self, rule: Callable[[SwitchboardCall], Change]) -> SwitchboardCall:
        moved = await self.threads.run(self.store.calls.move, self.call.line, self.call.call_id, rule, self.now())
        self.on_change(self.call.line)
        return moved

    def _report(self, text: str) -> None:
        log.warning(logs.line("order.report", line=self.call.line, call_id=self.call.call_id, text=text))
