"""Waiting for a call."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, NoReturn, get_args

from airflow.sdk import BaseSensorOperator, PokeReturnValue
from airflow.sdk.exceptions import AirflowFailException, AirflowSensorTimeout, AirflowSkipException

from airflow_openai_realtime.api.sip import CORRELATION_HEADER
from airflow_openai_realtime.calls.claimant import claimant_of
from airflow_openai_realtime.calls.parameters import SAFE_RETRIES, SAFE_RETRY_DELAY, is_literal, read_mapping
from airflow_openai_realtime.exceptions import DialError, InvalidInput, SwitchboardRefused
from airflow_openai_realtime.hooks.realtime import RealtimeHook

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_openai_realtime.calls.placed import PlacedReference
    from airflow_openai_realtime.switchboard.client import SwitchboardClient
    from airflow_openai_realtime.switchboard.matching import CallMatch
    from airflow_openai_realtime.switchboard.records import SwitchboardCall

#: What to do when the person who was rung did not answer.
IfNotAnswered = Literal["skip", "fail"]

#: XCom key under which the outcome of an unanswered call is left: ``busy``, ``no_answer``, …
OUTCOME_KEY = "outcome"
#: How much longer than ``timeout`` the deferral may last, in seconds; only a backstop.
BACKSTOP_SECONDS = 60


class IncomingCallSensor(BaseSensorOperator):
    """
    Wait for a ringing call, claim it, and return it.

    A claim is exclusive: no other sensor gets the same call. It belongs to the task, not to one try of it: retried or
    cleared, the sensor gets its own call again while that lasts. A call that began to ring shortly before the sensor
    started is found too.

    A caller hears ringing until the call is accepted, so let ``AcceptCallOperator`` follow at once.

    For a call that ``PlaceCallOperator`` has placed, give what it returned as ``placed``. The sensor then waits for
    just that call, and asks the carrier how it goes: when nobody answers, the task ends as ``if_not_answered`` says,
    with the outcome in XCom under ``outcome`` and in the ledger.

    Patterns are plain text with ``*`` (any text) and ``?`` (one character).

    :param to: Pattern for the number that was called, E.164. Templated.
    :param from_number: Pattern for the caller's number, E.164. Templated.
    :param headers: Patterns for SIP headers by name. Callers can write what they like into headers. Templated.
    :param placed: What ``PlaceCallOperator`` returned. Templated.
    :param if_not_answered: ``skip`` (default) or ``fail``, when a placed call is not answered.
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
    :return: The call as a dict: ``call_id``, ``from_number``, ``to_number``, ``headers`` (names in lower case),
        ``received_at``, ``claimed_by`` and more.
    :raises InvalidInput: A pattern or ``placed`` cannot be used.
    :raises AirflowSensorTimeout: No call came in time.
    :raises SwitchboardUnreachable: The switchboard did not answer when the task started.

    Source: https://developers.openai.com/api/docs/guides/webhooks
    """

    template_fields: Sequence[str] = (
        "to",
        "from_number",
        "headers",
        "placed",
        "openai_realtime_conn_id",
        "telephony_carrier_conn_id",
    )

    def __init__(
        self,
        *,
        to: str | None = None,
        from_number: str | None = None,
        headers: Mapping[str, str] | None = None,
        placed: Mapping[str, Any] | str | None = None,
        if_not_answered: IfNotAnswered = "skip",
        openai_realtime_conn_id: str = RealtimeHook.default_conn_name,
        telephony_carrier_conn_id: str | None = None,
        deferrable: bool = True,
        timeout: timedelta | float = 300,
        poke_interval: timedelta | float = 1,
        retries: int | None = SAFE_RETRIES,
        retry_delay: timedelta | float = SAFE_RETRY_DELAY,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            timeout=timeout, poke_interval=poke_interval, retries=retries, retry_delay=retry_delay, **kwargs
        )
        self.to = to
        self.from_number = from_number
        self.headers = headers
        self.placed = placed
        self.if_not_answered = if_not_answered
        self.openai_realtime_conn_id = openai_realtime_conn_id
        self.telephony_carrier_conn_id = telephony_carrier_conn_id
        self.deferrable = deferrable
        if if_not_answered not in get_args(IfNotAnswered):
            raise InvalidInput(
                f"if_not_answered must be one of {', '.join(get_args(IfNotAnswered))}; it is {if_not_answered!r}",
                field="if_not_answered",
            )
        if all(is_literal(value) for value in (to, from_number, headers)):
            _match(to, from_number, headers or {})

    def execute(self, context: Context) -> Any:
        """Look for a call now, else wait; see the class."""
        if not self.deferrable or self.reschedule:
            return super().execute(context)
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

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """Take what the trigger found."""
        event = event or {}
        status = event.get("status")
        if status == "timeout":
            raise AirflowSensorTimeout(f"no call came within {self.timeout:g} s")
        if status == "not_answered":
            self._not_answered(context, str(event.get("outcome")))
        if status != "claimed":
            raise SwitchboardRefused(str(event.get("message") or "the trigger ended without a result"))
        with self._switchboard() as switchboard:
            return self._taken(switchboard, switchboard.call(event["call_id"]))

    # -- the pieces -----------------------------------------------------------------------------------------------

    def _look(self, context: Context) -> dict[str, Any] | None:
        from airflow_openai_realtime.calls.placed import outcome_before
        from airflow_openai_realtime.calls.waiting import look_for_call

        match, placed = self._match(), self._placed()
        with self._switchboard() as switchboard:
            call = look_for_call(switchboard, match, claimant_of(context["ti"]))
            if call is not None:
                return self._taken(switchboard, call)
            before = outcome_before(switchboard, placed) if placed is not None else None
        if before is not None:
            self._not_answered(context, before)
        return None

    def _taken(self, switchboard: SwitchboardClient, call: SwitchboardCall) -> dict[str, Any]:
        placed = self._placed()
        if placed is not None:
            from airflow_openai_realtime.calls.outcomes import ANSWERED
            from airflow_openai_realtime.calls.placing import note_outcome

            note_outcome(switchboard, placed.attempt_id, ANSWERED, self._report, call_id=call.call_id)
        self.log.info("Call %s is claimed.", call.call_id)
        return call.to_dict()

    def _defer(self, context: Context) -> NoReturn:
        from airflow_openai_realtime.triggers.wait_for_call import WaitForCallTrigger

        placed = self._placed()
        self.defer(
            trigger=WaitForCallTrigger(
                openai_realtime_conn_id=self.openai_realtime_conn_id,
                match=self._match().to_dict(),
                claimant=claimant_of(context["ti"]),
                deadline=time.time() + self.timeout,
                telephony_carrier_conn_id=self._carrier_conn_id(),
                carrier_call_id=placed.carrier_call_id if placed is not None else None,
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=self.timeout + BACKSTOP_SECONDS),
        )
        raise AssertionError("unreachable: deferring raises")  # pragma: no cover

    def _not_answered(self, context: Context, outcome: str) -> NoReturn:
        from airflow_openai_realtime.calls.outcomes import ANSWERED
        from airflow_openai_realtime.calls.placing import note_outcome

        placed = self._placed()
        if placed is not None and outcome != ANSWERED:
            with self._switchboard() as switchboard:
                note_outcome(switchboard, placed.attempt_id, outcome, self._report)
        context["ti"].xcom_push(key=OUTCOME_KEY, value=outcome)
        message = (
            "the placed call came in before and is over, or another task has it"
            if outcome == ANSWERED
            else f"the placed call did not come in: {outcome}"
        )
        self.log.info("%s", message)
        if self.if_not_answered == "skip" or self.soft_fail:
            raise AirflowSkipException(message)
        # A retry could not change it: the attempt is over.
        raise AirflowFailException(message)

    def _carrier_outcome(self) -> str | None:
        placed, connection_id = self._placed(), self._carrier_conn_id()
        if placed is None or connection_id is None:
            return None
        from airflow_openai_realtime.calls.placed import carrier_outcome
        from airflow_openai_realtime.hooks.telephony_carrier import TelephonyCarrierHook

        try:
            with TelephonyCarrierHook(telephony_carrier_conn_id=connection_id).dialer() as dialer:
                return carrier_outcome(dialer, placed)
        except DialError as error:
            self._report(f"The carrier cannot say how the call goes, trying on: {error}")
            return None

    def _match(self) -> CallMatch:
        headers = dict(read_mapping(self.headers, "headers") or {})
        placed = self._placed()
        if placed is not None:
            headers[CORRELATION_HEADER] = placed.correlation_id
        return _match(self.to or None, self.from_number or None, headers)

    def _placed(self) -> PlacedReference | None:
        from airflow_openai_realtime.calls.placed import read_placed

        return read_placed(self.placed)

    def _carrier_conn_id(self) -> str | None:
        placed = self._placed()
        return self.telephony_carrier_conn_id or (placed.carrier_conn_id if placed is not None else None)

    def _switchboard(self) -> SwitchboardClient:
        return RealtimeHook(openai_realtime_conn_id=self.openai_realtime_conn_id).switchboard()

    def _report(self, line: str) -> None:
        self.log.warning("%s", line)


def _match(to: str | None, from_number: str | None, headers: Mapping[str, str]) -> CallMatch:
    from airflow_openai_realtime.switchboard.matching import CallMatch

    return CallMatch(to=to, from_number=from_number, headers=headers)
