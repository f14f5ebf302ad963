"""Claiming calls: one that is known, or all that ring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from airflow_openai_realtime.calls.owner import claimant_of
from airflow_openai_realtime.calls.parameters import (
    SAFE_RETRIES,
    SAFE_RETRY_DELAY,
    check_match_literals,
    is_literal,
    read_integer,
    read_match,
)
from airflow_openai_realtime.exceptions import ClaimLost
from airflow_openai_realtime.hooks.realtime import RealtimeHook
from airflow_openai_realtime.operators.call_operator import CallOperator, IfGone
from airflow_openai_realtime.operators.template_fields import RenderedTask, as_written, check_rendered

if TYPE_CHECKING:
    from airflow.sdk import Context


class ClaimCallOperator(CallOperator):
    """
    Claim one call whose id is known, as in a DAG run that was started for it, and return it.

    ``AcceptCallOperator`` claims an unclaimed call itself. Claim it first to look at the caller and the headers before
    deciding what to do.

    Retries: the task has the call, whichever try claims it.

    :param call: The call as a dict, or its id. Templated.
    :param call_id: Its id alone, for example ``{{ dag_run.conf['call_id'] }}``. Templated.
    :param if_gone: When the call rings no more or is somebody else's: ``skip`` (default), ``succeed`` or ``fail``.
    :param openai_realtime_conn_id: Connection of type ``openai_realtime``. Templated.
    :param retries: How often Airflow tries again; 3 unless set here or in ``default_args``.
    :param retry_delay: Pause before a retry, in seconds or as a ``timedelta``; one second, since a phone rings.
    :return: The call as a dict, as ``IncomingCallSensor`` returns it.
    :raises UnknownCall: The switchboard has never seen the call; is it another line's?
    :raises SwitchboardUnreachable: The switchboard did not answer.
    """

    def __init__(
        self,
        *,
        if_gone: IfGone = "skip",
        retries: int | None = SAFE_RETRIES,
        retry_delay: timedelta | float = SAFE_RETRY_DELAY,
        **kwargs: Any,
    ) -> None:
        super().__init__(if_gone=if_gone, retries=retries, retry_delay=retry_delay, **kwargs)
        self._written = as_written(self)

    def execute(self, context: Context) -> dict[str, Any]:
        """Claim the call; see the class."""
        check_rendered(self)
        call_id = self.reference().call_id
        with self.hook.switchboard() as switchboard:
            try:
                call = switchboard.claim(call_id, claimant_of(context["ti"]))
            except ClaimLost as error:
                self.settle_gone(error)
                call = switchboard.call(call_id)
        self.log.info("Call %s is %s by %s.", call.call_id, call.state, call.claimed_by)
        return call.to_dict()


class ClaimRingingCallsOperator(RenderedTask, BaseOperator):
    """
    Claim all calls that ring and match, and return them: none, one or many.

    For the first task of a DAG that ``IncomingCallTrigger`` starts. Whatever event started the run, and however many
    events Airflow kept back, the task looks at what rings now. Map the tasks that handle one call over what it returns;
    where there is no call, they are skipped.

    Patterns are plain text with ``*`` (any text) and ``?`` (one character). Give the same ones as to the trigger.

    Retries: a claim belongs to the task, not to one try of it. Tried again, the task returns the calls that it has
    already, while they last, and those that ring now.

    :param to: Pattern for the number that was called, E.164. Templated.
    :param from_number: Pattern for the caller's number, E.164. Templated.
    :param headers: Patterns for SIP headers by name. Callers can write what they like into headers. Templated.
    :param max_calls: How many calls to take at most, 1 to 1,000; the others go on ringing. Templated.
    :param openai_realtime_conn_id: Connection of type ``openai_realtime``. Templated.
    :param retries: How often Airflow tries again; 3 unless set here or in ``default_args``.
    :param retry_delay: Pause before a retry, in seconds or as a ``timedelta``; one second, since phones ring.
    :return: The calls as a list of dicts, oldest first, each as ``IncomingCallSensor`` returns it.
    :raises InvalidInput: A pattern cannot be used.
    :raises SwitchboardUnreachable: The switchboard did not answer, and no call is claimed.
    """

    template_fields: Sequence[str] = ("to", "from_number", "headers", "max_calls", "openai_realtime_conn_id")
    ui_color = CallOperator.ui_color

    def __init__(
        self,
        *,
        to: str | None = None,
        from_number: str | None = None,
        headers: Mapping[str, str] | str | None = None,
        max_calls: int | str = 100,
        openai_realtime_conn_id: str = RealtimeHook.default_conn_name,
        retries: int | None = SAFE_RETRIES,
        retry_delay: timedelta | float = SAFE_RETRY_DELAY,
        **kwargs: Any,
    ) -> None:
        super().__init__(retries=retries, retry_delay=retry_delay, **kwargs)
        self.to = to
        self.from_number = from_number
        self.headers = headers
        self.max_calls = max_calls
        self.openai_realtime_conn_id = openai_realtime_conn_id
        check_match_literals(to, from_number, headers)
        if is_literal(max_calls):
            self._most()
        self._written = as_written(self)

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Claim what rings; see the class."""
        check_rendered(self)
        from airflow_openai_realtime.inbound.claiming import claim_ringing

        match = read_match(self.to, self.from_number, self.headers)
        with RealtimeHook(openai_realtime_conn_id=self.openai_realtime_conn_id).switchboard() as switchboard:
            calls = claim_ringing(switchboard, match, claimant_of(context["ti"]), self._report, most=self._most())
        self.log.info("%d calls are claimed: %s", len(calls), ", ".join(call.call_id for call in calls) or "none")
        return [call.to_dict() for call in calls]

    def _most(self) -> int:
        return read_integer(self.max_calls, "max_calls", at_least=1, at_most=1000)

    def _report(self, line: str) -> None:
        self.log.warning("%s", line)
