"""Ending a call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_openai_realtime.calls.owner import claimant_of
from airflow_openai_realtime.calls.parameters import read_call
from airflow_openai_realtime.exceptions import CallGone, OpenAIRealtimeError
from airflow_openai_realtime.hooks.realtime import RealtimeHook
from airflow_openai_realtime.operators.call_link import LABEL
from airflow_openai_realtime.operators.call_task import CallTask
from airflow_openai_realtime.operators.given_call import IfGone, check_call, check_if_gone, settle_gone, skip

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_openai_realtime.calls.call import SwitchboardCall
    from airflow_openai_realtime.inbound.ending_now import EndedNow

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
        check_call(self)
        check_if_gone(if_gone)
        self.note_given()

    def execute(self, context: Context) -> dict[str, Any]:
        """Hang up; see the class."""
        self.check_given()
        reference = read_call(self.plain("call"), self.call_id)
        if reference is None:
            skip(
                "There is no call to hang up: the task that would have given it was skipped or returned none.", self.log
            )
        call_id = self.shown_call_id = reference.call_id
        hook, by = RealtimeHook(openai_realtime_conn_id=self.openai_realtime_conn_id), claimant_of(context["ti"])
        row = self._intend(hook, call_id, by)
        ended = self._end(hook, call_id, row)
        told = self._tell_end(hook, call_id, by, ended) if row is None or not row.is_over else row
        end_reason = told.end_reason if told is not None else None
        if ended.gone:
            settle_gone(self.if_gone, CallGone(f"call {call_id} is over", call_id=call_id), self.log)
        return {"call_id": call_id, "gone": ended.gone, "declined": ended.declined, "end_reason": end_reason}

    def _intend(self, hook: RealtimeHook, call_id: str, by: str) -> SwitchboardCall | None:
        """Note who ends the call, before it is ended; ``None``: the switchboard does not know the call, or is away."""
        from airflow_openai_realtime.switchboard.client.switchboard_requests import end_call

        try:
            with hook.switchboard() as switchboard:
                return switchboard.send(end_call(call_id, reason=HUNG_UP, by=by, acting=True))
        except OpenAIRealtimeError as error:
            self.log.warning("Could not report to the switchboard that call %s is being ended: %s", call_id, error)
            return None

    def _end(self, hook: RealtimeHook, call_id: str, row: SwitchboardCall | None) -> EndedNow:
        from airflow_openai_realtime.inbound.ending_now import EndedNow, end_now

        if row is not None and row.is_over:
            self.log.info("Call %s was over already.", call_id)
            return EndedNow(gone=True)
        with hook.calls() as calls:
            ended = end_now(calls, call_id, row)
        what = "only rang: it is declined" if ended.declined else "was over already" if ended.gone else "is hung up"
        self.log.info("Call %s %s.", call_id, what)
        return ended

    def _tell_end(self, hook: RealtimeHook, call_id: str, by: str, ended: EndedNow) -> SwitchboardCall | None:
        from airflow_openai_realtime.inbound.ending_now import tell_ended_now

        try:
            with hook.switchboard() as switchboard:
                return tell_ended_now(switchboard, call_id, ended, HUNG_UP, by)
        except OpenAIRealtimeError as error:
            self.log.warning("Could not report to the switchboard that call %s is over: %s", call_id, error)
            return None
