"""Limits that DAG authors know from Airflow and that do not reach a task which waits in the triggerer."""

from __future__ import annotations

from typing import Any

from airflow_openai_realtime.exceptions import InvalidInput


def refuse_execution_timeout(operator: Any, instead: str) -> None:
    """
    Refuse ``execution_timeout`` for a task that waits in the triggerer.

    Airflow counts it in a worker, anew for each part of the task there; a deferred task outlives it unnoticed (Airflow
    3.3.2, ``task_runner._execute_task``).

    :param operator: The operator, just made.
    :param instead: The parameter of ours that limits the task.
    :raises InvalidInput: It is given, to the operator or in ``default_args``.
    """
    if operator.execution_timeout is not None:
        raise InvalidInput(
            "execution_timeout does not limit this task: Airflow counts it only in a worker, and the task waits in the "
            f"triggerer. Give {instead} instead; where default_args set it for all tasks, give execution_timeout=None "
            "to this one",
            field="execution_timeout",
        )
