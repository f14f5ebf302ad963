"""Waiting for a call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator, PokeReturnValue
from airflow.sdk.exceptions import AirflowSensorTimeout, AirflowSkipException

from airflow_openai_realtime.calls.answer_parameters import check_answer_literals, read_answer_plan, session_as_dict
from airflow_openai_realtime.calls.parameters import SAFE_RETRIES, SAFE_RETRY_DELAY
from airflow_openai_realtime.exceptions import DialError, InvalidInput
from airflow_openai_realtime.hooks.realtime import RealtimeHook
from airflow_openai_realtime.operators.call_link import LABEL, HasCallLink
from airflow_openai_realtime.operators.call_waiting import CallWaiting, IfNotAnswered
from airflow_openai_realtime.operators.limits import refuse_execution_timeout
from airflow_openai_realtime.operators.task_acceptance import KILL_REQUEST_SECONDS
from airflow_openai_realtime.operators.template_fields import (
    RenderedTask,
    as_written,
    check_rendered,
    drop_shared_defaults,
)

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_openai_realtime.api.session.realtime_session import RealtimeSession
    from airflow_openai_realtime.calls.answer_plan import AnswerPlan
    from airflow_openai_realtime.calls.line_settings import SwitchboardAddress
    from airflow_openai_realtime.outbound.carriers.carrier_settings import CarrierSettings


@dataclass(frozen=True)
class _Order:
    """A placed call that is waited for in a worker, and what it takes to take it back."""

    carrier: CarrierSettings
    carrier_call_id: str
    attempt_id: str
    switchboard: SwitchboardAddress


class IncomingCallSensor(CallWaiting, HasCallLink, RenderedTask, BaseSensorOperator):
    """
    Wait for a ringing call, claim it, and return it.

    A claim is exclusive: no other sensor gets the same call. It belongs to the task, not to one try of it: retried or
    cleared, the sensor gets its own call again while that lasts. A call that began to ring shortly before the sensor
    started is found too.

    A caller hears ringing until the call is accepted, so let ``AcceptCallOperator`` follow at once. Or give ``answer``:
    then the call is accepted where it is found, in the triggerer within tens of milliseconds, as by
    ``AnswerCallOperator``.

    For a call that ``PlaceCallOperator`` has placed, give what it returned as ``placed``. The sensor then waits for
    just that call, and asks the carrier how it goes: when nobody answers, the task ends as ``if_not_answered`` says,
    with the outcome in XCom under ``outcome`` and in the ledger.

    Patterns are plain text with ``*`` (any text) and ``?`` (one character).

    :param to: Pattern for the number that was called, E.164. Templated.
    :param from_number: Pattern for the caller's number, E.164. Templated.
    :param headers: Patterns for SIP headers by name. Callers can write what they like into headers. Templated.
    :param placed: What ``PlaceCallOperator`` returned. Templated.
    :param if_not_answered: ``skip`` (default) or ``fail``, when a placed call is not answered.
    :param answer: Session configuration to accept the call with: a ``RealtimeSession`` or a dict of the same shape,
        ``{}`` for OpenAI's defaults. ``None`` (default): the call is only claimed. Templated.
    :param caller_fields: With ``answer``: fields of the call to put into the instructions, by placeholder, as for
        ``AnswerCallOperator``. Templated.
    :param max_duration_seconds: With ``answer``: when the call is ended at the latest, in seconds from accepting, above
        0, at most 3,600. Templated.
    :param openai_realtime_conn_id: Connection of type ``openai_realtime``. Templated.
    :param telephony_carrier_conn_id: Connection of the carrier; that of the placed call when left out. Templated.
    :param deferrable: Wait in the triggerer (default), or in the worker. With ``mode="reschedule"`` always the latter.
    :param timeout: How long to wait, in seconds or as a ``timedelta``; then the task fails, or is skipped with
        ``soft_fail``.
    :param poke_interval: Pause between two looks in the worker, in seconds.
    :param retries: How often Airflow tries again; 3 unless set here or in ``default_args``. A retry costs nobody a
        call, and a busy scheduler can fail a task whose trigger fires soon after it deferred.
    :param retry_delay: Pause before a retry, in seconds or as a ``timedelta``; one second, since a phone may be
        ringing.
    :param map_index_template: What a mapped task is called in Airflow; contact and masked number unless given.
    :return: The call as a dict: ``call_id``, ``from_number``, ``to_number``, ``headers`` (names in lower case),
        ``received_at``, ``claimed_by`` and more; with ``answer`` also ``accepted_at`` and ``hangup_at``.
    :raises InvalidInput: A pattern, ``placed``, ``answer`` or ``caller_fields`` cannot be used.
    :raises AirflowSensorTimeout: No call came in time.
    :raises SwitchboardUnreachable: The switchboard did not answer when the task started.

    Source: https://developers.openai.com/api/docs/guides/webhooks
    """

    template_fields: Sequence[str] = (
        "to",
        "from_number",
        "headers",
        "placed",
        "answer",
        "caller_fields",
        "max_duration_seconds",
        "openai_realtime_conn_id",
        "telephony_carrier_conn_id",
    )
    template_fields_renderers = {"answer": "json", "caller_fields": "json"}
    _order: _Order | None = None

    def __init__(
        self,
        *,
        to: str | None = None,
        from_number: str | None = None,
        headers: Mapping[str, str] | None = None,
        placed: Mapping[str, Any] | str | None = None,
        if_not_answered: IfNotAnswered = "skip",
        answer: RealtimeSession | Mapping[str, Any] | str | None = None,
        caller_fields: Mapping[str, str] | str | None = None,
        max_duration_seconds: float | str = 600,
        openai_realtime_conn_id: str = RealtimeHook.default_conn_name,
        telephony_carrier_conn_id: str | None = None,
        deferrable: bool = True,
        timeout: timedelta | float = 300,
        poke_interval: timedelta | float = 1,
        retries: int | None = SAFE_RETRIES,
        retry_delay: timedelta | float = SAFE_RETRY_DELAY,
        map_index_template: str | None = LABEL,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            timeout=timeout,
            poke_interval=poke_interval,
            retries=retries,
            retry_delay=retry_delay,
            map_index_template=map_index_template,
            **kwargs,
        )
        self.to = to
        self.from_number = from_number
        self.headers = headers
        self.placed = placed
        self.if_not_answered = if_not_answered
        self.answer = session_as_dict(answer)
        self.caller_fields = caller_fields
        self.max_duration_seconds = max_duration_seconds
        self.openai_realtime_conn_id = openai_realtime_conn_id
        self.telephony_carrier_conn_id = telephony_carrier_conn_id
        self.deferrable = deferrable
        if answer is None:
            drop_shared_defaults(self, ["caller_fields"])
        self._check_waiting()
        if deferrable and not self.reschedule:
            refuse_execution_timeout(self, "timeout, which limits the waiting,")
        if answer is not None:
            check_answer_literals({"session": self.answer}, max_duration_seconds, caller_fields)
        elif self.caller_fields is not None:
            raise InvalidInput("caller_fields need answer: without it the call is only claimed", field="caller_fields")
        self._written = as_written(self)

    def execute(self, context: Context) -> Any:
        """Look for a call now, else wait; see the class."""
        check_rendered(self)
        if not self.deferrable or self.reschedule:
            return self._wait_in_worker(context)
        found = self._look(context)
        return found if found is not None else self._defer(context)

    def poke(self, context: Context) -> PokeReturnValue:
        """Look once, from the worker."""
        found = self._look(context)
        if found is None:
            outcome = self._carrier_outcome()
            if outcome is not None:
                # What the carrier says may have been overtaken by the call itself.
                found = self._look(context)
                if found is None:
                    self._not_answered(context, outcome)
        return PokeReturnValue(is_done=found is not None, xcom_value=found)

    def on_kill(self) -> None:
        """Take back the placed call that the sensor waits for in a worker, and end what it is accepting."""
        super().on_kill()
        if self._order is not None:
            self._take_back(replace(self._order.carrier, timeout_seconds=KILL_REQUEST_SECONDS), KILL_REQUEST_SECONDS)

    def _wait_in_worker(self, context: Context) -> Any:
        placed, connection_id = self._placed(), self._carrier_conn_id()
        if placed is not None and placed.carrier_call_id is not None and connection_id is not None:
            from airflow_openai_realtime.hooks.telephony_carrier import TelephonyCarrierHook

            # Looked up before it is needed: a task that is being killed must not ask its supervisor.
            carrier = TelephonyCarrierHook(telephony_carrier_conn_id=connection_id).settings()
            self._order = _Order(carrier, placed.carrier_call_id, placed.attempt_id, self._hook().line().switchboard)
        try:
            return BaseSensorOperator.execute(self, context)
        except (AirflowSensorTimeout, AirflowSkipException):
            if self._order is not None:
                self._take_back(self._order.carrier)
            raise

    def _take_back(self, settings: CarrierSettings, timeout_seconds: float = 10.0) -> None:
        """Cancel the placed call at the carrier, or end it when it was picked up in this moment; note it."""
        from airflow_openai_realtime.outbound.carriers.carrier_settings import dialer_for
        from airflow_openai_realtime.outbound.outcomes import outcome_of
        from airflow_openai_realtime.outbound.placing import note_outcome
        from airflow_openai_realtime.outbound.taking_back import take_back_now
        from airflow_openai_realtime.states import AttemptOutcome
        from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient

        order, self._order = self._order, None
        if order is None:
            return
        with dialer_for(settings) as dialer:
            call = take_back_now(dialer, order.carrier_call_id, self._report)
        if call is None:
            return
        at = order.switchboard
        with SwitchboardClient(at.url, at.token, line=at.line, timeout_seconds=timeout_seconds) as switchboard:
            outcome = outcome_of(call) if call.final else AttemptOutcome.GONE
            note_outcome(switchboard, order.attempt_id, outcome, self._report)

    def _plan(self) -> AnswerPlan | None:
        if self.answer is None:
            return None
        return read_answer_plan({"session": self.answer}, self.max_duration_seconds, self.caller_fields)

    def _carrier_outcome(self) -> str | None:
        placed, connection_id = self._placed(), self._carrier_conn_id()
        if placed is None or connection_id is None:
            return None
        from airflow_openai_realtime.hooks.telephony_carrier import TelephonyCarrierHook
        from airflow_openai_realtime.outbound.placed import carrier_outcome

        try:
            with TelephonyCarrierHook(telephony_carrier_conn_id=connection_id).dialer() as dialer:
                return carrier_outcome(dialer, placed)
        except DialError as error:
            self._report(f"The carrier cannot say how the call goes, trying on: {error}")
            return None
