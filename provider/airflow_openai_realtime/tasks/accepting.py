"""Accepting a call in a task that may be killed while it does so."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_openai_realtime.exceptions import OpenAIRealtimeError
from airflow_openai_realtime.hooks.session_secrets import hide_session_secrets

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_openai_realtime.api.client import CallsClient
    from airflow_openai_realtime.calls.accepting import Acceptance
    from airflow_openai_realtime.hooks.realtime import LineSettings
    from airflow_openai_realtime.switchboard.client import SwitchboardClient

#: Limit for one request while the task is being killed, in seconds: Airflow kills it for good after five.
KILL_REQUEST_SECONDS = 2.0


class AcceptingTask:
    """For tasks that accept calls: hides credentials; killed while it accepts a call, the task hangs it up."""

    log: Any
    _stopped = False
    _line: LineSettings | None = None
    _under_way: Acceptance | None = None

    def on_kill(self) -> None:
        """
        Hang up the call when the task is killed while it accepts it.

        Airflow calls this from a signal handler and goes on with what was interrupted: so a flag is left for that, and
        nothing is used that it may hold (clients, the supervisor's channel).
        """
        self._stopped = True
        if self._under_way is None or self._line is None or not self._under_way.is_ours:
            return
        call_id = self._under_way.call_id
        self.log.warning("The task is killed while it accepts call %s: hanging up.", call_id)
        _hang_up_now(self._line, call_id, self.report)

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
    ) -> Acceptance:
        """Begin to accept a call; from now on a kill is about it."""
        from airflow_openai_realtime.calls.accepting import Acceptance

        self._line = line
        self._under_way = Acceptance(
            calls=calls,
            switchboard=switchboard,
            call_id=call_id,
            claimant=claimant,
            report=self.report,
            is_stopped=lambda: self._stopped,
            is_sole=is_sole,
        )
        return self._under_way


def _hang_up_now(line: LineSettings, call_id: str, report: Callable[[str], None]) -> None:
    from airflow_openai_realtime.api.client import CallsClient
    from airflow_openai_realtime.calls.accepting import STOPPED, tell_ended
    from airflow_openai_realtime.switchboard.client import SwitchboardClient

    try:
        with CallsClient(replace(line.api, timeout_seconds=KILL_REQUEST_SECONDS)) as calls:
            calls.hang_up(call_id)
        at = line.switchboard
        with SwitchboardClient(at.url, at.token, line=at.line, timeout_seconds=KILL_REQUEST_SECONDS) as switchboard:
            tell_ended(switchboard, call_id, STOPPED, report)
    except OpenAIRealtimeError as error:
        report(f"Call {call_id} could not be hung up; the switchboard will when its time is over: {error}")
