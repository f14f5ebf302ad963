"""Accepting a call in a task that may be killed while it does so."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_openai_realtime.exceptions import OpenAIRealtimeError
from airflow_openai_realtime.hooks.session_secrets import hide_session_secrets

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


class AcceptingTask:
    """For tasks that accept calls: hides credentials; killed while it accepts a call, the task hangs it up."""

    log: Any
    _stopped = False
    _line: LineSettings | None = None
    _under_way: Acceptance | None = None
    _task: TaskReference | None = None

    def on_kill(self) -> None:
        """
        End the call when the task is killed while it accepts it; a cleared task's call waits for the next try.

        Airflow calls this from a signal handler and goes on with what was interrupted: so a flag is left for that, and
        nothing is used that it may hold (clients, the supervisor's channel).
        """
        if self._under_way is None or self._line is None or not self._under_way.is_ours:
            self._stopped = True
            return
        call_id, claimant = self._under_way.call_id, self._under_way.claimant
        is_cleared = _end_or_leave(self._line, call_id, claimant, self._task, self.report)
        self._stopped = not is_cleared
        if is_cleared:
            self.log.warning("Cleared while it accepts call %s: the next try has a minute to go on with it.", call_id)
        else:
            self.log.warning("The task is killed while it accepts call %s: it is ended.", call_id)

    def render_template(self, content: Any, *args: Any, **kwargs: Any) -> Any:
        """Render a value, and keep the credentials of MCP servers in it out of logs and the list of rendered fields."""
        rendered = super().render_template(content, *args, **kwargs)  # type: ignore[misc]
        hide_session_secrets(rendered)
        return rendered

    def report(self, line: str) -> None:
        """Write a line to the task's log."""
        self.log.info("%s", line)

    def _acceptance(
        self,
        line: LineSettings,
        calls: CallsClient,
        switchboard: SwitchboardClient,
        call_id: str,
        claimant: str,
        *,
        is_sole: bool = False,
        sole_match: CallMatch | None = None,
    ) -> Acceptance:
        """Begin to accept a call; from now on a kill is about it."""
        from airflow_openai_realtime.inbound.accepting import Acceptance

        self._line = line
        self._under_way = Acceptance(
            calls=calls,
            switchboard=switchboard,
            call_id=call_id,
            claimant=claimant,
            report=self.report,
            is_stopped=lambda: self._stopped,
            is_sole=is_sole,
            sole_match=sole_match,
        )
        return self._under_way


def _end_or_leave(
    line: LineSettings, call_id: str, claimant: str, task: TaskReference | None, report: Callable[[str], None]
) -> bool:
    """
    Ask the switchboard to end a call at once, or, when the task was cleared, unless the next try goes on with it.

    :return: Whether the task was cleared. Where the switchboard cannot say, it was killed.
    """
    from airflow_openai_realtime.api.client import CallsClient
    from airflow_openai_realtime.states import EndReason
    from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient

    at = line.switchboard
    try:
        with SwitchboardClient(
            at.url, at.token, line=at.line, timeout_seconds=KILL_REQUEST_SECONDS, retries=False
        ) as switchboard:
            if task is None:
                switchboard.end_call(call_id, reason=EndReason.KILLED, by=claimant)
                return False
            state = switchboard.task_stopped(task, call_id, by=claimant, unknown_after_seconds=0)
            return state is not None and not state.is_ended
    except OpenAIRealtimeError as error:
        report(f"The switchboard cannot be asked to end call {call_id}: {error}")
    try:
        with CallsClient(replace(line.api, timeout_seconds=KILL_REQUEST_SECONDS)) as calls:
            calls.hang_up(call_id)
    except OpenAIRealtimeError as error:
        report(f"Call {call_id} could not be hung up; the switchboard will when its time is over: {error}")
    return False
