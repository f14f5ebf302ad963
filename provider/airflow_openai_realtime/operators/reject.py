"""Declining a ringing call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_openai_realtime.api.sip import DEFAULT_REJECT_STATUS
from airflow_openai_realtime.calls.parameters import is_literal, read_integer
from airflow_openai_realtime.exceptions import CallAlreadyDecided, CallGone, SwitchboardError
from airflow_openai_realtime.operators.call_operator import CallOperator, IfGone
from airflow_openai_realtime.tasks.template_fields import as_written, check_rendered

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_openai_realtime.switchboard.client import SwitchboardClient


class RejectCallOperator(CallOperator):
    """
    Decline a ringing call with a SIP status.

    Retries: a second try finds the call decided; when the switchboard knows that it was declined, the task succeeds.

    :param call: The call as ``IncomingCallSensor`` returns it, or its id. Templated.
    :param call_id: Its id alone, instead of ``call``. Templated.
    :param status_code: SIP status the caller gets, 300 to 699; 486 is busy, 603 (default) decline. Templated.
    :param if_gone: When the caller has hung up before: ``succeed`` (default), ``skip`` or ``fail``.
    :param openai_realtime_conn_id: Connection of type ``openai_realtime``. Templated.
    :return: ``call_id``, ``status_code``, and ``gone``: whether the caller had hung up before.
    :raises CallAlreadyDecided: The call was accepted; end it with ``HangupCallOperator``.
    :raises OutcomeUnknown: No clear answer came.

    Source: https://developers.openai.com/api/reference/resources/realtime/subresources/calls/methods/reject
    """

    template_fields: Sequence[str] = (*CallOperator.template_fields, "status_code")

    def __init__(
        self, *, status_code: int | str = DEFAULT_REJECT_STATUS, if_gone: IfGone = "succeed", **kwargs: Any
    ) -> None:
        super().__init__(if_gone=if_gone, **kwargs)
        self.status_code = status_code
        if is_literal(status_code):
            self._status_code()
        self._written = as_written(self)

    def execute(self, context: Context) -> dict[str, Any]:
        """Decline the call; see the class."""
        check_rendered(self)
        call_id = self.reference().call_id
        status_code = self._status_code()
        hook = self.hook
        hook.line()
        with hook.calls() as calls, hook.switchboard() as switchboard:
            try:
                calls.reject(call_id, status_code)
            except CallGone as error:
                self._tell(lambda: switchboard.ended(call_id, "gone"), call_id)
                self.settle_gone(error)
                return {"call_id": call_id, "status_code": status_code, "gone": True}
            except CallAlreadyDecided:
                if not self._was_rejected(switchboard, call_id):
                    raise
                self.log.info("Call %s was declined by an earlier try of this task.", call_id)
            else:
                self.log.info("Call %s is declined with %s.", call_id, status_code)
                self._tell(lambda: switchboard.rejected(call_id, status_code), call_id)
        return {"call_id": call_id, "status_code": status_code, "gone": False}

    def _status_code(self) -> int:
        return read_integer(self.status_code, "status_code", at_least=300, at_most=699)

    def _was_rejected(self, switchboard: SwitchboardClient, call_id: str) -> bool:
        try:
            return switchboard.call(call_id).state == "rejected"
        except SwitchboardError as error:
            self.log.warning("The switchboard does not know how call %s was decided: %s", call_id, error)
            return False
