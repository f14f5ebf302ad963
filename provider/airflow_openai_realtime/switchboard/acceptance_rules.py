"""
Accepting a call, step by step, so that none is left running that nobody watches. Nothing is sent from here.

The switchboard learns *before* OpenAI is asked by when the call must be over. From then on the reaper ends the call at
that time, whoever dies. Whatever goes wrong after that, the call is hung up at once; only who is cancelled, because the
work moves elsewhere, leaves the call alone, for whoever takes over.

The rules are generators: they yield one :class:`Step` after the other, and are told what came of it. Tasks and triggers
run the same rules and differ in how they send: :func:`run_steps` and :func:`run_steps_async`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Union

from airflow_openai_realtime.exceptions import (
    AuthenticationError,
    CallAlreadyDecided,
    CallError,
    CallGone,
    InvalidInput,
    RequestRefused,
    SwitchboardError,
    SwitchboardUnreachable,
    UnknownCall,
)
from airflow_openai_realtime.switchboard.errors import CLAIMED_BY_OTHER, HAS_ANOTHER, MoveRefused
from airflow_openai_realtime.switchboard.records import ACCEPTED, CLAIMED, Announcement, SwitchboardCall

if TYPE_CHECKING:
    from airflow_openai_realtime.api.session import RealtimeSession

T = TypeVar("T")

#: Reasons written to the switchboard when a call ends here.
GONE = "gone"
DECIDED_ELSEWHERE = "decided_elsewhere"
ACCEPT_FAILED = "accept_failed"
STOPPED = "stopped"

#: Failures after which OpenAI has certainly not accepted the call.
_NOT_ACCEPTED = (AuthenticationError, RequestRefused, InvalidInput)

Session = Union["RealtimeSession", Mapping[str, Any]]


@dataclass(frozen=True)
class Step:
    """
    One thing to be done.

    :param port: Who does it: the client of the switchboard, or the client of OpenAI's calls.
    :param method: Name of the client's method.
    :param arguments: Its arguments. Not shown: they may hold credentials of tools.
    """

    port: Literal["switchboard", "calls"]
    method: str
    arguments: tuple[Any, ...] = field(default=(), repr=False)


Steps = Generator[Step, Any, T]


def run_steps(steps: Steps[T], perform: Callable[[Step], Any]) -> T:
    """
    Run rules from a task.

    :param steps: What a rule yields.
    :param perform: Does one step. Whatever it raises, also the end of the process, is told to the rules.
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


