"""Transferring a live call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from airflow_openai_realtime.api.phone_numbers import mask_numbers
from airflow_openai_realtime.api.sip import canonical_target_uri, check_target_uri
from airflow_openai_realtime.calls.parameters import is_empty, is_literal
from airflow_openai_realtime.calls.witnesses import TRANSFER_WANTED
from airflow_openai_realtime.exceptions import CallError, CallGone, OutcomeUnknown, SwitchboardError
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
from airflow_openai_realtime.states import EndReason

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient

REQUESTED = "requested"


class ReferCallOperator(CallTask):
    """
    Transfer a live call to a phone number or a SIP address.

    A transfer is only *requested*: OpenAI passes it to the carrier, and neither reports whether the
    target answered. Twilio trunks must allow call transfer.

    The switchboard first notes that the transfer is about to be requested, so that a call that ends at once counts as
    transferred.

    Retries: a transfer that was requested is not requested again. When no clear answer came, or the task died before it
    got one, it fails for good, whatever its ``retries``: a second request could transfer the call twice.

    :param target_uri: ``tel:+14155550123``, ``sip:agent@example.com`` or ``sips:…``; empty or ``None`` skips the task,
        so that a list of calls can say for each whether it is transferred. Templated.
    :param call: The call as ``AcceptCallOperator`` returns it, or its id. Templated.
    :param call_id: Its id alone (``rtc_u1_abc``), instead of ``call``. Templated.
    :param if_gone: What to do when the call is over: ``fail`` (default), ``skip`` or ``succeed``.
    :param openai_realtime_conn_id: Connection of type ``openai_realtime``. Templated.
    :param map_index_template: Name of a mapped task in Airflow; contact and masked number unless given.
    :return: ``call_id``, ``transfer`` (``requested``, or ``None`` when the call was over) and ``target``, where a phone
        number is masked.
    :raises InvalidInput: The target is no URI that a call can be transferred to.
    :raises AirflowFailException: No clear answer came: the transfer may have left.

    Source: https://developers.openai.com/api/reference/resources/realtime/subresources/calls/methods/refer
    """

    template_fields: Sequence[str] = ("call", "call_id", "openai_realtime_conn_id", "target_uri")
    masked_fields = ("call",)

    def __init__(
        self,
        *,
        target_uri: str | None,
        call: Any = None,
        call_id: str | None = None,
        if_gone: IfGone = "fail",
        openai_realtime_conn_id: str = RealtimeHook.default_conn_name,
        map_index_template: str | None = LABEL,
        **kwargs: Any,
    ) -> None:
        super().__init__(map_index_template=map_index_template, **kwargs)
        self.target_uri = target_uri
        self.call = call
        self.call_id = call_id
        self.if_gone = if_gone
        self.openai_realtime_conn_id = openai_realtime_conn_id
        check_call(self, if_gone)
        if target_uri and is_literal(target_uri):
            check_target_uri(target_uri)
        self.note_given()

    def execute(self, context: Context) -> dict[str, Any]:
        """Request the transfer; see the class."""
        from airflow_openai_realtime.api.call_requests import refer_call
        from airflow_openai_realtime.switchboard.client.switchboard_requests import (
            report_ended,
            report_referred,
            want_transfer,
        )

        self.check_given()
        if self.target_uri is None or is_empty(self.target_uri):
            raise AirflowSkipException("there is no target_uri: this call is not transferred")
        call_id = call_of(self).call_id
        target_uri = canonical_target_uri(self.target_uri)
        result = {"call_id": call_id, "transfer": REQUESTED, "target": mask_numbers(target_uri)}
        hook = RealtimeHook(openai_realtime_conn_id=self.openai_realtime_conn_id)
        with hook.clients() as line:
            calls, switchboard = line.calls, line.switchboard
            if self._was_requested(switchboard, call_id, target_uri):
                self.log.info("The transfer of call %s was requested before; not again.", call_id)
                return result
            report_done(lambda: switchboard.send(want_transfer(call_id, target_uri)), call_id, self.log)
            try:
                calls.send(refer_call(call_id, target_uri))
            except OutcomeUnknown as error:
                # Airflow must not try again.
                raise AirflowFailException(str(error)) from error
            except CallError as error:
                report_done(
                    lambda: switchboard.send(report_referred(call_id, target_uri, requested=False)), call_id, self.log
                )
                if not isinstance(error, CallGone):
                    raise
                report_done(lambda: switchboard.send(report_ended(call_id, EndReason.GONE)), call_id, self.log)
                settle_gone(self.if_gone, error, self.log)
                return {**result, "transfer": None}
            report_done(lambda: switchboard.send(report_referred(call_id, target_uri)), call_id, self.log)
        self.log.info("The transfer of call %s to %s is requested.", call_id, result["target"])
        return result

    def _was_requested(self, switchboard: SwitchboardClient, call_id: str, target_uri: str) -> bool:
        """
        Tell whether an earlier try requested this transfer.

        :raises AirflowFailException: It was about to, and died: the transfer may have left.
        """
        from airflow_openai_realtime.switchboard.client.switchboard_requests import get_call

        try:
            row = switchboard.send(get_call(call_id))
        except SwitchboardError:
            return False
        if row.target_uri != target_uri:
            return False
        if row.transfer_state == TRANSFER_WANTED:
            raise AirflowFailException(
                f"the transfer of call {call_id} may have been requested by an earlier try of this task, which died "
                "before it knew; it is not requested again, since that could transfer the call twice"
            )
        return True
