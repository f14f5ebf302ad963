"""Waiting for a call, answering it in the triggerer, and perhaps staying with it until it is over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSensorTimeout, AirflowSkipException

from airflow_openai_realtime.operators.call_waiting import CallWaiting, IfNotAnswered
from airflow_openai_realtime.operators.conversation_operator import ConversationOperator
from airflow_openai_realtime.operators.session_operator import SessionOperator
from airflow_openai_realtime.operators.template_fields import as_written, check_rendered
from airflow_openai_realtime.operators.waiting_operator import WaitingOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_openai_realtime.calls.answer_plan import AnswerPlan


class AnswerCallOperator(CallWaiting, WaitingOperator, SessionOperator, ConversationOperator):
    """
    Wait for a call and accept it in the triggerer, tens of milliseconds after it began to ring.

    Session and instructions are rendered and checked when the task starts, before anybody calls. So no worker and no
    scheduler stands between the ring and the accept. What only the call itself tells gets into the instructions by
    ``caller_fields``. All parameters of the session, ``caller_fields`` and ``max_duration_seconds`` are those of
    :class:`~airflow_openai_realtime.operators.session_operator.SessionOperator`; which calls match, and what happens
    with a placed call that nobody answers, is as for ``IncomingCallSensor``.

    One task answers one call. A call that rings when the task starts is accepted at once, in the worker. A call that is
    gone when it is to be accepted is passed over, and the waiting goes on. As with ``AcceptCallOperator``, no call is
    left running that nobody watches: let ``WatchCallOperator`` follow, and ``HangupCallOperator`` as teardown.

    Or give ``wait_for_end``: the trigger that has answered stays with the call, and the task returns what came of it.
    What happens in the call, ``greeting``, ``result_model`` and so on, are the parameters of
    :class:`~airflow_openai_realtime.operators.conversation_operator.ConversationOperator`.

    When the task is marked as failed or successful while it has the call, the call ends; when it is cleared, the call
    waits a minute for the next try (Airflow 3.3 and later; with 3.2 the switchboard ends it at ``hangup_at``). A placed
    call that still rings is canceled at the carrier.

    Retries: the call belongs to the task, not to one try of it. Retried, cleared or moved to another triggerer, it
    finds the call that it has accepted and returns it, while that lasts; it accepts nothing twice and takes no second
    call. With ``wait_for_end`` it goes on with that call; when it is over by now, it returns its result.

    :param to: Pattern for the number that was called, E.164. Templated.
    :param from_number: Pattern for the caller's number, E.164. Templated.
    :param headers: Patterns for SIP headers by name. Callers can write what they like into headers. Templated.
    :param placed: What ``PlaceCallOperator`` returned, to wait for that call alone. Templated.
    :param if_not_answered: ``skip`` (default) or ``fail``, when a placed call is not answered.
    :param openai_realtime_conn_id: Connection of type ``openai_realtime``. Templated.
    :param telephony_carrier_conn_id: Connection of the carrier; that of the placed call when left out. Templated.
    :param timeout: How long to wait, in seconds or as a ``timedelta``; then the task fails without a retry, or is
        skipped with ``soft_fail``.
    :param soft_fail: Whether the task is skipped when no call came in time.
    :param retries: How often Airflow tries again; 3 unless set here or in ``default_args``. A retry loses no
        call, and a busy scheduler can fail a task whose trigger fires soon after it deferred.
    :param retry_delay: Pause before a retry, in seconds or as a ``timedelta``; one second, since a phone may be
        ringing.
    :return: The accepted call as a dict: as ``IncomingCallSensor`` returns it, with ``accepted_at`` and ``hangup_at``.
        With ``wait_for_end`` the result of the call, as
        :class:`~airflow_openai_realtime.calls.result.CallResult` describes it.
    :raises InvalidInput: A value cannot be used; nothing was sent. ``InvalidSession`` names all that is wrong.
    :raises AirflowSensorTimeout: No call came in time.
    :raises CallError: A call was not accepted. It rings on for others, or that is not known and it is kept; a retry
        continues with it, or waits for the next one.
    :raises SwitchboardUnreachable: The switchboard did not answer when the task started.

    Source: https://developers.openai.com/api/reference/resources/realtime/subresources/calls/methods/accept
    """

    template_fields: Sequence[str] = (
        *WaitingOperator.template_fields,
        "placed",
        *SessionOperator.template_fields,
        *ConversationOperator.template_fields,
        "telephony_carrier_conn_id",
    )
    template_fields_renderers = {
        **SessionOperator.template_fields_renderers,
        **ConversationOperator.template_fields_renderers,
    }
    ui_color = "#e8f3ee"

    def __init__(
        self,
        *,
        placed: Mapping[str, Any] | str | None = None,
        if_not_answered: IfNotAnswered = "skip",
        telephony_carrier_conn_id: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.placed = placed
        self.if_not_answered = if_not_answered
        self.telephony_carrier_conn_id = telephony_carrier_conn_id
        self._check_waiting()
        self._written = as_written(self)

    def execute(self, context: Context) -> dict[str, Any]:
        """Answer a call that rings already, else wait for one in the triggerer; see the class."""
        check_rendered(self)
        found = self._look(context)
        return found if found is not None else self._defer(context)

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the call that the trigger has accepted, or what came of it."""
        try:
            return super().execute_complete(context, event)
        except AirflowSensorTimeout as error:
            if self.soft_fail:
                raise AirflowSkipException(str(error)) from error
            raise

    def _plan(self) -> AnswerPlan:
        return self._answer_plan()
