"""Accepting a ringing call, and perhaps staying with it until it is over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowFailException

from airflow_openai_realtime.exceptions import (
    AcceptFailed,
    CallAlreadyDecided,
    CallGone,
    SwitchboardUnreachable,
    UnknownCall,
)
from airflow_openai_realtime.operators.call_operator import CallOperator, IfGone
from airflow_openai_realtime.operators.conversation_operator import ConversationOperator
from airflow_openai_realtime.operators.session_operator import SessionOperator
from airflow_openai_realtime.operators.template_fields import as_written, check_rendered

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_openai_realtime.calls.answer_plan import AnswerPlan
    from airflow_openai_realtime.calls.call import SwitchboardCall
    from airflow_openai_realtime.calls.parameters import CallReference
    from airflow_openai_realtime.conversation.wanted_conversation import WantedConversation
    from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient


class AcceptCallOperator(CallOperator, SessionOperator, ConversationOperator):
    """
    Accept a ringing call: from now on the model talks with the caller.

    The session is given whole (``session``), by its common fields, or both, where they do not contradict each other.
    All parameters of the session, ``caller_fields`` and ``max_duration_seconds`` are those of
    :class:`~airflow_openai_realtime.operators.session_operator.SessionOperator`.

    With ``wait_for_end`` the task stays with the call, in the triggerer, and returns what came of it. What happens in
    the call, ``greeting``, ``result_model`` and so on, are the parameters of
    :class:`~airflow_openai_realtime.operators.conversation_operator.ConversationOperator`.

    Every accepted call has an end: before OpenAI is asked, the switchboard stores when the call must be over, and ends
    it then, whichever process dies. When the task is killed while it accepts the call, the call ends; when it is
    cleared, the call waits a minute for the next try.

    When OpenAI refuses the accept (a wrong key, a session that it does not take), the task fails and the phone rings
    on: a retry, another sensor or a fallback order may take the call. On 429, 5xx and without a connection it is asked
    again as long as the phone rings. When no clear answer came, the call's sideband tells whether it was accepted.

    Retries: another try of this task (or of a cleared run) accepts nothing twice. When an earlier try has accepted the
    call, the task succeeds with that call. An answer "already decided" counts as that too if an earlier try may have
    asked OpenAI; otherwise another client decided, and the task fails and leaves the call alone.
    With ``wait_for_end`` it attaches to that call again; when it is over by now, it returns its result.

    :param call: The call as ``IncomingCallSensor`` returns it, or its id. Templated.
    :param call_id: Its id alone, instead of ``call``. Then a claim by a task of the same DAG run is used. Templated.
    :param if_gone: When the caller has hung up before: ``skip`` (default), ``succeed`` or ``fail``.
    :param openai_realtime_conn_id: Connection of type ``openai_realtime``. Templated.
    :return: The call as a dict, with ``accepted_at`` and ``hangup_at``. With ``wait_for_end`` the result of the call,
        as :class:`~airflow_openai_realtime.calls.result.CallResult` describes it.
    :raises InvalidInput: A value cannot be used; nothing was sent. ``InvalidSession`` names all that is wrong.
    :raises AirflowFailException: A retry cannot help: the call could not be accepted while it rang, and is over; or,
        with ``wait_for_end``, another owner has it.
    :raises CallError: It was not accepted. The phone rings on, or that is not known and the call is kept for a retry.
    :raises SwitchboardUnreachable: Nothing was sent to OpenAI.

    Source: https://developers.openai.com/api/reference/resources/realtime/subresources/calls/methods/accept
    """

    template_fields: Sequence[str] = (
        *CallOperator.template_fields,
        *SessionOperator.template_fields,
        *ConversationOperator.template_fields,
    )
    template_fields_renderers = {
        **SessionOperator.template_fields_renderers,
        **ConversationOperator.template_fields_renderers,
    }

    def __init__(self, *, if_gone: IfGone = "skip", **kwargs: Any) -> None:
        super().__init__(if_gone=if_gone, **kwargs)
        self._written = as_written(self)

    def execute(self, context: Context) -> dict[str, Any]:
        """Accept the call; see the class."""
        check_rendered(self)
        reference = self.reference()
        plan = self._answer_plan()
        self.shown_call_id = reference.call_id
        if not self.wait_for_end:
            from airflow_openai_realtime.outbound.placed import about_given

            call = self._plain("call")
            try:
                return {**self._accept(context, reference, plan).to_dict(), **about_given(call)}
            except CallGone as error:
                self.settle_gone(error)
                given = call if isinstance(call, dict) else {}
                return {**given, "call_id": reference.call_id, "state": "ended", "end_reason": "gone"}
        wanted = self._conversation()
        return self._accept_and_wait(context, reference, wanted.answered_with(plan), wanted)

    def _accept_and_wait(
        self, context: Context, reference: CallReference, plan: AnswerPlan, wanted: WantedConversation
    ) -> dict[str, Any]:
        with self.hook.switchboard() as switchboard:
            before = _accepted_before(switchboard, reference.call_id)
            if before is not None and before.is_over:
                return self._finished(context, switchboard, before)
            try:
                call = self._accept(context, reference, plan)
            except CallGone as error:
                self.settle_gone(error)
                return self._finished(context, switchboard, switchboard.call(reference.call_id))
            except CallAlreadyDecided as error:
                # Another owner has it: a retry would only find it gone.
                raise AirflowFailException(str(error)) from error
        return self._run_in_triggerer(context, wanted, call)

    def _accept(self, context: Context, reference: CallReference, plan: AnswerPlan) -> SwitchboardCall:
        from airflow_openai_realtime.calls.task_states import reference_to
        from airflow_openai_realtime.inbound.accepting import accepting_claimant

        hook = self.hook
        line = hook.line()
        with hook.calls() as calls, hook.switchboard() as switchboard:
            try:
                claimant = accepting_claimant(reference, context["ti"], switchboard)
                self._task = reference_to(context["ti"])
                acceptance = self._acceptance(line, calls, switchboard, reference.call_id, claimant)
                call = acceptance.accept(plan.session_for, plan.max_duration_seconds)
            except AcceptFailed as error:
                # Not skipped as a caller's end: the failure is ours. But the phone rings no more.
                raise AirflowFailException(str(error)) from error
            except SwitchboardUnreachable as error:
                raise SwitchboardUnreachable(
                    f"call {reference.call_id} was not accepted: the switchboard, which would end it in time, does not "
                    f"answer. {error}",
                    call_id=reference.call_id,
                    status=error.status,
                ) from error
        self.log.info("Call %s is accepted; it is ended at %s at the latest.", call.call_id, call.hangup_at)
        return call


def _accepted_before(switchboard: SwitchboardClient, call_id: str) -> SwitchboardCall | None:
    """Return a call that was accepted before, by whomever; it may be over."""
    try:
        call = switchboard.call(call_id)
    except UnknownCall:
        return None
    return call if call.accepted_at is not None else None
