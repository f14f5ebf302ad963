"""Ending a call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_openai_realtime.calls.parameters import read_call
from airflow_openai_realtime.exceptions import CallGone, OpenAIRealtimeError
from airflow_openai_realtime.operators.call_operator import CallOperator, IfGone
from airflow_openai_realtime.tasks.template_fields import as_written, check_rendered

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_openai_realtime.hooks.realtime import RealtimeHook

#: What the switchboard is told as the reason.
HUNG_UP = "hung_up"
GONE = "gone"


class HangupCallOperator(CallOperator):
    """
    End a call. Made to be the teardown of ``AcceptCallOperator``, so that the call ends whatever fails in between::

        accept = AcceptCallOperator(task_id="accept", call=sensor.output)
        HangupCallOperator(task_id="hang_up", call=accept.output).as_teardown(setups=accept)

    A switchboard that cannot be reached does not keep the call from being ended.

    Retries: hanging up twice is harmless; a call that is over counts as hung up.

    :param call: The call as ``AcceptCallOperator`` returns it, or its id; without one (the setup was skipped) this task
        is skipped too. Templated.
    :param call_id: Its id alone, instead of ``call``. Templated.
    :param if_gone: When the call is over already: ``succeed`` (default), ``skip`` or ``fail``.
    :param openai_realtime_conn_id: Connection of type ``openai_realtime``. Templated.
    :return: ``call_id``; ``gone``, whether it was over before; ``end_reason``, why it ended as the switchboard knows it
        (``hung_up`` by this task, ``max_duration``, …), or ``None``.
    :raises AuthenticationError: The key was refused.
    :raises ServiceUnavailable: OpenAI did not answer; the switchboard ends the call at its ``hangup_at``.

    Source: https://developers.openai.com/api/reference/resources/realtime/subresources/calls/methods/hangup
    """

    def __init__(self, *, if_gone: IfGone = "succeed", **kwargs: Any) -> None:
        super().__init__(if_gone=if_gone, **kwargs)
        self._written = as_written(self)

    def execute(self, context: Context) -> dict[str, Any]:
        """Hang up; see the class."""
        check_rendered(self)
        reference = read_call(self._plain("call"), self.call_id)
        if reference is None:
            self.skip("There is no call to hang up: the task that would have given it was skipped or returned none.")
        call_id = self.shown_call_id = reference.call_id
        hook = self.hook
        with hook.calls() as calls:
            result = calls.hang_up(call_id)
        self.log.info("Call %s %s.", call_id, "was over already" if result.gone else "is hung up")
        end_reason = self._tell_switchboard(hook, call_id, GONE if result.gone else HUNG_UP)
        if result.gone:
            self.settle_gone(CallGone(f"call {call_id} is over", call_id=call_id))
        return {"call_id": call_id, "gone": result.gone, "end_reason": end_reason}

    def _tell_switchboard(self, hook: RealtimeHook, call_id: str, reason: str) -> str | None:
        from airflow_openai_realtime.calls.accepting import tell_ended

        try:
            with hook.switchboard() as switchboard:
                row = tell_ended(switchboard, call_id, reason, self.report)
        except OpenAIRealtimeError as error:
            self.log.warning("The switchboard could not be told that call %s is over: %s", call_id, error)
            return None
        return row.end_reason if row is not None else None
