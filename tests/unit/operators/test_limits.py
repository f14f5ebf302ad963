"""Limits that DAG authors know from Airflow: none is taken and then ignored."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_openai_realtime.exceptions import InvalidInput
from airflow_openai_realtime.operators.accept import AcceptCallOperator
from airflow_openai_realtime.operators.hang_up import HangupCallOperator
from airflow_openai_realtime.operators.place import PlaceCallOperator
from airflow_openai_realtime.operators.watch import WatchCallOperator
from airflow_openai_realtime.sensors.incoming_call import IncomingCallSensor

LIMIT = timedelta(minutes=5)
PLACED = {"to": "+14155550142", "campaign": "c"}
#: Tasks that wait in the triggerer, and the limit of ours that they have.
WAITING: list[tuple[type, dict[str, Any], str]] = [
    (AcceptCallOperator, {"call": "rtc_1", "wait_for_end": True}, "max_duration_seconds"),
    (IncomingCallSensor, {"answer": True, "wait_for_end": True}, "max_duration_seconds"),
    (IncomingCallSensor, {"answer": True}, "timeout"),
    (PlaceCallOperator, {**PLACED, "wait_for_end": True}, "max_duration_seconds"),
    (WatchCallOperator, {"call_id": "rtc_1"}, "max_duration_seconds"),
    (WatchCallOperator, {"order": "desk"}, "max_duration_seconds"),
    (WatchCallOperator, {"order": "desk", "wait_for_end": False}, "timeout"),
    (IncomingCallSensor, {}, "timeout"),
]
#: Tasks that do all they do in a worker, where Airflow counts.
IN_WORKER: list[tuple[type, dict[str, Any]]] = [
    (AcceptCallOperator, {"call": "rtc_1"}),
    (PlaceCallOperator, PLACED),
    (HangupCallOperator, {"call": "rtc_1"}),
    (IncomingCallSensor, {"deferrable": False}),
    (IncomingCallSensor, {"mode": "reschedule"}),
]


@pytest.mark.parametrize(("operator", "given", "instead"), WAITING)
@pytest.mark.parametrize("in_default_args", [False, True])
def test_an_execution_timeout_that_would_limit_nothing_is_refused(
    operator: type, given: dict[str, Any], instead: str, in_default_args: bool
) -> None:
    limit = {"execution_timeout": LIMIT}
    with (
        DAG("d", schedule=None, default_args=limit if in_default_args else {}),
        pytest.raises(InvalidInput, match=f"does not limit this task.*Give {instead}"),
    ):
        operator(task_id="t", **given, **({} if in_default_args else limit))


@pytest.mark.parametrize(("operator", "given", "instead"), WAITING)
def test_a_task_may_opt_out_of_the_limit_of_all_tasks(operator: type, given: dict[str, Any], instead: str) -> None:
    with DAG("d", schedule=None, default_args={"execution_timeout": LIMIT}):
        assert operator(task_id="t", execution_timeout=None, **given).execution_timeout is None


@pytest.mark.parametrize(("operator", "given"), IN_WORKER)
def test_in_a_worker_airflow_counts(operator: type, given: dict[str, Any]) -> None:
    assert operator(task_id="t", execution_timeout=LIMIT, **given).execution_timeout == LIMIT
