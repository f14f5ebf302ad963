"""What ``IncomingCallSensor`` and ``AnswerCallOperator`` share: looking for a call, and waiting for one."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, NoReturn, get_args

from airflow.sdk.exceptions import AirflowFailException, AirflowSensorTimeout, AirflowSkipException

from airflow_openai_realtime.calls.claimant import claimant_of
from airflow_openai_realtime.calls.parameters import is_literal, read_mapping, read_match
from airflow_openai_realtime.exceptions import InvalidInput, SwitchboardRefused
from airflow_openai_realtime.hooks.realtime import RealtimeHook
from airflow_openai_realtime.tasks.accepting import AcceptingTask

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_openai_realtime.calls.answer_plan import AnswerPlan
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


class CallWaiting(AcceptingTask):
    """
    For tasks that wait for a call and take it: claim it, or accept it when there is a plan for answering.

    The attributes are those of the same name of ``IncomingCallSensor``.
    """

    to: str | None
    from_number: str | None
    headers: Mapping[str, str] | str | None
    placed: Mapping[str, Any] | str | None
    if_not_answered: IfNotAnswered
    openai_realtime_conn_id: str
    telephony_carrier_conn_id: str | None
    timeout: float
    soft_fail: bool

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """Take what the trigger found."""
        from airflow_openai_realtime.switchboard.records import ACCEPTED, CLAIMED

        event = event or {}
        status = event.get("status")
        if status == "timeout":
            raise AirflowSensorTimeout(f"no call came within {self.timeout:g} s")
        if status == "not_answered":
            self._not_answered(context, str(event.get("outcome")))
        if status not in (CLAIMED, ACCEPTED):
            raise SwitchboardRefused(str(event.get("message") or "the trigger ended without a result"))
        with self._switchboard() as switchboard:
            call = switchboard.call(event["call_id"])
            if status == ACCEPTED and call.state == CLAIMED:
                # The trigger could not tell the switchboard.
                call = switchboard.accepted(call.call_id, claimant_of(context["ti"]))
            return self._taken(switchboard, call)

    def _plan(self) -> AnswerPlan | None:
        """Read what a call is accepted with; ``None`` when it is only claimed."""
        raise NotImplementedError

    def _check_waiting(self) -> None:
        """Refuse when the DAG is parsed what no rendering can mend."""
        if self.if_not_answered not in get_args(IfNotAnswered):
            raise InvalidInput(
                f"if_not_answered must be one of {', '.join(get_args(IfNotAnswered))}; it is {self.if_not_answered!r}",
                field="if_not_answered",
            )
        if all(is_literal(value) for value in (self.to, self.from_number, self.headers)):
            from airflow_openai_realtime.switchboard.matching import CallMatch

            # Not read_match: an empty text is refused here, and matches all only when a template made it.
            CallMatch(to=self.to, from_number=self.from_number, headers=read_mapping(self.headers, "headers") or {})

    def _look(self, context: Context) -> dict[str, Any] | None:
        from airflow_openai_realtime.calls.placed import outcome_before

        plan, placed = self._plan(), self._placed()
        with self._switchboard() as switchboard:
            call = self._take_now(switchboard, claimant_of(context["ti"]), plan)
            if call is not None:
                return self._taken(switchboard, call)
            before = outcome_before(switchboard, placed) if placed is not None else None
        if before is not None:
            self._not_answered(context, before)
        return None

    def _take_now(
        self, switchboard: SwitchboardClient, claimant: str, plan: AnswerPlan | None
    ) -> SwitchboardCall | None:
        match = self._match()
        if plan is None:
            from airflow_openai_realtime.calls.waiting import look_for_call

            return look_for_call(switchboard, match, claimant)
        from airflow_openai_realtime.calls.answering import answer_now

        hook = self._hook()
        line = hook.line()
        with hook.calls() as calls:

            def begin(call_id: str, is_sole: bool) -> Any:
                return self._acceptance(line, calls, switchboard, call_id, claimant, is_sole=is_sole)

            return answer_now(switchboard, match, claimant, plan, begin, self.report)

    def _taken(self, switchboard: SwitchboardClient, call: SwitchboardCall) -> dict[str, Any]:
        placed = self._placed()
        if placed is not None:
            from airflow_openai_realtime.calls.outcomes import ANSWERED
            from airflow_openai_realtime.calls.placing import note_outcome

            note_outcome(switchboard, placed.attempt_id, ANSWERED, self._report, call_id=call.call_id)
        if call.hangup_at is None:
            self.log.info("Call %s is claimed.", call.call_id)
        else:
            self.log.info("Call %s is %s; it is ended at %s at the latest.", call.call_id, call.state, call.hangup_at)
        return call.to_dict()

    def _defer(self, context: Context) -> NoReturn:
        from airflow_openai_realtime.triggers.wait_for_call import WaitForCallTrigger

        plan, placed = self._plan(), self._placed()
        self.defer(  # type: ignore[attr-defined]
            trigger=WaitForCallTrigger(
                openai_realtime_conn_id=self.openai_realtime_conn_id,
                match=self._match().to_dict(),
                claimant=claimant_of(context["ti"]),
                deadline=time.time() + self.timeout,
                telephony_carrier_conn_id=self._carrier_conn_id(),
                carrier_call_id=placed.carrier_call_id if placed is not None else None,
                answer=plan.seal(self._hook().api().api_key) if plan is not None else None,
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

    def _match(self) -> CallMatch:
        headers = dict(read_mapping(self.headers, "headers") or {})
        placed = self._placed()
        if placed is not None:
            from airflow_openai_realtime.api.sip import CORRELATION_HEADER

            headers[CORRELATION_HEADER] = placed.correlation_id
        return read_match(self.to, self.from_number, headers)

    def _placed(self) -> PlacedReference | None:
        from airflow_openai_realtime.calls.placed import read_placed

        return read_placed(self.placed)

    def _carrier_conn_id(self) -> str | None:
        placed = self._placed()
        return self.telephony_carrier_conn_id or (placed.carrier_conn_id if placed is not None else None)

    def _hook(self) -> RealtimeHook:
        return RealtimeHook(openai_realtime_conn_id=self.openai_realtime_conn_id)

    def _switchboard(self) -> SwitchboardClient:
        return self._hook().switchboard()

    def _report(self, line: str) -> None:
        self.log.warning("%s", line)
