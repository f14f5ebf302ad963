"""
Starting DAG runs from within a task.

This is what Airflow's own ``TriggerDagRunOperator`` asks its supervisor, which sends it to the Execution API: no
credentials are needed. The operator can do it once, as the end of its task; this can be done for each of many calls.

Source: https://github.com/apache/airflow/blob/main/task-sdk/src/airflow/sdk/execution_time/task_runner.py
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType

from airflow_openai_realtime.exceptions import ConfigurationError


def _refusals() -> tuple[type[Exception], ...]:
    """
    Return the errors with which Airflow refuses: through the supervisor, and directly in ``dag.test()``.

    The second one is named by Airflow's own class: its base is an error of ``httpx`` before Airflow 3.4, and of
    ``httpx2`` since.
    """
    from airflow.sdk.api.client import ServerResponseError

    return (AirflowRuntimeError, ServerResponseError)


def start_run(dag_id: str, run_id: str, conf: Mapping[str, Any]) -> bool:
    """
    Start a DAG run with this id, unless there is one.

    :param dag_id: The DAG.
    :param run_id: The run's id; Airflow takes it only once for a DAG.
    :param conf: The run's configuration, JSON primitives.
    :return: Whether it was started now; not when there was a run with this id.
    :raises ConfigurationError: Airflow does not start it: there is no such DAG, its file cannot be imported, or it does
        not take such runs.

    Retries: repeated by the supervisor while Airflow's API does not answer; the id keeps it to one run.
    """
    from airflow.sdk.execution_time import task_runner
    from airflow.sdk.execution_time.comms import ErrorResponse, TriggerDagRun

    order = TriggerDagRun(dag_id=dag_id, run_id=run_id, conf=dict(conf))
    try:
        answer = task_runner.SUPERVISOR_COMMS.send(order)
    except _refusals() as error:
        raise ConfigurationError(
            f"Airflow does not start a run of DAG {dag_id}: is there such a DAG, without import errors? {error}"
        ) from error
    return not (isinstance(answer, ErrorResponse) and answer.error == ErrorType.DAGRUN_ALREADY_EXISTS)


def check_not_paused(dag_id: str) -> None:
    """
    Refuse a DAG that is paused: its runs would wait, and begin when no call of theirs rings any more.

    :param dag_id: The DAG.
    :raises ConfigurationError: It is paused, or there is none.
    """
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    try:
        is_paused = RuntimeTaskInstance.get_dag(dag_id).is_paused
    except _refusals() as error:
        raise ConfigurationError(f"Airflow knows no DAG {dag_id}: {error}") from error
    if is_paused:
        raise ConfigurationError(f"DAG {dag_id} is paused: unpause it, so that its runs begin while the phone rings")
