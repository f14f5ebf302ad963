"""Transferring a live call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from airflow_openai_realtime.api.phone_numbers import mask_numbers
from airflow_openai_realtime.api.sip import canonical_target_uri, check_target_uri
from airflow_openai_realtime.calls.given import is_empty
from airflow_openai_realtime.calls.parameters import is_literal
from airflow_openai_realtime.calls.witnesses import TRANSFER_WANTED
from airflow_openai_realtime.exceptions import CallError, CallGone, OutcomeUnknown, SwitchboardError
from airflow_openai_realtime.operators.call_operator import CallOperator, IfGone
from airflow_openai_realtime.operators.template_fields import as_written, check_rendered
from airflow_openai_realtime.states import EndReason

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient

REQUESTED = "requested"


class ReferCallOperator(CallOperator):
    """
    Transfer a live call to a phone number or a SIP address.

    A transfer is only *requested*: OpenAI hands it to the carrier and hears no more. Nobody learns here whether anybody
    answered there. Twilio trunks must allow call transfer.

    The switchboard first notes that the transfer is about to be requested, so that a call that ends at once counts as
    transferred.

    Retries: a transfer that was requested is not requested again. When no clear answer came, or the task died before it
    got one, it fails for good, whatever its ``retries``: a second request could transfer the call twice.

    :param call: The call as ``AcceptCallOperator`` returns it, or its id. Templated.
    :param call_id: Its id alone, instead of ``call``. Templated.
    :param target_uri: ``tel:+14155550123``, ``sip:agent@example.com`` or ``sips:…``; empty or ``None`` skips the
        task, so that a list of calls can say for each whether it is transferred. Templated.
    :param if_gone: When the call is over: ``fail`` (default), ``skip`` or ``succeed``.
    :param openai_realtime_conn_id: Connection of type ``openai_realtime``. Templated.
    :return: ``call_id``, ``transfer`` (``requested``, or ``None`` when the call was over) and ``target``, where a phone
        number is masked.
    :raises InvalidInput: The target is no URI that a call can be transferred to.
    :raises AirflowFailException: No clear answer came: the transfer may have left.

    Source: https://developers.openai.com/api/reference/resources/realtime/subresources/calls/methods/refer
    """

    template_fields: Sequence[str] = (*CallOperator.template_fields, "target_uri")

    def __init__(self, *, target_uri: str | None, if_gone: IfGone = "fail", **kwargs: Any) -> None:
        super().__init__(if_gone=if_gone, **kwargs)
        self.target_uri = target_uri
        if target_uri and is_literal(target_uri):
            check_target_uri(target_uri)
        self._written = as_written(self)

    def execute(self, context: Context) -> dict[str, Any]:
        """Request the transfer; see the class."""
        check_rendered(self)
        if self.target_uri is None or is_empty(self.target_uri):
            raise AirflowSkipException("there is no target_uri: this call is not transferred")
        call_id = self.reference().call_id
        target_uri = canonical_target_uri(self.target_uri)
        result = {"call_id": call_id, "transfer": REQUESTED, "target": mask_numbers(target_uri)}
        hook = self.hook
        hook.line()
        with hook.calls() as calls, hook.switchboard() as switchboard:
            if self._was_requested(switchboard, call_id, target_uri):
                self.log.info("The transfer of call %s was requested before; not again.", call_id)
                return result
            self._tell(lambda: switchboard.want_transfer(call_id, target_uri), call_id)
            try:
                calls.refer(call_id, target_uri)
            except OutcomeUnknown as error:
                # Airflow must not try again.
                raise AirflowFailException(str(error)) from error
            except CallError as error:
                self._tell(lambda: switchboard.referred(call_id, target_uri, requested=False), call_id)
                if not isinstance(error, CallGone):
                    raise
                self._tell(lambda: switchboard.ended(call_id, EndReason.GONE), call_id)
                self.settle_gone(error)
                return {**result, "transfer": None}
            self._tell(lambda: switchboard.referred(call_id, target_uri), call_id)
        self.log.info("The transfer of call %s to %s is requested.", call_id, result["target"])
        return result

    def _was_requested(self, switchboard: SwitchboardClient, call_id: str, target_uri: str) -> bool:
        """
        Tell whether an earlier try requested this transfer.

        :raises AirflowFailException: It was about to, and died: the transfer may have left.
        """
        try:
            row = switchboard.call(call_id)
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
