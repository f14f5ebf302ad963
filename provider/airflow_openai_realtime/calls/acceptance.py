"""
Accept a call, step by step, so that every accepted call has an end. This module sends nothing itself.

The switchboard stores the call's latest end *before* the request to OpenAI. From then on the reaper ends the call at
that time, whichever process dies. What a failure means for the call:

- OpenAI has certainly not accepted it (401, 400, 429 to the end, no connection): the phone rings on. The call is given
  back, and a retry, another sensor or a fallback may take it.
- Not known (no answer, 5xx): the call's sideband shows whether it is live. If it is, we accepted it, since no other
  owner has announced an accept. If not, the accept is sent again while the phone rings. When the sideband gives no
  answer either, the call is not hung up, since it may be a good call; the claim and its end stay for the retry.
- The process ends, or there is a bug: the call is hung up at once. Only a cancelled step, whose work moves to another
  process, leaves the call to that process.

The rules are generators: they yield one step after the other, and are sent what came of it. A step is a request to
OpenAI, or what a :class:`SwitchboardSteps` makes: a request to the switchboard, or in the switchboard itself a change
of its store. Tasks and triggers run the same rules and differ in how they send: :func:`run_steps` and
:func:`run_steps_async`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, Union

from airflow_openai_realtime.api.call_requests import SHORTEST_RING_SECONDS, accept_call, hang_up_call, is_live
from airflow_openai_realtime.calls.call import Announcement, SwitchboardCall
from airflow_openai_realtime.exceptions import (
    AcceptFailed,
    CallAlreadyDecided,
    CallError,
    CallGone,
    InvalidInput,
    MoveRefused,
    OutcomeUnknown,
    SwitchboardError,
    SwitchboardUnreachable,
    UnknownCall,
)
from airflow_openai_realtime.states import CallState, EndReason, RefusalCode

if TYPE_CHECKING:
    from airflow_openai_realtime.api.session.realtime_session import RealtimeSession
    from airflow_openai_realtime.calls.matching import CallMatch

T = TypeVar("T")

#: Most accept requests without a clear answer. Finding out whether one got through takes seconds each time.
MOST_DOUBTS = 20

__all__ = [
    "AcceptanceRules",
    "Session",
    "Steps",
    "SwitchboardSteps",
    "run_steps",
    "run_steps_async",
    "telling_ended",
]


def utc_now() -> datetime:
    """Return the current time, aware, in UTC."""
    return datetime.now(timezone.utc)


Session = Union["RealtimeSession", Mapping[str, Any]]


Steps = Generator[Any, Any, T]
"""Yields steps, and is sent what each came to."""


class SwitchboardSteps(Protocol):
    """
    What the rules ask of the switchboard. Each function returns a step.

    The module ``switchboard.client.switchboard_requests`` is one: its functions build requests.
    """

    def announce_accept(
        self,
        call_id: str,
        owner: str,
        max_duration_seconds: float,
        is_sole: bool = ...,
        sole_match: CallMatch | None = ...,
        /,
    ) -> Any:
        """
        Say by when the call must be over. Comes to an ``Announcement``.

        :param call_id: The call.
        :param owner: Who accepts it.
        :param max_duration_seconds: From now, in seconds, above 0.
        :param is_sole: Whether the owner must have no other open call.
        :param sole_match: Which other calls count for that; ``None``: all.
        """

    def report_accepted(self, call_id: str, owner: str, /) -> Any:
        """
        Say that OpenAI has accepted the call. Comes to the call.

        :param call_id: The call.
        :param owner: Who had it accepted.
        """

    def report_accept_in_doubt(self, call_id: str, owner: str, /) -> Any:
        """
        Say that an accept got no clear answer. Comes to the call.

        :param call_id: The call.
        :param owner: Who has claimed it.
        """

    def release_call(self, call_id: str, owner: str, claimed_at: datetime | None, reason: str, /) -> Any:
        """
        Give a claim back. Comes to the call.

        :param call_id: The call.
        :param owner: Who has claimed it.
        :param claimed_at: When, as the announced call says.
        :param reason: Why.
        """

    def get_call(self, call_id: str, /) -> Any:
        """
        Look the call up. Comes to the call.

        :param call_id: The call.
        """

    def report_ended(self, call_id: str, reason: str, /) -> Any:
        """
        Say that the call is over. Comes to the call.

        :param call_id: The call.
        :param reason: Why.
        """


def run_steps(steps: Steps[T], perform: Callable[[Any], Any]) -> T:
    """
    Run rules from a task.

    :param steps: What a rule yields.
    :param perform: Executes one step. The rules get every exception that it raises, also at the end of the process.
    """
    try:
        step = next(steps)
        while True:
            try:
                answer = perform(step)
            except BaseException as error:
                step = steps.throw(error)
            else:
                step = steps.send(answer)
    except StopIteration as end:
        result: T = end.value
        return result


async def run_steps_async(steps: Steps[T], perform: Callable[[Any], Awaitable[Any]]) -> T:
    """
    Run rules from a trigger. A cancellation stops them without further steps: the next process continues.

    :param steps: Steps of a rule.
    :param perform: Executes one step; the rules get its errors.
    """
    try:
        step = next(steps)
        while True:
            try:
                answer = await perform(step)
            except asyncio.CancelledError:
                steps.close()
                raise
            except Exception as error:
                step = steps.throw(error)
            else:
                step = steps.send(answer)
    except StopIteration as end:
        result: T = end.value
        return result


@dataclass
class AcceptanceRules:
    """
    One attempt to accept one call.

    :param call_id: The call.
    :param owner: Name of the accepting owner: the one that has claimed the call, if any has.
    :param report: Called with lines for the task's log.
    :param switchboard: Makes the steps that ask and tell the switchboard.
    :param is_stopped: Asked before and after the request: whether the task should stop.
    :param is_sole: Whether the owner must have no other open call.
    :param sole_match: Which other calls count for that; ``None``: all.
    :param now: Returns the current time, aware.
    """

    call_id: str
    owner: str
    report: Callable[[str], None]
    switchboard: SwitchboardSteps
    is_stopped: Callable[[], bool] = lambda: False
    is_sole: bool = False
    sole_match: CallMatch | None = None
    now: Callable[[], datetime] = utc_now
    is_ours: bool = field(default=False, init=False)
    """Whether the owner has the call, so that it may be hung up."""

    def accepting(
        self, session_for: Callable[[SwitchboardCall], Session], max_duration_seconds: float
    ) -> Steps[SwitchboardCall]:
        """
        Accept the call, unless the same owner has done so before.

        :param session_for: Makes the session configuration for the call.
        :param max_duration_seconds: Longest call in seconds from now, above 0, at most 3,600.
        :raises CallGone: The call is over.
        :raises AcceptFailed: The call is over, and an earlier accept of it failed.
        :raises ClaimLost: It has another owner, or this owner has another open call and asked for at most one.
        :raises CallAlreadyDecided: A client that does not use this switchboard accepted or rejected it.
        :raises CallError: It was not accepted and rings on for others, or that is not known and it is kept for a retry.
        :raises SwitchboardUnreachable: Nothing was sent to OpenAI.
        """
        announced = yield from self._announce(max_duration_seconds)
        self.is_ours = True
        if announced.call.state == CallState.ACCEPTED:
            self.report(f"Call {self.call_id} was accepted by an earlier try of this task.")
            return announced.call
        yield from self._ask_openai(session_for, announced)
        return (yield from self._settle(announced.call))

    def undoing(self, reason: str) -> Steps[None]:
        """
        Hang up a call that may have been accepted. Never raises; if it fails, the reaper ends the call at its time.

        :param reason: Reason for the switchboard.
        """
        try:
            yield hang_up_call(self.call_id)
        except CallError as error:
            # The reaper ends only calls that are not marked as ended.
            self.report(
                f"Call {self.call_id} could not be hung up; the switchboard will when its time is over: {error}"
            )
            return
        yield from telling_ended(self.switchboard, self.call_id, reason, self.report)

    def _announce(self, max_duration_seconds: float) -> Steps[Announcement]:
        try:
            announced: Announcement = yield self.switchboard.announce_accept(
                self.call_id, self.owner, max_duration_seconds, self.is_sole, self.sole_match
            )
        except MoveRefused as error:
            if error.code in (RefusalCode.CLAIMED_BY_OTHER, RefusalCode.HAS_ANOTHER):
                raise
            if error.code == RefusalCode.ACCEPT_FAILED:
                raise self._failed_before() from error
            raise CallGone(
                f"call {self.call_id} is over: {error}", call_id=self.call_id, status=error.status
            ) from error
        return announced

    def _ask_openai(self, session_for: Callable[[SwitchboardCall], Session], announced: Announcement) -> Steps[None]:
        if self.is_stopped():
            yield from self._stop(announced)
        try:
            yield from self._send(session_for, announced)
        except GeneratorExit:
            raise
        except CallGone as error:
            yield from self._gone(tried_before=announced.asked_before or error.may_have_happened)
            if announced.call.end_reason == EndReason.ACCEPT_FAILED:
                raise self._failed_before() from error
            raise
        except CallAlreadyDecided:
            if not (yield from self._is_decided_by_us(announced)):
                raise
        except (CallError, InvalidInput) as error:
            yield from self._failed(announced, error)
            raise
        except BaseException:
            yield from self.undoing(EndReason.ACCEPT_FAILED)
            raise
        if self.is_stopped():
            yield from self.undoing(EndReason.KILLED)
            raise self._stopped("it was hung up")

    def _send(self, session_for: Callable[[SwitchboardCall], Session], announced: Announcement) -> Steps[None]:
        """Send the accept; without a clear answer, find out whether it got through, and repeat it while it rings."""
        session = session_for(announced.call)
        for is_last in (*[False] * (MOST_DOUBTS - 1), True):
            left = (announced.call.expires_at - self.now()).total_seconds()
            try:
                yield accept_call(self.call_id, session, max(left, SHORTEST_RING_SECONDS))
                return
            except (CallGone, CallAlreadyDecided):
                raise
            except CallError as error:
                if not error.may_have_happened:
                    raise
                self.report(f"OpenAI gave no clear answer whether call {self.call_id} is accepted: {error}")
                found = yield from self._is_live()
                if found:
                    self.report(f"Call {self.call_id} is live: it was accepted.")
                    return
                goes_on = self.now() < announced.call.expires_at and not self.is_stopped() and not is_last
                if found is None or not goes_on or not isinstance(error, OutcomeUnknown):
                    raise
                # If that request still gets through, the next one gets "already decided", and the call is found live.

    def _is_live(self) -> Steps[bool | None]:
        """Tell whether the call was accepted and goes on; ``None``: not known."""
        try:
            found = yield from is_live(self.call_id)
        except CallError as error:
            self.report(f"It is not known whether call {self.call_id} is accepted: {error}")
            return None
        return found

    def _failed(self, announced: Announcement, error: CallError | InvalidInput) -> Steps[None]:
        """Give back a call that was certainly not accepted; keep one that may have been, until its time."""
        is_certain = not (announced.asked_before or getattr(error, "may_have_happened", False))
        if is_certain:
            self.is_ours = False
            yield from self._giving_back(announced, EndReason.ACCEPT_FAILED)
        else:
            yield from self._telling(self.switchboard.report_accept_in_doubt(self.call_id, self.owner))

    def _stop(self, announced: Announcement) -> Steps[None]:
        """Handle a stop before the request to OpenAI."""
        if announced.asked_before:
            yield from self.undoing(EndReason.KILLED)
            raise self._stopped("it was hung up")
        self.is_ours = False
        yield from self._giving_back(announced, EndReason.KILLED)
        raise self._stopped("it rings on for others")

    def _giving_back(self, announced: Announcement, reason: str) -> Steps[None]:
        at = announced.call.claimed_at
        return self._telling(self.switchboard.release_call(self.call_id, self.owner, at, reason))

    def _telling(self, step: Any) -> Steps[None]:
        """Report a call that is kept for others or for a retry to the switchboard, if it can be reached."""
        try:
            yield step
        except SwitchboardError as error:
            self.report(f"Could not report to the switchboard that call {self.call_id} was not accepted: {error}")

    def _gone(self, *, tried_before: bool) -> Steps[None]:
        if tried_before:
            # The earlier try may have accepted the call nevertheless; marked as ended it would go on unseen.
            yield from self.undoing(EndReason.GONE)
        else:
            yield from telling_ended(self.switchboard, self.call_id, EndReason.GONE, self.report)

    def _failed_before(self) -> AcceptFailed:
        return AcceptFailed(
            f"call {self.call_id} could not be accepted while it rang, and it rings no more; the log of the earlier "
            "try says why",
            call_id=self.call_id,
        )

    def _is_decided_by_us(self, announced: Announcement) -> Steps[bool]:
        by_us = yield from self._decided_by_us(announced)
        if by_us:
            self.report(f"Call {self.call_id} was accepted by another try of this task.")
            return True
        self.is_ours = False
        if by_us is not None:
            # Hanging up would end another client's call, and so would the reaper.
            yield from telling_ended(self.switchboard, self.call_id, EndReason.DECIDED_ELSEWHERE, self.report)
        return False

    def _decided_by_us(self, announced: Announcement) -> Steps[bool | None]:
        """
        Tell whether the same owner accepted it: an earlier try, or one at the same time, as when a trigger moves.

        :return: ``None`` when that is not known.
        """
        if announced.asked_before:
            return True
        try:
            row: SwitchboardCall = yield self.switchboard.get_call(self.call_id)
        except SwitchboardError:
            return None
        # An accept announced after ours has changed claimed_at.
        return row.claimed_by == self.owner and (
            row.state == CallState.ACCEPTED
            or (row.state == CallState.CLAIMED and row.claimed_at != announced.call.claimed_at)
        )

    def _settle(self, announced: SwitchboardCall) -> Steps[SwitchboardCall]:
        try:
            accepted: SwitchboardCall = yield self.switchboard.report_accepted(self.call_id, self.owner)
        except MoveRefused as error:
            yield from self.undoing(EndReason.GONE)
            raise CallGone(f"call {self.call_id} was ended meanwhile: {error}", call_id=self.call_id) from error
        except SwitchboardUnreachable as error:
            self.report(
                f"Call {self.call_id} is accepted, but that could not be reported; the switchboard ends the call "
                f"at {announced.hangup_at} all the same: {error}"
            )
            return replace(announced, state=CallState.ACCEPTED, accepted_at=self.now(), end_reason=None)
        except SwitchboardError:
            yield from self.undoing(EndReason.ACCEPT_FAILED)
            raise
        return accepted

    def _stopped(self, what: str) -> CallError:
        return CallError(f"the task was stopped while accepting call {self.call_id}: {what}", call_id=self.call_id)


def telling_ended(
    switchboard: SwitchboardSteps, call_id: str, reason: str, report: Callable[[str], None]
) -> Steps[SwitchboardCall | None]:
    """
    Report to the switchboard that a call is over, if it can be reached.

    :param switchboard: Makes the step that tells it.
    :param call_id: The call.
    :param reason: Why.
    :param report: Called with a line for the log when it cannot.
    :return: The switchboard's row, or ``None`` when it has none or could not be reached.
    """
    try:
        row: SwitchboardCall = yield switchboard.report_ended(call_id, reason)
    except UnknownCall:
        return None
    except SwitchboardError as error:
        report(f"Could not report to the switchboard that call {call_id} is over: {error}")
        return None
    return row
