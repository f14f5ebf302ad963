"""Accept a call from a task; the rules are in :mod:`airflow_openai_realtime.calls.acceptance`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from airflow_openai_realtime.api.client import CallsClient
from airflow_openai_realtime.api.request import OPENAI, Request
from airflow_openai_realtime.calls.acceptance import (
    AcceptanceRules,
    run_steps,
)
from airflow_openai_realtime.calls.call import SwitchboardCall
from airflow_openai_realtime.calls.owner import TaskIdentity, owner_name, run_prefixes
from airflow_openai_realtime.calls.parameters import CallReference
from airflow_openai_realtime.exceptions import UnknownCall
from airflow_openai_realtime.switchboard.client import switchboard_requests
from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient
from airflow_openai_realtime.switchboard.client.switchboard_requests import get_call

if TYPE_CHECKING:
    from airflow_openai_realtime.api.session.realtime_session import RealtimeSession
    from airflow_openai_realtime.calls.acceptance import Session
    from airflow_openai_realtime.calls.matching import CallMatch

T = TypeVar("T")

__all__ = ["Acceptance", "accepting_owner"]


@dataclass
class Acceptance:
    """
    One attempt to accept one call.

    :param calls: Client of OpenAI's call endpoints.
    :param switchboard: Client of the switchboard.
    :param call_id: The call.
    :param owner: Name of the accepting owner: the one that has claimed the call, if any has.
    :param report: Called with lines for the task's log.
    :param is_stopped: Asked before and after the request: whether the task should stop.
    :param is_sole: Whether the owner must have no other open call.
    :param sole_match: Which other calls count for that; ``None``: all.
    """

    calls: CallsClient
    switchboard: SwitchboardClient
    call_id: str
    owner: str
    report: Callable[[str], None]
    is_stopped: Callable[[], bool] = lambda: False
    is_sole: bool = False
    sole_match: CallMatch | None = None
    _rules: AcceptanceRules | None = field(default=None, init=False, repr=False)

    @property
    def is_ours(self) -> bool:
        """Whether the owner has the call, so that it may be hung up."""
        return self._rules is not None and self._rules.is_ours

    def accept(
        self, session: RealtimeSession | Callable[[SwitchboardCall], Session], max_duration_seconds: float
    ) -> SwitchboardCall:
        """
        Accept the call, unless the same owner has done so before.

        :param session: The session configuration, checked, or what makes one for the call.
        :param max_duration_seconds: Longest call in seconds from now, above 0, at most 3,600.
        :raises CallGone: The call is over.
        :raises AcceptFailed: The call is over, and an earlier accept of it had failed.
        :raises ClaimLost: It has another owner.
        :raises CallAlreadyDecided: A client that does not use this switchboard accepted or rejected it.
        :raises CallError: It was not accepted and rings on for others, or that is not known and it is kept for a retry.
        :raises SwitchboardUnreachable: Nothing was sent to OpenAI.

        Retries: safe; a second attempt of the same owner does not accept the call again.
        """
        session_for = session if callable(session) else lambda _: session
        self._rules = AcceptanceRules(
            self.call_id,
            self.owner,
            self.report,
            switchboard_requests,
            self.is_stopped,
            self.is_sole,
            self.sole_match,
        )
        return run_steps(self._rules.accepting(session_for, max_duration_seconds), self._perform)

    def _perform(self, request: Request[T]) -> T:
        return (self.calls if request.to == OPENAI else self.switchboard).send(request)


def accepting_owner(reference: CallReference, task: TaskIdentity, switchboard: SwitchboardClient) -> str:
    """
    Return the accepting owner of a call: the task of this DAG run that has claimed it, else the task itself.

    :param reference: The call; if it is more than an id, it names its owner.
    :param task: The accepting task instance.
    :param switchboard: Asked who has claimed it, when only the id is known.
    :raises SwitchboardUnreachable: The switchboard did not answer.
    """
    if reference.claimed_by is not None:
        return reference.claimed_by
    try:
        claimed_by = switchboard.send(get_call(reference.call_id)).claimed_by
    except UnknownCall:
        claimed_by = None
    if claimed_by is not None and claimed_by.startswith(run_prefixes(task)):
        return claimed_by
    return owner_name(task)
