"""Accepting a call in a task that may be killed while it does so."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from airflow_openai_realtime.exceptions import OpenAIRealtimeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_openai_realtime.api.client import CallsClient
    from airflow_openai_realtime.calls.matching import CallMatch
    from airflow_openai_realtime.calls.task_states import TaskReference
    from airflow_openai_realtime.hooks.realtime import LineSettings
    from airflow_openai_realtime.inbound.accepting import Acceptance
    from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient

#: Limit for one request while the task is being killed, in seconds: Airflow kills it for good after five.
KILL_REQUEST_SECONDS = 2.0


@dataclass
class TaskAcceptance:
    """The accepts of one task, one at a time. Killed during one, the task hangs the call up."""

    _log: Any = field(default=None, init=False, repr=False)
    _is_stopped: bool = field(default=False, init=False)
    _line: LineSettings | None = field(default=None, init=False, repr=False)
    _under_way: Acceptance | None = field(default=None, init=False, repr=False)
    _task: TaskReference | None = field(default=None, init=False)

    def begin(
        self,
        line: LineSettings,
        calls: CallsClient,
        switchboard: SwitchboardClient,
        call_id: str,
        owner: str,
        task: TaskReference | None,
        log: Any,
        *,
        is_sole: bool = False,
        sole_match: CallMatch | None = None,
    ) -> Acceptance:
        """
        Begin to accept a call; from now on a kill is about it.

        :param line: Settings of the connection.
        :param calls: Client of OpenAI's call endpoints.
        :param switchboard: Client of the switchboard.
        :param call_id: The call.
        :param owner: Who accepts it.
        :param task: The task, for asking its state.
        :param log: The task's.
        :param is_sole: Whether the owner must have no other open call.
        :param sole_match: Which other calls count for that; ``None``: all.
        """
        from airflow_openai_realtime.inbound.accepting import Acceptance

        self._line, self._task, self._log = line, task, log
        self._under_way = Acceptance(
            calls=calls,
            switchboard=switchboard,
            call_id=call_id,
            owner=owner,
            report=self.report,
            is_stopped=lambda: self._is_stopped,
            is_sole=is_sole,
            sole_match=sole_match,
        )
        return self._under_way

    def report(self, line: str) -> None:
        """
        Write a line to the task's log.

        :param line: The line.
        """
        self._log.info("%s", line)

    def kill(self) -> None:
        """
        End the call that is being accepted; a cleared task's call waits for the next try.

        Airflow calls ``on_kill`` from a signal handler and goes on with what was interrupted: so a flag is left for
        that, and nothing is used that it may hold (clients, the supervisor's channel).
        """
        if self._under_way is None or self._line is None or not self._under_way.is_ours:
            self._is_stopped = True
            return
        call_id, owner = self._under_way.call_id, self._under_way.owner
        is_cleared = _end_or_leave(self._line, call_id, owner, self._task, self.report)
        self._is_stopped = not is_cleared
        if is_cleared:
            self._log.warning("Cleared while it accepts call %s: the next try has a minute to go on with it.", call_id)
        else:
            self._log.warning("The task is killed while it accepts call %s: it is ended.", call_id)


def _end_or_leave(
    line: LineSettings, call_id: str, owner: str, task: TaskReference | None, report: Callable[[str], None]
) -> bool:
    """
    Ask the switchboard to end a call at once, or, when the task was cleared, unless the next try goes on with it.

    :return: Whether the task was cleared. Where the switchboard cannot say, it was killed.
    """
    from airflow_openai_realtime.api.call_requests import hang_up_call
    from airflow_openai_realtime.api.client import CallsClient
    from airflow_openai_realtime.states import EndReason
    from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient
    from airflow_openai_realtime.switchboard.client.switchboard_requests import end_call, report_task_stopped

    at = line.switchboard
    try:
        with SwitchboardClient(
            at.url, at.token, line=at.line, timeout_seconds=KILL_REQUEST_SECONDS, retries=False
        ) as switchboard:
            if task is None:
                switchboard.send(end_call(call_id, reason=EndReason.KILLED, by=owner))
                return False
            state = switchboard.send(report_task_stopped(task, call_id, by=owner, unknown_after_seconds=0))
            return state is not None and not state.is_ended
    except OpenAIRealtimeError as error:
        report(f"The switchboard cannot be asked to end call {call_id}: {error}")
    try:
        with CallsClient(replace(line.api, timeout_seconds=KILL_REQUEST_SECONDS)) as calls:
            calls.send(hang_up_call(call_id))
    except OpenAIRealtimeError as error:
        report(f"Call {call_id} could not be hung up; the switchboard will when its time is over: {error}")
    return False
