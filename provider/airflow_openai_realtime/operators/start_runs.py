"""Starting one DAG run for each call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from airflow_openai_realtime.calls.parameters import (
    SAFE_RETRIES,
    SAFE_RETRY_DELAY,
    check_match_literals,
    read_mapping,
    read_match,
)
from airflow_openai_realtime.exceptions import InvalidInput
from airflow_openai_realtime.hooks.realtime import RealtimeHook
from airflow_openai_realtime.operators.call_operator import CallOperator
from airflow_openai_realtime.operators.template_fields import RenderedTask, as_written, check_rendered

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_openai_realtime.calls.call import SwitchboardCall


class StartRunPerCallOperator(RenderedTask, BaseOperator):
    """
    Start one DAG run for each call that rings and matches.

    For the only task of a DAG that ``IncomingCallTrigger`` starts. The id of a call's run is made from the call's id,
    and Airflow takes an id only once: however often this task looks at the same call, the call has one run.

    The run finds the call in its conf: ``call_id``, ``line`` and ``received_at``. It claims the call itself, with
    ``AcceptCallOperator(call_id="{{ dag_run.conf['call_id'] }}")`` or ``ClaimCallOperator``. Until then the call stays
    unclaimed, so whatever else looks after unclaimed calls still does.

    Patterns are plain text with ``*`` (any text) and ``?`` (one character). Give the same ones as to the trigger.

    Retries: a run that was started is not started again.

    :param trigger_dag_id: The DAG to run; it must not be paused. Templated.
    :param to: Pattern for the number that was called, E.164. Templated.
    :param from_number: Pattern for the caller's number, E.164. Templated.
    :param headers: Patterns for SIP headers by name. Callers can write what they like into headers. Templated.
    :param conf: More for the conf of the runs, a dict. Shown in Airflow's UI: no personal data. Templated.
    :param openai_realtime_conn_id: Connection of type ``openai_realtime``. Templated.
    :param retries: How often Airflow tries again; 3 unless set here or in ``default_args``.
    :param retry_delay: Pause before a retry, in seconds or as a ``timedelta``; one second, since phones ring.
    :return: The ids of the runs that were started, as a list; calls that have a run already are left out.
    :raises InvalidInput: A pattern cannot be used.
    :raises ConfigurationError: The DAG is paused, or Airflow does not start it.
    :raises SwitchboardUnreachable: The switchboard did not answer.

    Source: https://airflow.apache.org/docs/apache-airflow/stable/core-concepts/dag-run.html
    """

    template_fields: Sequence[str] = (
        "trigger_dag_id",
        "to",
        "from_number",
        "headers",
        "conf",
        "openai_realtime_conn_id",
    )
    ui_color = CallOperator.ui_color

    def __init__(
        self,
        *,
        trigger_dag_id: str,
        to: str | None = None,
        from_number: str | None = None,
        headers: Mapping[str, str] | str | None = None,
        conf: Mapping[str, Any] | str | None = None,
        openai_realtime_conn_id: str = RealtimeHook.default_conn_name,
        retries: int | None = SAFE_RETRIES,
        retry_delay: timedelta | float = SAFE_RETRY_DELAY,
        **kwargs: Any,
    ) -> None:
        super().__init__(retries=retries, retry_delay=retry_delay, **kwargs)
        self.trigger_dag_id = trigger_dag_id
        self.to = to
        self.from_number = from_number
        self.headers = headers
        self.conf = conf
        self.openai_realtime_conn_id = openai_realtime_conn_id
        if not trigger_dag_id:
            raise InvalidInput("trigger_dag_id is empty; give the id of the DAG to run", field="trigger_dag_id")
        check_match_literals(to, from_number, headers)
        self._written = as_written(self)

    def execute(self, context: Context) -> list[str]:
        """Start the runs; see the class."""
        check_rendered(self)
        from airflow_openai_realtime.inbound.claiming import ringing_calls
        from airflow_openai_realtime.operators.dag_runs import check_not_paused

        match, more = read_match(self.to, self.from_number, self.headers), read_mapping(self.conf, "conf")
        with RealtimeHook(openai_realtime_conn_id=self.openai_realtime_conn_id).switchboard() as switchboard:
            calls = ringing_calls(switchboard, match)
        if not calls:
            self.log.info("No call rings that matches and is unclaimed.")
            return []
        check_not_paused(self.trigger_dag_id)
        return self._start(calls, more or {})

    def _start(self, calls: Sequence[SwitchboardCall], more: Mapping[str, Any]) -> list[str]:
        from airflow_openai_realtime.calls.run_ids import run_id_of
        from airflow_openai_realtime.operators.dag_runs import start_run

        started: list[str] = []
        for call in calls:
            run_id = run_id_of(call.call_id)
            if start_run(self.trigger_dag_id, run_id, {**more, **_about(call)}):
                started.append(run_id)
                self.log.info("Run %s of %s is started.", run_id, self.trigger_dag_id)
            else:
                self.log.info("Call %s has its run already.", call.call_id)
        return started


def _about(call: SwitchboardCall) -> dict[str, str]:
    """What a run is told of its call: nothing personal, since Airflow shows it to everybody who may see the run."""
    return {"call_id": call.call_id, "line": call.line, "received_at": call.received_at.isoformat()}
