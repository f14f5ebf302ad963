"""Ending a call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from airflow_openai_realtime.calls.owner import owner_name
from airflow_openai_realtime.calls.parameters import read_call
from airflow_openai_realtime.exceptions import CallGone
from airflow_openai_realtime.hooks.realtime import RealtimeHook
from airflow_openai_realtime.operators.call_link import LABEL
from airflow_openai_realtime.operators.call_task import CallTask, IfGone, check_call, settle_gone, skip

if TYPE_CHECKING:
    from airflow.sdk import Context

#: The reason that the switchboard gets.
HUNG_UP = "hung_up"


class HangupCallOperator(CallTask):
    """
    End a call. Made to be the teardown of ``AcceptCallOperator``, so that the call ends whatever fails in between::

        accept = AcceptCallOperator(task_id="accept", call=sensor.output)
        HangupCallOperator(task_id="hang_up", call=accept.output).as_teardown(setups=accept)

    A call that only rings is declined with 603: the phone stops ringing, and no task can answer the call any more.

    The switchboard first notes who ends the call and why. So a task that watches the call sees ``completed`` with the
    reason ``hung_up``, and when this task dies on the way, the switchboard ends the call. When the switchboard cannot
    be reached, the task ends the call nevertheless.

    Retries: hanging up twice is harmless; a call that is over counts as hung up.

    :param call: The call as ``AcceptCallOperator`` returns it, or its id; without one (the setup was skipped) this task
        is skipped too. Templated.
    :param call_id: Its id alone (``rtc_u1_abc``), instead of ``call``. Templated.
    :param if_gone: What to do when the call is over already: ``succeed`` (default), ``skip`` or ``fail``.
    :param openai_realtime_conn_id: Connection of type ``openai_realtime``. Templated.
    :param map_index_template: Name of a mapped task in Airflow; contact and masked number unless given.
    :return: ``call_id``; ``gone``, whether it was over before; ``declined``, whether it only rang; ``end_reason``, why
        it ended as the switchboard knows it (``hung_up`` by this task, ``max_duration``, …), or ``None``.
    :raises AuthenticationError: The key was refused.
    :raises ServiceUnavailable: OpenAI did not answer; the switchboard goes on trying.

    Source: https://developers.openai.com/api/reference/resources/realtime/subresources/calls/methods/hangup
    """

    template_fields: Sequence[str] = ("call", "call_id", "openai_realtime_conn_id")
    masked_fields = ("call",)

    def __init__(
        self,
        *,
        call: Any = None,
        call_id: str | None = None,
        if_gone: IfGone = "succeed",
        openai_realtime_conn_id: str = RealtimeHook.default_conn_name,
        map_index_template: str | None = LABEL,
        **kwargs: Any,
    ) -> None:
        super().__init__(map_index_template=map_index_template, **kwargs)
        self.call = call
        self.call_id = call_id
        self.if_gone = if_gone
        self.openai_realtime_conn_id = openai_realtime_conn_id
        check_call(self, if_gone)
        self.note_given()

    def execute(self, context: Context) -> dict[str, Any]:
        """Hang up; see the class."""
        from airflow_openai_realtime.calls.acceptance import run_steps
        from airflow_openai_realtime.inbound.ending_now import ending_now

        self.check_given()
        reference = read_call(self.plain("call"), self.call_id)
        if reference is None:
            skip(
                "There is no call to hang up: the task that would have given it was skipped or returned none.", self.log
            )
        call_id = self.shown_call_id = reference.call_id
        hook = RealtimeHook(openai_realtime_conn_id=self.openai_realtime_conn_id)
        ended = run_steps(ending_now(call_id, HUNG_UP, owner_name(context["ti"]), self._warn), hook.send)
        what = "only rang: it is declined" if ended.declined else "was over already" if ended.gone else "is hung up"
        self.log.info("Call %s %s.", call_id, what)
        if ended.gone:
            settle_gone(self.if_gone, CallGone(f"call {call_id} is over", call_id=call_id), self.log)
        return {"call_id": call_id, **asdict(ended)}

    def _warn(self, line: str) -> None:
        self.log.warning("%s", line)
