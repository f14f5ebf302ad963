"""Declining a ringing call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_openai_realtime.api.sip import DEFAULT_REJECT_STATUS
from airflow_openai_realtime.calls.owner import owner_name
from airflow_openai_realtime.calls.parameters import is_literal, read_integer
from airflow_openai_realtime.calls.witnesses import Account
from airflow_openai_realtime.exceptions import (
    CallAlreadyDecided,
    CallError,
    CallGone,
    OutcomeUnknown,
    SwitchboardError,
)
from airflow_openai_realtime.hooks.realtime import RealtimeHook
from airflow_openai_realtime.operators.call_link import LABEL
from airflow_openai_realtime.operators.call_task import (
    CallTask,
    IfGone,
    call_of,
    check_call,
    report_done,
    settle_gone,
)
from airflow_openai_realtime.states import EndReason, Witness

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_openai_realtime.api.client import CallsClient
    from airflow_openai_realtime.calls.call import SwitchboardCall
    from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient


class RejectCallOperator(CallTask):
    """
    Decline a ringing call with a SIP status.

    The switchboard first notes that this task declines the call. When OpenAI's answer is lost, the task or its retry
    finds that note and succeeds. When the task dies before it has asked OpenAI, the switchboard declines the call.

    Retries: a second try finds the call decided; when it was declined, the task succeeds.

    :param call: The call as ``IncomingCallSensor`` returns it, or its id. Templated.
    :param call_id: Its id alone (``rtc_u1_abc``), instead of ``call``. Templated.
    :param status_code: SIP status the caller gets, 300 to 699; 486 is busy, 603 (default) decline. Templated.
    :param if_gone: What to do when the caller has hung up before: ``succeed`` (default), ``skip`` or ``fail``.
    :param openai_realtime_conn_id: Connection of type ``openai_realtime``. Templated.
    :param map_index_template: Name of a mapped task in Airflow; contact and masked number unless given.
    :return: ``call_id``, ``status_code``, and ``gone``: whether the caller had hung up before.
    :raises CallAlreadyDecided: The call was accepted; end it with ``HangupCallOperator``.
    :raises OutcomeUnknown: No clear answer came.

    Source: https://developers.openai.com/api/reference/resources/realtime/subresources/calls/methods/reject
    """

    template_fields: Sequence[str] = ("call", "call_id", "openai_realtime_conn_id", "status_code")
    masked_fields = ("call",)

    def __init__(
        self,
        *,
        call: Any = None,
        call_id: str | None = None,
        status_code: int | str = DEFAULT_REJECT_STATUS,
        if_gone: IfGone = "succeed",
        openai_realtime_conn_id: str = RealtimeHook.default_conn_name,
        map_index_template: str | None = LABEL,
        **kwargs: Any,
    ) -> None:
        super().__init__(map_index_template=map_index_template, **kwargs)
        self.call = call
        self.call_id = call_id
        self.status_code = status_code
        self.if_gone = if_gone
        self.openai_realtime_conn_id = openai_realtime_conn_id
        check_call(self, if_gone)
        if is_literal(status_code):
            self._status_code()
        self.note_given()

    def execute(self, context: Context) -> dict[str, Any]:
        """Decline the call; see the class."""
        self.check_given()
        call_id = call_of(self).call_id
        status_code, by = self._status_code(), owner_name(context["ti"])
        hook = RealtimeHook(openai_realtime_conn_id=self.openai_realtime_conn_id)
        with hook.clients() as line:
            calls, switchboard = line.calls, line.switchboard
            is_gone = self._decline(calls, switchboard, call_id, status_code, by)
        return {"call_id": call_id, "status_code": status_code, "gone": is_gone}

    def _decline(
        self, calls: CallsClient, switchboard: SwitchboardClient, call_id: str, status_code: int, by: str
    ) -> bool:
        """Decline the call, or find it declined; returns whether its caller had hung up before."""
        from airflow_openai_realtime.api.call_requests import reject_call
        from airflow_openai_realtime.switchboard.client.switchboard_requests import (
            report_ended,
            report_rejected,
            want_decline,
        )

        before = self._find(switchboard, call_id)
        if before is not None and before.state == EndReason.REJECTED:
            self.log.info("Call %s was declined before.", call_id)
            return False
        was_tried = before is not None and (before.end_wanted, before.end_wanted_by) == (EndReason.REJECTED, by)
        report_done(lambda: switchboard.send(want_decline(call_id, by=by, status_code=status_code)), call_id, self.log)
        try:
            calls.send(reject_call(call_id, status_code))
        except CallGone as error:
            if was_tried or error.may_have_happened:
                self.log.info("Call %s is over; it was declined by a request whose answer was lost.", call_id)
                report_done(lambda: switchboard.send(report_rejected(call_id, status_code)), call_id, self.log)
                return False
            gone = Account(Witness.FOUND_GONE, EndReason.GONE)
            report_done(lambda: switchboard.send(report_ended(call_id, gone, too_late_for=by)), call_id, self.log)
            settle_gone(self.if_gone, error, self.log)
            return True
        except CallError as error:
            may_be_ours = was_tried or isinstance(error, OutcomeUnknown)
            if not (may_be_ours and _is_decided(error) and self._is_declined(switchboard, call_id)):
                if not isinstance(error, OutcomeUnknown):
                    report_done(lambda: switchboard.send(want_decline(call_id, by=by, wanted=False)), call_id, self.log)
                raise
            self.log.info("Call %s was declined; the answer to an earlier request was lost.", call_id)
        else:
            self.log.info("Call %s is declined with %s.", call_id, status_code)
        report_done(lambda: switchboard.send(report_rejected(call_id, status_code)), call_id, self.log)
        return False

    def _status_code(self) -> int:
        return read_integer(self.status_code, "status_code", at_least=300, at_most=699)

    def _find(self, switchboard: SwitchboardClient, call_id: str) -> SwitchboardCall | None:
        from airflow_openai_realtime.switchboard.client.switchboard_requests import get_call

        try:
            return switchboard.send(get_call(call_id))
        except SwitchboardError as error:
            self.log.warning("The switchboard does not know how call %s was decided: %s", call_id, error)
            return None

    def _is_declined(self, switchboard: SwitchboardClient, call_id: str) -> bool:
        """Whether a call that OpenAI says is decided was declined: it was not accepted, as far as is known."""
        row = self._find(switchboard, call_id)
        return row is not None and (row.state == EndReason.REJECTED or (not row.is_over and row.accepted_at is None))


def _is_decided(error: CallError) -> bool:
    """Whether OpenAI said that the call was accepted or rejected before."""
    from airflow_openai_realtime.api.call_requests import DECIDED_CODE

    return isinstance(error, CallAlreadyDecided) or error.code == DECIDED_CODE
