"""Staying with a call that the task itself has placed: from the ring to the result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from airflow_openai_realtime.exceptions import InvalidInput
from airflow_openai_realtime.operators.call_waiting import OUTCOME_KEY, CallWaiting

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_openai_realtime.calls.call import Attempt, SwitchboardCall
    from airflow_openai_realtime.calls.matching import CallMatch
    from airflow_openai_realtime.outbound.placed import PlacedReference

#: What to do when the person who was rung did not answer.
IfPlacedNotAnswered = Literal["result", "skip", "fail"]

#: How long after the last ring the call may take to come in, in seconds: the person picks up, the carrier connects, and
#: OpenAI's event may be delivered a second time.
COMING_IN_SECONDS = 120.0
#: How much later than the task the carrier ends the call, in seconds: it counts from picking up, the task from the
#: accept.
CARRIER_MARGIN_SECONDS = 120.0
TIMEOUT = "timeout"


class PlacedCallWaiting(CallWaiting):
    """For the task that rings a phone: waits for just that call, answers it, and stays with it."""

    if_not_answered: IfPlacedNotAnswered  # type: ignore[assignment]
    shown_attempt_id: str | None
    _attempt_row: Attempt | None = None

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what came of the call."""
        self._attempt_row = self._find_attempt()
        self.shown_attempt_id = self._attempt_row.attempt_id
        if event and event.get("status") == TIMEOUT:
            return self._not_answered(context, str(event.get("outcome") or TIMEOUT))
        return super().execute_complete(context, event)

    def _find_attempt(self) -> Attempt:
        """Return the ledger's row of this task's attempt."""
        raise NotImplementedError

    def _check_if_not_answered(self) -> None:
        known = get_args(IfPlacedNotAnswered)
        if self.if_not_answered not in known:
            raise InvalidInput(
                f"if_not_answered must be one of {', '.join(known)}; it is {self.if_not_answered!r}",
                field="if_not_answered",
            )

    def _placed(self) -> PlacedReference | None:
        from airflow_openai_realtime.outbound.placed import PlacedReference

        row = self._attempt_row
        if row is None:
            return None
        return PlacedReference(
            attempt_id=row.attempt_id,
            correlation_id=row.correlation_id,
            campaign=row.campaign,
            contact=row.contact,
            carrier_conn_id=self.telephony_carrier_conn_id,
            carrier_call_id=row.carrier_call_id,
        )

    def _match(self) -> CallMatch:
        from airflow_openai_realtime.api.sip import CORRELATION_HEADER
        from airflow_openai_realtime.calls.matching import CallMatch

        assert self._attempt_row is not None  # noqa: S101 - a call is looked for after it was placed
        return CallMatch(headers={CORRELATION_HEADER: self._attempt_row.correlation_id})

    def _not_answered(self, context: Context, outcome: str) -> dict[str, Any]:
        from airflow_openai_realtime.states import AttemptOutcome

        if outcome == AttemptOutcome.ANSWERED:
            return self._answered_before(context)
        if outcome != TIMEOUT:
            self._note_not_answered(outcome)
        failed = self._failed_call() if outcome in (AttemptOutcome.FAILED, AttemptOutcome.GONE) else None
        if failed is not None:
            with self._switchboard() as switchboard:
                return self._finished(context, switchboard, failed)  # type: ignore[attr-defined]
        context["ti"].xcom_push(key=OUTCOME_KEY, value=outcome)
        message = f"the placed call did not come in: {outcome}"
        self.log.info("%s", message)
        if self.if_not_answered == "skip":
            raise AirflowSkipException(message)
        if self.if_not_answered == "fail":
            # A retry could not change it: the attempt is over.
            raise AirflowFailException(message)
        from airflow_openai_realtime.conversation.run.unanswered import unanswered_result

        result = unanswered_result(outcome, self._hook().line().switchboard.line)
        return self._told(context, result)  # type: ignore[attr-defined]

    def _answered_before(self, context: Context) -> dict[str, Any]:
        """Return the result of a call that another run of the same attempt has had."""
        call_id = self._attempt_row.call_id if self._attempt_row is not None else None
        with self._switchboard() as switchboard:
            call = switchboard.call(call_id) if call_id else None
            if call is not None and call.is_over:
                return self._finished(context, switchboard, call)  # type: ignore[attr-defined]
        raise AirflowFailException(
            f"another task has the call of this attempt ({call_id or 'unknown'}), and it goes on"
        )

    def _failed_call(self) -> SwitchboardCall | None:
        """Return the call of this attempt when an earlier try could not get it accepted."""
        from airflow_openai_realtime.states import CallState, EndReason

        match = self._match()
        with self._switchboard() as switchboard:
            calls = switchboard.calls(state=f"{CallState.ENDED},{CallState.MISSED}").calls
        return next(
            (call for call in calls if call.end_reason == EndReason.ACCEPT_FAILED and match.matches(call)), None
        )

    def _about_attempt(self) -> dict[str, Any]:
        from airflow_openai_realtime.outbound.placed import about_attempt

        return {} if self._attempt_row is None else about_attempt(self._attempt_row)
