"""Taking over a live call that a standing order has answered."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk.exceptions import AirflowSensorTimeout, AirflowSkipException

from airflow_openai_realtime.calls.owner import claimant_of
from airflow_openai_realtime.calls.parameters import check_match_literals, is_literal, read_match
from airflow_openai_realtime.exceptions import SwitchboardRefused
from airflow_openai_realtime.hooks.realtime import RealtimeHook
from airflow_openai_realtime.operators.call_link import HasCallLink
from airflow_openai_realtime.operators.call_operator import CallOperator
from airflow_openai_realtime.operators.template_fields import as_written, check_rendered
from airflow_openai_realtime.operators.waiting_operator import WaitingOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_openai_realtime.calls.call import SwitchboardCall
    from airflow_openai_realtime.inbound.taking_over import AnsweredMatch

#: How much longer than ``timeout`` the deferral may last, in seconds; only a backstop.
BACKSTOP_SECONDS = 60


class TakeCallOperator(HasCallLink, WaitingOperator):
    """
    Wait until a standing order has answered a call, take the live call over, and return it.

    The caller talks with the model all the while and notices nothing. From then on the call is the task's: let
    ``WatchCallOperator``, ``ReferCallOperator`` and ``HangupCallOperator`` follow, as after an accept. Only one task
    gets each call. A call that nobody takes over goes on until the caller hangs up or its time is over.

    Retries: the call belongs to the task, not to one try of it. Retried, cleared or moved to another triggerer, it
    returns the call that it has, while that lasts.

    :param order: Name of the standing order, as given to ``OpenLineOperator``. Templated.
    :param to: Pattern for the number that was called, E.164. Templated.
    :param from_number: Pattern for the caller's number, E.164. Templated.
    :param headers: Patterns for SIP headers by name. Callers can write what they like into headers. Templated.
    :param openai_realtime_conn_id: Connection of type ``openai_realtime``. Templated.
    :param timeout: How long to wait, in seconds or as a ``timedelta``; then the task fails, or is skipped with
        ``soft_fail``.
    :param soft_fail: Whether the task is skipped when no call was answered in time.
    :param retries: How often Airflow tries again; 3 unless set here or in ``default_args``.
    :param retry_delay: Pause before a retry, in seconds or as a ``timedelta``; one second.
    :return: The accepted call as a dict, as ``AcceptCallOperator`` returns it.
    :raises InvalidInput: The name or a pattern cannot be used.
    :raises AirflowSensorTimeout: No call was answered in time.
    :raises SwitchboardUnreachable: The switchboard did not answer when the task started.
    """

    template_fields: Sequence[str] = ("order", *WaitingOperator.template_fields)
    ui_color = CallOperator.ui_color

    def __init__(self, *, order: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.order = order
        if is_literal(order):
            self._checked_order()
        check_match_literals(self.to, self.from_number, self.headers)
        self._written = as_written(self)

    def execute(self, context: Context) -> dict[str, Any]:
        """Take over a call that was answered already, else wait for one in the triggerer; see the class."""
        from airflow_openai_realtime.inbound.taking_over import take_over_now

        check_rendered(self)

        match, claimant = self._match(), claimant_of(context["ti"])
        with self._hook().switchboard() as switchboard:
            call = take_over_now(switchboard, match, claimant)
        if call is None:
            self._wait(match, claimant)
        return self._taken(call)

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the call that the trigger has taken over."""
        event = event or {}
        if event.get("status") == "timeout":
            message = f"the order {self.order} answered no call within {self.timeout:g} s"
            raise AirflowSkipException(message) if self.soft_fail else AirflowSensorTimeout(message)
        if event.get("status") != "accepted":
            raise SwitchboardRefused(str(event.get("message") or "the trigger ended without a result"))
        with self._hook().switchboard() as switchboard:
            call = switchboard.call(event["call_id"])
        return self._taken(call)

    def _taken(self, call: SwitchboardCall) -> dict[str, Any]:
        self.shown_call_id = call.call_id
        self.log.info("Call %s is taken over; it is ended at %s at the latest.", call.call_id, call.hangup_at)
        return call.to_dict()

    def _wait(self, match: AnsweredMatch, claimant: str) -> NoReturn:
        self.waits_for_call = True
        from airflow_openai_realtime.hooks.handing_over import hand_over
        from airflow_openai_realtime.triggers.take_call import TakeCallTrigger

        self.defer(
            trigger=TakeCallTrigger(
                openai_realtime_conn_id=self.openai_realtime_conn_id,
                order=match.order,
                match=match.match.to_dict(),
                claimant=claimant,
                deadline=time.time() + self.timeout,
                connections=hand_over(self._hook().connection()),
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=self.timeout + BACKSTOP_SECONDS),
        )
        raise AssertionError("unreachable: deferring raises")  # pragma: no cover

    def _hook(self) -> RealtimeHook:
        return RealtimeHook(openai_realtime_conn_id=self.openai_realtime_conn_id)

    def _match(self) -> AnsweredMatch:
        from airflow_openai_realtime.inbound.taking_over import AnsweredMatch

        return AnsweredMatch(self._checked_order(), read_match(self.to, self.from_number, self.headers))

    def _checked_order(self) -> str:
        from airflow_openai_realtime.calls.order import check_order_name

        return check_order_name(self.order)
