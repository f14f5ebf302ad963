"""Starting a DAG run: once for an id, and a refusal says what to correct."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import ErrorResponse, OKResponse

from airflow_openai_realtime.exceptions import ConfigurationError
from airflow_openai_realtime.operators.dag_runs import check_not_paused, start_run

REFUSED = AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail={"status_code": 404}))


class Supervisor:
    """Answers what a test wants, and notes what it was sent."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer
        self.sent: list[Any] = []

    def send(self, message: Any) -> Any:
        self.sent.append(message)
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


def supervised(patch: pytest.MonkeyPatch, answer: Any) -> Supervisor:
    supervisor = Supervisor(answer)
    patch.setattr(task_runner, "SUPERVISOR_COMMS", supervisor, raising=False)
    return supervisor


def test_a_run_is_asked_for_with_its_id_and_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    supervisor = supervised(monkeypatch, OKResponse(ok=True))
    assert start_run("survey", "call__rtc_1", {"call": {"call_id": "rtc_1"}})
    (order,) = supervisor.sent
    assert (order.dag_id, order.run_id, order.conf) == ("survey", "call__rtc_1", {"call": {"call_id": "rtc_1"}})


def test_a_run_that_is_there_already_was_not_started_now(monkeypatch: pytest.MonkeyPatch) -> None:
    supervised(monkeypatch, ErrorResponse(error=ErrorType.DAGRUN_ALREADY_EXISTS))
    assert not start_run("survey", "call__rtc_1", {})


def test_a_refusal_names_the_dag(monkeypatch: pytest.MonkeyPatch) -> None:
    supervised(monkeypatch, REFUSED)
    with pytest.raises(ConfigurationError, match="run of DAG survey") as refused:
        start_run("survey", "call__rtc_1", {})
    assert refused.value.__cause__ is REFUSED


def test_what_is_no_refusal_is_raised_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    supervised(monkeypatch, httpx.ConnectError("no supervisor"))
    with pytest.raises(httpx.ConnectError):
        start_run("survey", "call__rtc_1", {})


@pytest.mark.parametrize(("answer", "told"), [(True, "survey is paused"), (False, None), (REFUSED, "survey")])
def test_only_a_dag_that_runs_at_once_is_taken(monkeypatch: pytest.MonkeyPatch, answer: Any, told: str | None) -> None:
    def get_dag(dag_id: str) -> Any:
        assert dag_id == "survey"
        if isinstance(answer, Exception):
            raise answer
        return SimpleNamespace(is_paused=answer)

    monkeypatch.setattr(task_runner.RuntimeTaskInstance, "get_dag", staticmethod(get_dag))
    if told is None:
        check_not_paused("survey")
        return
    with pytest.raises(ConfigurationError, match=told):
        check_not_paused("survey")
