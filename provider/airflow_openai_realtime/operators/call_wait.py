"""Waiting for a call: looking for it, deferring, waking up, and perhaps staying with it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow_openai_realtime.calls.owner import owner_name
from airflow_openai_realtime.calls.task_states import reference_to
from airflow_openai_realtime.exceptions import ClaimLost, SwitchboardRefused
from airflow_openai_realtime.hooks.airflow_connections import hand_over
from airflow_openai_realtime.hooks.realtime import RealtimeHook
from airflow_openai_realtime.hooks.telephony_carrier import TelephonyCarrierHook
from airflow_openai_realtime.inbound.waiting import look_for_call, newest_accepted
from airflow_openai_realtime.operators.call_to_end import OVER, finished, read_answer, run_in_triggerer
from airflow_openai_realtime.states import AttemptOutcome, CallState
from airflow_openai_realtime.switchboard.client.switchboard_requests import (
    claim_call,
    get_call,
    list_calls,
    report_accepted,
)
from airflow_openai_realtime.triggers.wait_for_call import WaitForCallTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_openai_realtime.calls.answer_plan import AnswerPlan
    from airflow_openai_realtime.calls.call import SwitchboardCall
    from airflow_openai_realtime.calls.matching import CallMatch
    from airflow_openai_realtime.operators.call_task import CallTask
    from airflow_openai_realtime.operators.task_acceptance import TaskAcceptance
    from airflow_openai_realtime.outbound.placed import PlacedReference
    from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient

#: How much longer than ``timeout`` the deferral may last, in seconds; only a backstop.
BACKSTOP_SECONDS = 60


@dataclass(frozen=True)
class Found:
    """
    What a look for a call has found; nothing at all: the task waits on.

    :param call: The call that the task has now, or has had.
    :param is_over: Whether the call is one that this task has run to its end.
    :param outcome: Why the placed call does not come in.
    """

    call: SwitchboardCall | None = None
    is_over: bool = False
    outcome: str | None = None


@dataclass(frozen=True)
class CallWait:
    """
    A task's wait for one call.

    :param task: The task, rendered.
    :param context: Airflow's.
    :param match: Which call is wanted.
    :param timeout_seconds: How long it waits, in seconds.
    :param acceptance: The task's accepts.
    :param answer: Whether the call is accepted; ``False``: it is only claimed.
    :param wait_for_end: Whether the task stays with the call.
    :param unanswered: Given this wait and why the placed call does not come in; returns what the task returns, or
        raises.
    :param placed: The placed call that is waited for.
    :param carrier_conn_id: Connection of the carrier that placed it.
    """

    task: CallTask
    context: Context
    match: CallMatch
    timeout_seconds: float
    acceptance: TaskAcceptance
    answer: bool
    wait_for_end: bool
    unanswered: Callable[[CallWait, str], dict[str, Any]]
    placed: PlacedReference | None = None
    carrier_conn_id: str | None = None

    def begin(self) -> dict[str, Any]:
        """
        Look for a call now, and settle it; else wait on in the triggerer.

        :return: What the task returns.
        :raises SwitchboardUnreachable: The switchboard did not answer.
        """
        return self._settled(self._look())

    def resume(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """
        Settle what the trigger found; else wait on in the triggerer.

        :param event: The trigger's; not that no call came.
        :return: What the task returns.
        :raises SwitchboardRefused: Waiting on cannot help.
        """
        return self._settled(self._woken(event))

    def now(self) -> dict[str, Any] | None:
        """
        Look for a call now, and settle it.

        :return: What the task returns; ``None``: there is no call yet.
        :raises SwitchboardUnreachable: The switchboard did not answer.
        """
        return self._settle(self._look())

    def _settled(self, found: Found) -> dict[str, Any]:
        result = self._settle(found)
        return result if result is not None else self._defer()

    def _look(self) -> Found:
        """Look once: for the call that the task has had, else for one that rings; take it."""
        from airflow_openai_realtime.outbound.placed import outcome_before

        plan, _ = self._read()
        switchboard = self._switchboard()
        if self.wait_for_end:
            over = self._over_before(switchboard)
            if over is not None:
                return Found(over, is_over=True)
        call = self._take_now(switchboard, plan)
        if call is not None:
            return Found(call)
        return Found(outcome=None if self.placed is None else outcome_before(switchboard, self.placed))

    def _woken(self, event: Mapping[str, Any]) -> Found:
        """Take what the trigger found."""
        status = event.get("status")
        if status not in (CallState.CLAIMED, CallState.ACCEPTED, OVER):
            raise SwitchboardRefused(str(event.get("message") or "the trigger ended without a result"))
        switchboard = self._switchboard()
        call: SwitchboardCall = switchboard.send(get_call(event["call_id"]))
        if not self.match.meets(call):
            self.warn(f"Call {call.call_id} is not the one that this task waits for now; waiting for that.")
            return self._look()
        if status == OVER:
            return Found(call, is_over=True)
        if status == CallState.ACCEPTED and call.state == CallState.CLAIMED:
            # The trigger could not tell the switchboard.
            call = switchboard.send(report_accepted(call.call_id, self.owner))
        elif status == CallState.CLAIMED:
            try:
                # Time may have passed since then, hours while the DAG was paused: a claim that no accept follows
                # lapses. Asked also when it seems to be ours: that costs one request, and tells for certain.
                call = switchboard.send(claim_call(call.call_id, self.owner))
            except ClaimLost as error:
                self.warn(
                    f"Call {call.call_id} was claimed, but not accepted in time; waiting for another one. {error}"
                )
                return self._look()
        return Found(call)

    def _settle(self, found: Found) -> dict[str, Any] | None:
        """Return what the task returns for a call, or stay with the call; ``None``: there is none."""
        if found.outcome is not None:
            return self.unanswered(self, found.outcome)
        if found.call is None:
            return None
        if found.is_over:
            return self._result(found.call)
        if self.wait_for_end:
            _, wanted = self._read()
            run_in_triggerer(self.task, self.context, wanted, found.call)
        return self._taken(found.call)

    def _defer(self) -> NoReturn:
        """Wait on in the triggerer; the task goes on in ``execute_complete``."""
        self.task.waits_for_call = True
        plan, wanted = self._read()
        key = self.hook.api().api_key if plan is not None else ""
        seconds = self.timeout_seconds + BACKSTOP_SECONDS
        if plan is not None and wanted is not None:
            seconds += plan.max_duration_seconds + BACKSTOP_SECONDS
        self.task.defer(
            trigger=WaitForCallTrigger(
                openai_realtime_conn_id=self.task.openai_realtime_conn_id,
                match=self.match.to_dict(),
                claimant=self.owner,
                deadline=time.time() + self.timeout_seconds,
                telephony_carrier_conn_id=self.carrier_conn_id,
                carrier_call_id=self.placed.carrier_call_id if self.placed is not None else None,
                answer=plan.seal(key) if plan is not None else None,
                conversation=wanted.seal(key) if wanted is not None else None,
                connections=self._connections(),
                attempt_id=self.placed.attempt_id if self.placed is not None else None,
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=seconds),
        )
        raise AssertionError("unreachable: deferring raises")  # pragma: no cover

    def note_not_answered(self, outcome: str) -> None:
        """
        Write into the ledger that the placed call did not become a call.

        :param outcome: ``busy``, ``no_answer``, ``failed``, ``canceled`` or ``gone``.
        """
        from airflow_openai_realtime.outbound.placing import note_outcome

        if self.placed is not None:
            switchboard = self._switchboard()
            note_outcome(switchboard, self.placed.attempt_id, outcome, self.warn)

    def warn(self, line: str) -> None:
        """
        Write a warning to the task's log.

        :param line: The line.
        """
        self.task.log.warning("%s", line)

    @property
    def hook(self) -> RealtimeHook:
        """A hook for the task's connection."""
        return RealtimeHook(openai_realtime_conn_id=self.task.openai_realtime_conn_id)

    @property
    def owner(self) -> str:
        """Stable name of the task."""
        return owner_name(self.context["ti"])

    @property
    def about(self) -> Mapping[str, Any]:
        """What is known of the attempt from which the call is to come."""
        return self.placed.about if self.placed is not None else {}

    def _switchboard(self) -> SwitchboardClient:
        """Make a client of the line at its switchboard."""
        return self.hook.switchboard()

    def _read(self) -> tuple[AnswerPlan | None, Any]:
        if not self.answer:
            return None, None
        return read_answer(self.task, wait_for_end=self.wait_for_end)

    def _over_before(self, switchboard: SwitchboardClient) -> SwitchboardCall | None:
        before = newest_accepted(switchboard.send(list_calls(claimed_by=self.owner)).calls, self.match)
        return before if before is not None and before.is_over else None

    def _take_now(self, switchboard: SwitchboardClient, plan: AnswerPlan | None) -> SwitchboardCall | None:
        if plan is None:
            return look_for_call(switchboard, self.match, self.owner)
        from airflow_openai_realtime.inbound.answering import answer_now

        hook, owner, match = self.hook, self.owner, self.match
        line, task = hook.line(), reference_to(self.context["ti"])
        log = self.task.log
        with hook.calls() as calls:

            def begin(call_id: str, is_sole: bool) -> Any:
                return self.acceptance.begin(
                    line, calls, switchboard, call_id, owner, task, log, is_sole=is_sole, sole_match=match
                )

            return answer_now(switchboard, match, owner, plan, begin, self.acceptance.report)

    def _result(self, call: SwitchboardCall) -> dict[str, Any]:
        """Return the result of a call that this task has run."""
        switchboard = self._switchboard()
        told = self._with_carriers_word(switchboard, call)
        self._note_answered(switchboard, told)
        return finished(self.task, self.context, switchboard, told, self.about)

    def _taken(self, call: SwitchboardCall) -> dict[str, Any]:
        if self.placed is not None:
            switchboard = self._switchboard()
            self._note_answered(switchboard, call)
        log = self.task.log
        if call.hangup_at is None:
            log.info("Call %s is claimed.", call.call_id)
        else:
            log.info("Call %s is %s; it is ended at %s at the latest.", call.call_id, call.state, call.hangup_at)
        self.task.shown_call_id = call.call_id
        return {**call.to_dict(), **self.about}

    def _with_carriers_word(self, switchboard: SwitchboardClient, call: SwitchboardCall) -> SwitchboardCall:
        """Let the carrier of a placed call say how long it lasted, and how it ended where it knows that."""
        carrier_call_id = self.placed.carrier_call_id if self.placed is not None else None
        if carrier_call_id is None or self.carrier_conn_id is None or not call.is_over:
            return call
        from airflow_openai_realtime.outbound.carrier_status import carriers_word

        hook = TelephonyCarrierHook(telephony_carrier_conn_id=self.carrier_conn_id)
        return carriers_word(switchboard, hook.dialer, call, carrier_call_id, self.warn)

    def _note_answered(self, switchboard: SwitchboardClient, call: SwitchboardCall) -> None:
        if self.placed is not None:
            from airflow_openai_realtime.outbound.placing import note_outcome

            note_outcome(switchboard, self.placed.attempt_id, AttemptOutcome.ANSWERED, self.warn, call_id=call.call_id)

    def _connections(self) -> str | None:
        """Seal the connections that the trigger needs."""
        carrier = self.carrier_conn_id
        placed_at = () if carrier is None else (TelephonyCarrierHook(carrier).connection(),)
        return hand_over(self.hook.connection(), *placed_at)
