"""Calls answered by the triggerer of a real Airflow."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from demo.airflow_processes import wait_until
from demo.stage import Stage

from airflow_openai_realtime.simulator.phones import PhoneScript
from airflow_openai_realtime.switchboard.client.switchboard_requests import get_call

pytestmark = pytest.mark.system

DAG_ID = "example_answer_call"
OUR_NUMBER = "+14155550188"
CALLS = 6


@pytest.fixture
def waiting_runs(stage: Stage) -> Iterator[list[str]]:
    """Runs whose first task waits in the triggerer; those that the schedule adds wait as well."""
    stage.airflow.wait_for_dag(DAG_ID)
    stage.airflow.unpause(DAG_ID)
    runs = [stage.airflow.trigger(DAG_ID) for _ in range(CALLS)]
    wait_until(
        lambda: all(state_of(stage, run_id, "answer") == "deferred" for run_id in runs),
        "all runs to wait",
        timeout_seconds=180,
        every_seconds=1,
    )
    time.sleep(4)  # until the triggerer has taken them over; Airflow does not say when
    yield runs
    stage.airflow.request("PATCH", f"/api/v2/dags/{DAG_ID}", json={"is_paused": True})


def state_of(stage: Stage, run_id: str, task_id: str) -> str | None:
    states = {each["task_id"]: each["state"] for each in stage.airflow.task_instances(DAG_ID, run_id)}
    return states.get(task_id)


def finished_runs(stage: Stage) -> list[str]:
    """Runs in which a call was answered, watched and hung up."""
    runs = stage.airflow.request("GET", f"/api/v2/dags/{DAG_ID}/dagRuns", params={"limit": 100}).json()["dag_runs"]
    return [run["dag_run_id"] for run in runs if state_of(stage, run["dag_run_id"], "hang_up") == "success"]


def test_several_calls_at_once_are_each_answered_once_within_one_ring(stage: Stage, waiting_runs: list[str]) -> None:
    simulator = stage.simulator
    script = PhoneScript.answers(talks_for_seconds=8)
    calls = []
    for number in range(CALLS):
        caller = f"+1415555030{number}"
        calls.append(simulator.call_in(caller, OUR_NUMBER, headers=[("X-Order-Id", f"A-{number}")], script=script))
        time.sleep(0.1)
    wait_until(
        lambda: all(simulator.log.call(call_id=call_id).accepted for call_id in calls),
        "all calls to be answered",
        timeout_seconds=30,
    )
    waits = [ring_seconds(stage, call_id) for call_id in calls]
    print("ring to accept, in seconds:", sorted(round(wait, 3) for wait in waits))
    assert max(waits) < 5  # a phone rings for that long before it rings again; usually it is a tenth of a second
    assert [simulator.log.call(call_id=call_id).accepted for call_id in calls] == [1] * CALLS
    wait_until(lambda: len(finished_runs(stage)) == CALLS, "the end of the runs", timeout_seconds=120, every_seconds=1)
    assert {simulator.log.call(call_id=call_id).ended_by for call_id in calls} == {"caller"}
    with stage.switchboard() as switchboard:
        assert len({switchboard.send(get_call(call_id)).claimed_by for call_id in calls}) == CALLS
    assert simulator.log.open_calls() == []


def ring_seconds(stage: Stage, call_id: str) -> float:
    rang, accepted = (
        stage.simulator.log.of_kind(kind, call_id=call_id)[0].at for kind in ("openai.ringing", "openai.accepted")
    )
    return (accepted - rang).total_seconds()
