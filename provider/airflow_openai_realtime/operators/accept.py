"""Accepting a ringing call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_openai_realtime.exceptions import CallGone, SwitchboardUnreachable
from airflow_openai_realtime.operators.call_operator import CallOperator, IfGone
from airflow_openai_realtime.tasks.session_operator import SessionOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class AcceptCallOperator(CallOperator, SessionOperator):
    """
    Accept a ringing call: from now on the model talks with the caller.

    The session is given whole (``session``), by its common fields, or both, where they do not contradict each other.
    All parameters of the session, ``caller_fields`` and ``max_duration_seconds`` are those of
    :class:`~airflow_openai_realtime.tasks.session_operator.SessionOperator`.

    No call is left running that nobody watches: before OpenAI is asked, the switchboard knows when the call must be
    over, and ends it then whatever dies. When accepting fails, or the task is killed while it works, the call is hung
    up.

    Retries: another try of this task (or of a cleared run) accepts nothing twice. When an earlier try has accepted the
    call, the task succeeds with that call. An answer "already decided" counts as that too, if an earlier try had come
    as far as asking OpenAI; otherwise somebody else decided, and the task fails and leaves the call alone.

    :param call: The call as ``IncomingCallSensor`` returns it, or its id. Templated.
    :param call_id: Its id alone, instead of ``call``. Then a claim by a task of the same DAG run is used. Templated.
    :param if_gone: When the caller has hung up before: ``skip`` (default), ``succeed`` or ``fail``.
    :param openai_realtime_conn_id: Connection of type ``openai_realtime``. Templated.
    :return: The call as a dict, with ``accepted_at`` and ``hangup_at``.
    :raises InvalidInput: A value cannot be used; nothing was sent. ``InvalidSession`` names all that is wrong.
    :raises SwitchboardUnreachable: Nothing was sent to OpenAI.

    Source: https://developers.openai.com/api/reference/resources/realtime/subresources/calls/methods/accept
    """

    template_fields: Sequence[str] = (*CallOperator.template_fields, *SessionOperator.template_fields)

    def __init__(self, *, if_gone: IfGone = "skip", **kwargs: Any) -> None:
        super().__init__(if_gone=if_gone, **kwargs)

    def execute(self, context: Context) -> dict[str, Any]:
        """Accept the call; see the class."""
        from airflow_openai_realtime.calls.accepting import accepting_claimant

        reference = self.reference()
        plan = self._answer_plan()
        hook = self.hook
        line = hook.line()
        with hook.calls() as calls, hook.switchboard() as switchboard:
            try:
                claimant = accepting_claimant(reference, context["ti"], switchboard)
                acceptance = self._acceptance(line, calls, switchboard, reference.call_id, claimant)
                call = acceptance.accept(plan.session_for, plan.max_duration_seconds)
            except CallGone as error:
                self.settle_gone(error)
                given = self.call if isinstance(self.call, dict) else {}
                return {**given, "call_id": reference.call_id, "state": "ended", "end_reason": "gone"}
            except SwitchboardUnreachable as error:
                raise SwitchboardUnreachable(
                    f"call {reference.call_id} was not accepted: the switchboard, which would end it in time, does not "
                    f"answer. {error}",
                    call_id=reference.call_id,
                    status=error.status,
                ) from error
        self.log.info("Call %s is accepted; it is ended at %s at the latest.", call.call_id, call.hangup_at)
        return call.to_dict()
