"""
Accepting a call so that none is left running that nobody watches.

The switchboard learns *before* OpenAI is asked by when the call must be over. From then on the reaper ends the call at
that time, whoever dies. Whatever goes wrong after that, the call is hung up here and now.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from airflow_openai_realtime.api.client import CallsClient
from airflow_openai_realtime.calls.claimant import TaskIdentity, claimant_of, run_prefix
from airflow_openai_realtime.calls.parameters import CallReference
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
from airflow_openai_realtime.switchboard.client import SwitchboardClient
from airflow_openai_realtime.switchboard.errors import CLAIMED_BY_OTHER, MoveRefused
from airflow_openai_realtime.switchboard.records import ACCEPTED, SwitchboardCall

if TYPE_CHECKING:
    from airflow_openai_realtime.api.session import RealtimeSession

#: Reasons written to the switchboard when a call ends here.
GONE = "gone"
DECIDED_ELSEWHERE = "decided_elsewhere"
ACCEPT_FAILED = "accept_failed"
STOPPED = "stopped"

#: Failures after which OpenAI has certainly not accepted the call.
_NOT_ACCEPTED = (AuthenticationError, RequestRefused, InvalidInput)


@dataclass
class Acceptance:
    """
    One attempt to accept one call.

    :param calls: Client of OpenAI's call endpoints.
    :param switchboard: Client of the switchboard.
    :param call_id: The call.
    :param claimant: Who accepts it; the claimant that has the call, if it is claimed.
    :param report: Called with lines for the task's log.
    :param is_stopped: Asked before and after the request: whether the task was told to stop meanwhile.
    """

    calls: CallsClient
    switchboard: SwitchboardClient
    call_id: str
    claimant: str
    report: Callable[[str], None]
    is_stopped: Callable[[], bool] = lambda: False
    is_ours: bool = field(default=False, init=False)
    """Whether the claimant has the call, so that it may be hung up."""

    def accept(self, session: RealtimeSession, max_duration_seconds: float) -> SwitchboardCall:
        """
        Accept the call, unless the same claimant has done so before.

        :param session: The session configuration, checked.
        :param max_duration_seconds: When the call is ended at the latest, in seconds from now, above 0, at most 3,600.
        :raises CallGone: The call is over.
        :raises ClaimLost: It is another claimant's.
        :raises CallAlreadyDecided: Somebody who does not use this switchboard accepted or rejected it.
        :raises CallError: It was not accepted, or may have been; then it was hung up.
        :raises SwitchboardUnreachable: Nothing was sent to OpenAI.

        Retries: a second attempt of the same claimant accepts nothing twice.
        """
        before = self._row()
        if before is not None and before.state == ACCEPTED and before.claimed_by == self.claimant:
            self.is_ours = True
            self.report(f"Call {self.call_id} was accepted by an earlier try of this task.")
            return before
        announced = self._announce(max_duration_seconds)
        self.is_ours = True
        self._ask_openai(session, tried_before=before is not None and before.hangup_at is not None)
        return self._settle(announced)

    def undo(self, reason: str, *, certainly_not_accepted: bool = False) -> None:
        """Hang up a call that may have been accepted; never raises. Else the reaper ends it at its time."""
        try:
            self.calls.hang_up(self.call_id)
        except CallError as error:
            self.report(
                f"Call {self.call_id} could not be hung up; the switchboard will when its time is over: {error}"
            )
            if not certainly_not_accepted:
                # Only a call that is not marked as ended is ended by the reaper.
                return
        tell_ended(self.switchboard, self.call_id, reason, self.report)

    def _row(self) -> SwitchboardCall | None:
        try:
            return self.switchboard.call(self.call_id)
        except UnknownCall:
            return None

    def _announce(self, max_duration_seconds: float) -> SwitchboardCall:
        try:
            return self.switchboard.accepting(self.call_id, self.claimant, max_duration_seconds)
        except MoveRefused as error:
            if error.code == CLAIMED_BY_OTHER:
                raise
            raise CallGone(
                f"call {self.call_id} is over: {error}", call_id=self.call_id, status=error.status
            ) from error

    def _ask_openai(self, session: RealtimeSession, *, tried_before: bool) -> None:
        if self.is_stopped():
            self.undo(STOPPED)
            raise self._stopped()
        try:
            self.calls.accept(self.call_id, session)
        except CallGone:
            tell_ended(self.switchboard, self.call_id, GONE, self.report)
            raise
        except CallAlreadyDecided:
            if not tried_before:
                # Not ours: hanging up would end somebody else's call, and so would the reaper.
                self.is_ours = False
                tell_ended(self.switchboard, self.call_id, DECIDED_ELSEWHERE, self.report)
                raise
            self.report(f"Call {self.call_id} was accepted by an earlier try that did not live to say so.")
        except BaseException as error:
            self.undo(ACCEPT_FAILED, certainly_not_accepted=isinstance(error, _NOT_ACCEPTED))
            raise
        if self.is_stopped():
            self.undo(STOPPED)
            raise self._stopped()

    def _settle(self, announced: SwitchboardCall) -> SwitchboardCall:
        try:
            return self.switchboard.accepted(self.call_id, self.claimant)
        except MoveRefused as error:
            self.undo(GONE)
            raise CallGone(f"call {self.call_id} was ended meanwhile: {error}", call_id=self.call_id) from error
        except SwitchboardUnreachable as error:
            self.report(
                f"Call {self.call_id} is accepted, but the switchboard could not be told; it ends the call "
                f"at {announced.hangup_at} all the same: {error}"
            )
            return replace(announced, state=ACCEPTED, accepted_at=datetime.now(timezone.utc))

    def _stopped(self) -> CallError:
        return CallError(
            f"the task was stopped while accepting call {self.call_id}: it was hung up", call_id=self.call_id
        )


def accepting_claimant(reference: CallReference, task: TaskIdentity, switchboard: SwitchboardClient) -> str:
    """
    Return who accepts a call: whoever has claimed it for this DAG run, else the task itself.

    :param reference: The call; a call (not just an id) says itself who has claimed it.
    :param task: The accepting task instance.
    :raises SwitchboardUnreachable: The switchboard did not answer.
    """
    if reference.claimed_by is not None:
        return reference.claimed_by
    try:
        claimed_by = switchboard.call(reference.call_id).claimed_by
    except UnknownCall:
        claimed_by = None
    if claimed_by is not None and claimed_by.startswith(run_prefix(task)):
        return claimed_by
    return claimant_of(task)


def tell_ended(
    switchboard: SwitchboardClient, call_id: str, reason: str, report: Callable[[str], None]
) -> SwitchboardCall | None:
    """
    Tell the switchboard that a call is over, if it can be reached.

    :return: The switchboard's row, or ``None`` when it has none or could not be told.
    """
    try:
        return switchboard.ended(call_id, reason)
    except UnknownCall:
        return None
    except SwitchboardError as error:
        report(f"The switchboard could not be told that call {call_id} is over: {error}")
        return None
