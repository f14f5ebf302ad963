"""What tasks share that wait for a call: looking for it, waiting for it, and perhaps staying with it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, NoReturn, get_args

from airflow.sdk.exceptions import AirflowFailException, AirflowSensorTimeout, AirflowSkipException

from airflow_openai_realtime.calls.owner import claimant_of
from airflow_openai_realtime.calls.parameters import check_match_literals, read_mapping, read_match
from airflow_openai_realtime.exceptions import ClaimLost, InvalidInput, SwitchboardRefused
from airflow_openai_realtime.hooks.realtime import RealtimeHook
from airflow_openai_realtime.operators.task_acceptance import AcceptingTask
from airflow_openai_realtime.operators.template_fields import drop_shared_defaults

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_openai_realtime.calls.answer_plan import AnswerPlan
    from airflow_openai_realtime.calls.call import SwitchboardCall
    from airflow_openai_realtime.calls.matching import CallMatch
    from airflow_openai_realtime.conversation.wanted_conversation import WantedConversation
    from airflow_openai_realtime.outbound.placed import PlacedReference
    from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient

#: What to do when the person who was rung did not answer.
IfNotAnswered = Literal["skip", "fail"]

#: Status of a trigger's event when the call is over.
OVER = "over"
#: XCom key under which the outcome of an unanswered call is left: ``busy``, ``no_answer``, …
OUTCOME_KEY = "outcome"
#: How much longer than ``timeout`` the deferral may last, in seconds; only a backstop.
BACKSTOP_SECONDS = 60


class CallWaiting(AcceptingTask):
    """
    For tasks that wait for a call and take it: claim it, accept it when there is a plan for answering, and stay with it
    when a conversation is wanted.

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
    shown_call_id: str | None
    waits_for_call: bool

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """Take what the trigger found."""
        from airflow_openai_realtime.states import CallState

        event = event or {}
        status = event.get("status")
        if status == "timeout":
            if event.get("outcome") is not None:
                self._note_not_answered(str(event["outcome"]))
            raise AirflowSensorTimeout(f"no call came within {self.timeout:g} s")
        if status == "not_answered":
            return self._not_answered(context, str(event.get("outcome")))
        if status not in (CallState.CLAIMED, CallState.ACCEPTED, OVER):
            raise SwitchboardRefused(str(event.get("message") or "the trigger ended without a result"))
        with self._switchboard() as switchboard:
            call: SwitchboardCall | None = switchboard.call(event["call_id"])
            if call is not None and not self._match().meets(call):
                self._report(f"Call {call.call_id} is not the one that this task waits for now; waiting for that.")
                call = None
            elif call is not None and status == OVER:
                return self._over(context, switchboard, call)
            elif call is not None and status == CallState.ACCEPTED and call.state == CallState.CLAIMED:
                # The trigger could not tell the switchboard.
                call = switchboard.accepted(call.call_id, claimant_of(context["ti"]))
            elif call is not None and status == CallState.CLAIMED:
                call = self._claimed_still(switchboard, call, claimant_of(context["ti"]))
            if call is not None:
                return self._taken(switchboard, call)
        found = self._look(context)
        return found if found is not None else self._defer(context)

    def _claimed_still(
        self, switchboard: SwitchboardClient, call: SwitchboardCall, claimant: str
    ) -> SwitchboardCall | None:
        """
        Return the call that the trigger has claimed, if it can still be had.

        Time may have passed since then, hours while the DAG was paused: a claim that no accept follows lapses.
        """
        try:
            # Also when it seems to be ours: that costs one request, and tells for certain.
            return switchboard.claim(call.call_id, claimant)
        except ClaimLost as error:
            self._report(f"Call {call.call_id} was claimed, but not accepted in time; waiting for another one. {error}")
            return None

    def _over(self, context: Context, switchboard: SwitchboardClient, call: SwitchboardCall) -> dict[str, Any]:
        """Return the result of a call that this task has run."""
        call = self._with_carriers_word(switchboard, call)
        self._note_answered(switchboard, call)
        return self._finished(context, switchboard, call)  # type: ignore[attr-defined]

    def _with_carriers_word(self, switchboard: SwitchboardClient, call: SwitchboardCall) -> SwitchboardCall:
        """Let the carrier of a placed call say how long it lasted, and how it ended where it knows that."""
        placed, conn_id = self._placed(), self._carrier_conn_id()
        if placed is None or placed.carrier_call_id is None or conn_id is None or not call.is_over:
            return call
        from airflow_openai_realtime.hooks.telephony_carrier import TelephonyCarrierHook
        from airflow_openai_realtime.outbound.carrier_status import carriers_word

        hook = TelephonyCarrierHook(telephony_carrier_conn_id=conn_id)
        return carriers_word(switchboard, hook.dialer, call, placed.carrier_call_id, self._report)

    def _wanted(self) -> WantedConversation | None:
        """Read what is to happen in the call; ``None`` when the task hands it on."""
        return self._conversation() if getattr(self, "wait_for_end", False) else None  # type: ignore[attr-defined]

    def _plan(self) -> AnswerPlan | None:
        """Read what a call is accepted with; ``None`` when it is only claimed."""
        raise NotImplementedError

    def _check_waiting(self) -> None:
        """Refuse when the DAG is parsed what no rendering can mend."""
        if self.if_not_answered not in get_args(IfNotAnswered):
            # PlaceCallOperator, which may share default_args, knows more ways.
            drop_shared_defaults(self, ["if_not_answered"], {"if_not_answered": "skip"})
        if self.if_not_answered not in get_args(IfNotAnswered):
            raise InvalidInput(
                f"if_not_answered must be one of {', '.join(get_args(IfNotAnswered))}; it is {self.if_not_answered!r}",
                field="if_not_answered",
            )
        check_match_literals(self.to, self.from_number, self.headers)

    def _look(self, context: Context) -> dict[str, Any] | None:
        from airflow_openai_realtime.calls.task_states import reference_to
        from airflow_openai_realtime.outbound.placed import outcome_before

        wanted, placed = self._wanted(), self._placed()
        self._task = reference_to(context["ti"])
        plan, claimant = self._answer(wanted), claimant_of(context["ti"])
        with self._switchboard() as switchboard:
            over = self._over_before(switchboard, claimant) if wanted is not None else None
            if over is not None:
                return self._over(context, switchboard, over)
            call = self._take_now(switchboard, claimant, plan)
            if call is not None and wanted is not None:
                self._run_in_triggerer(context, wanted, call)  # type: ignore[attr-defined]
            if call is not None:
                return self._taken(switchboard, call)
            before = outcome_before(switchboard, placed) if placed is not None else None
        if before is not None:
            return self._not_answered(context, before)
        return None

    def _answer(self, wanted: WantedConversation | None) -> AnswerPlan | None:
        """Read what a call is accepted with, with the tools of the conversation."""
        plan = self._plan()
        return plan if plan is None or wanted is None else wanted.answered_with(plan)

    def _over_before(self, switchboard: SwitchboardClient, claimant: str) -> SwitchboardCall | None:
        from airflow_openai_realtime.inbound.own_calls import newest_accepted

        before = newest_accepted(switchboard.calls(claimed_by=claimant).calls, self._match())
        return before if before is not None and before.is_over else None

    def _take_now(
        self, switchboard: SwitchboardClient, claimant: str, plan: AnswerPlan | None
    ) -> SwitchboardCall | None:
        match = self._match()
        if plan is None:
            from airflow_openai_realtime.inbound.waiting import look_for_call

            return look_for_call(switchboard, match, claimant)
        from airflow_openai_realtime.inbound.answering import answer_now

        hook = self._hook()
        line = hook.line()
        with hook.calls() as calls:

            def begin(call_id: str, is_sole: bool) -> Any:
                return self._acceptance(line, calls, switchboard, call_id, claimant, is_sole=is_sole, sole_match=match)

            return answer_now(switchboard, match, claimant, plan, begin, self.report)

    def _taken(self, switchboard: SwitchboardClient, call: SwitchboardCall) -> dict[str, Any]:
        self._note_answered(switchboard, call)
        if call.hangup_at is None:
            self.log.info("Call %s is claimed.", call.call_id)
        else:
            self.log.info("Call %s is %s; it is ended at %s at the latest.", call.call_id, call.state, call.hangup_at)
        self.shown_call_id = call.call_id
        placed = self._placed()
        return {**call.to_dict(), **(placed.about if placed is not None else {})}

    def _note_answered(self, switchboard: SwitchboardClient, call: SwitchboardCall) -> None:
        placed = self._placed()
        if placed is not None:
            from airflow_openai_realtime.outbound.placing import note_outcome
            from airflow_openai_realtime.states import AttemptOutcome

            note_outcome(switchboard, placed.attempt_id, AttemptOutcome.ANSWERED, self._report, call_id=call.call_id)

    def _defer(self, context: Context) -> NoReturn:
        from airflow_openai_realtime.triggers.wait_for_call import WaitForCallTrigger

        self.waits_for_call = True
        wanted, placed = self._wanted(), self._placed()
        plan = self._answer(wanted)
        key = self._hook().api().api_key if plan is not None else ""
        seconds = self.timeout + BACKSTOP_SECONDS
        if plan is not None and wanted is not None:
            seconds += plan.max_duration_seconds + BACKSTOP_SECONDS
        self.defer(  # type: ignore[attr-defined]
            trigger=WaitForCallTrigger(
                openai_realtime_conn_id=self.openai_realtime_conn_id,
                match=self._match().to_dict(),
                claimant=claimant_of(context["ti"]),
                deadline=time.time() + self.timeout,
                telephony_carrier_conn_id=self._carrier_conn_id(),
                carrier_call_id=placed.carrier_call_id if placed is not None else None,
                answer=plan.seal(key) if plan is not None else None,
                conversation=wanted.seal(key) if wanted is not None else None,
                connections=self._handed_over(),
                attempt_id=placed.attempt_id if placed is not None else None,
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=seconds),
        )
        raise AssertionError("unreachable: deferring raises")  # pragma: no cover

    def _handed_over(self) -> str | None:
        """Seal the connections that the trigger needs."""
        from airflow_openai_realtime.hooks.handing_over import hand_over
        from airflow_openai_realtime.hooks.telephony_carrier import TelephonyCarrierHook

        carrier = self._carrier_conn_id()
        placed_at = () if carrier is None else (TelephonyCarrierHook(carrier).connection(),)
        return hand_over(self._hook().connection(), *placed_at)

    def _not_answered(self, context: Context, outcome: str) -> dict[str, Any]:
        from airflow_openai_realtime.states import AttemptOutcome

        if outcome != AttemptOutcome.ANSWERED:
            self._note_not_answered(outcome)
        context["ti"].xcom_push(key=OUTCOME_KEY, value=outcome)
        message = (
            "the placed call came in before and is over, or another task has it"
            if outcome == AttemptOutcome.ANSWERED
            else f"the placed call did not come in: {outcome}"
        )
        self.log.info("%s", message)
        if self.if_not_answered == "skip" or self.soft_fail:
            raise AirflowSkipException(message)
        # A retry could not change it: the attempt is over.
        raise AirflowFailException(message)

    def _note_not_answered(self, outcome: str) -> None:
        """Write into the ledger that a placed call did not become a call."""
        from airflow_openai_realtime.outbound.placing import note_outcome

        placed = self._placed()
        if placed is not None:
            with self._switchboard() as switchboard:
                note_outcome(switchboard, placed.attempt_id, outcome, self._report)

    def _match(self) -> CallMatch:
        headers = dict(read_mapping(self.headers, "headers") or {})
        placed = self._placed()
        if placed is not None:
            from airflow_openai_realtime.api.sip import CORRELATION_HEADER

            headers[CORRELATION_HEADER] = placed.correlation_id
        return read_match(self.to, self.from_number, headers)

    def _placed(self) -> PlacedReference | None:
        from airflow_openai_realtime.outbound.placed import read_placed

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