async def run_steps_async(steps: Steps[T], perform: Callable[[Step], Awaitable[Any]]) -> T:
    """
    Run rules from a trigger. Cancelled, they are broken off without a word: whoever takes over goes on.

    :param steps: What a rule yields.
    :param perform: Does one step; its errors are told to the rules.
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
    :param claimant: Who accepts it; the claimant that has the call, if it is claimed.
    :param report: Called with lines for the task's log.
    :param is_stopped: Asked before and after the request: whether the task was told to stop meanwhile.
    :param is_sole: Whether the claimant must have no other open call.
    """

    call_id: str
    claimant: str
    report: Callable[[str], None]
    is_stopped: Callable[[], bool] = lambda: False
    is_sole: bool = False
    is_ours: bool = field(default=False, init=False)
    """Whether the claimant has the call, so that it may be hung up."""

    def accepting(
        self, session_for: Callable[[SwitchboardCall], Session], max_duration_seconds: float
    ) -> Steps[SwitchboardCall]:
        """
        Accept the call, unless the same claimant has done so before.

        :param session_for: Makes the session configuration for the call.
        :param max_duration_seconds: When the call is ended at the latest, in seconds from now, above 0, at most 3,600.
        :raises CallGone: The call is over.
        :raises ClaimLost: It is another claimant's, or the claimant has another open call and must not.
        :raises CallAlreadyDecided: Somebody who does not use this switchboard accepted or rejected it.
        :raises CallError: It was not accepted, or may have been; then it was hung up.
        :raises SwitchboardUnreachable: Nothing was sent to OpenAI.
        """
        announced = yield from self._announce(max_duration_seconds)
        self.is_ours = True
        if announced.call.state == ACCEPTED:
            self.report(f"Call {self.call_id} was accepted by an earlier try of this task.")
            return announced.call
        yield from self._ask_openai(session_for, announced)
        return (yield from self._settle(announced.call))

    def undoing(self, reason: str, *, certainly_not_accepted: bool = False) -> Steps[None]:
        """
        Hang up a call that may have been accepted; never raises. Else the reaper ends it at its time.

        :param reason: What the switchboard is told.
        :param certainly_not_accepted: Whether it may be marked as ended though it could not be hung up.
        """
        try:
            yield Step("calls", "hang_up", (self.call_id,))
        except CallError as error:
            self.report(
                f"Call {self.call_id} could not be hung up; the switchboard will when its time is over: {error}"
            )
            if not certainly_not_accepted:
                # Only a call that is not marked as ended is ended by the reaper.
                return
        yield from telling_ended(self.call_id, reason, self.report)

    def _announce(self, max_duration_seconds: float) -> Steps[Announcement]:
        try:
            announced: Announcement = yield Step(
                "switchboard", "announce", (self.call_id, self.claimant, max_duration_seconds, self.is_sole)
            )
        except MoveRefused as error:
            if error.code in (CLAIMED_BY_OTHER, HAS_ANOTHER):
                raise
            raise CallGone(
                f"call {self.call_id} is over: {error}", call_id=self.call_id, status=error.status
            ) from error
        return announced

    def _ask_openai(self, session_for: Callable[[SwitchboardCall], Session], announced: Announcement) -> Steps[None]:
        if self.is_stopped():
            yield from self.undoing(STOPPED)
            raise self._stopped()
        try:
            yield Step("calls", "accept", (self.call_id, session_for(announced.call)))
        except GeneratorExit:
            raise
        except CallGone:
            yield from self._gone(tried_before=announced.asked_before)
            raise
        except CallAlreadyDecided:
            by_us = yield from self._decided_by_us(announced)
            if not by_us:
                self.is_ours = False
                if by_us is not None:
                    # Hanging up would end somebody else's call, and so would the reaper.
                    yield from telling_ended(self.call_id, DECIDED_ELSEWHERE, self.report)
                raise
            self.report(f"Call {self.call_id} was accepted by another try of this task.")
        except BaseException as error:
            yield from self.undoing(ACCEPT_FAILED, certainly_not_accepted=isinstance(error, _NOT_ACCEPTED))
            raise
        if self.is_stopped():
            yield from self.undoing(STOPPED)
            raise self._stopped()

    def _gone(self, *, tried_before: bool) -> Steps[None]:
        if tried_before:
            # Perhaps OpenAI says so of a call that the earlier try got accepted: marked as ended it would go on unseen.
            yield from self.undoing(GONE)
        else:
            yield from telling_ended(self.call_id, GONE, self.report)

    def _decided_by_us(self, announced: Announcement) -> Steps[bool | None]:
        """
        Tell whether the same claimant decided: an earlier try, or one at the same time, as when a trigger moves.

        :return: ``None`` when nobody can say.
        """
        if announced.asked_before:
            return True
        try:
            row: SwitchboardCall = yield Step("switchboard", "call", (self.call_id,))
        except SwitchboardError:
            return None
        # Whoever announces an accept after us leaves its time.
        return row.claimed_by == self.claimant and (
            row.state == ACCEPTED or (row.state == CLAIMED and row.claimed_at != announced.call.claimed_at)
        )

    def _settle(self, announced: SwitchboardCall) -> Steps[SwitchboardCall]:
        try:
            accepted: SwitchboardCall = yield Step("switchboard", "accepted", (self.call_id, self.claimant))
        except MoveRefused as error:
            yield from self.undoing(GONE)
            raise CallGone(f"call {self.call_id} was ended meanwhile: {error}", call_id=self.call_id) from error
        except SwitchboardUnreachable as error:
            self.report(
                f"Call {self.call_id} is accepted, but the switchboard could not be told; it ends the call "
                f"at {announced.hangup_at} all the same: {error}"
            )
            return replace(announced, state=ACCEPTED, accepted_at=datetime.now(timezone.utc))
        except SwitchboardError:
            yield from self.undoing(ACCEPT_FAILED)
            raise
        return accepted

    def _stopped(self) -> CallError:
        return CallError(
            f"the task was stopped while accepting call {self.call_id}: it was hung up", call_id=self.call_id
        )


def telling_ended(call_id: str, reason: str, report: Callable[[str], None]) -> Steps[SwitchboardCall | None]:
    """
    Tell the switchboard that a call is over, if it can be reached.

    :param call_id: The call.
    :param reason: Why.
    :param report: Called with a line for the log when it cannot.
    :return: The switchboard's row, or ``None`` when it has none or could not be told.
    """
    try:
        row: SwitchboardCall = yield Step("switchboard", "ended", (call_id, reason))
    except UnknownCall:
        return None
    except SwitchboardError as error:
        report(f"The switchboard could not be told that call {call_id} is over: {error}")
        return None
    return row
