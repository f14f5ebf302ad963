"""A phone line that a DAG opens and closes, in a real Airflow."""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import datetime, timedelta

import pytest
from demo.airflow_processes import wait_until
from demo.stage import Stage

from airflow_openai_realtime.exceptions import UnknownCall
from airflow_openai_realtime.simulator.phones import PhoneScript
from airflow_openai_realtime.switchboard.client.order_requests import list_orders
from airflow_openai_realtime.switchboard.client.switchboard_requests import get_call

pytestmark = pytest.mark.system

DAG = "example_phone_hours"
WAIT = "wait_for_closing_time"
NUMBER = "+14155550166"
CALLER = "+14155550123"
#: How long a call that no order answers rings once the switchboard has it, in seconds. What an order answers it
#: answers with the delivery, and what rings already when it comes within a second.
IN_VAIN_SECONDS = 5


def is_open(stage: Stage) -> bool:
    with stage.switchboard() as switchboard:
        return any(order.name == "phone_hours" for order in switchboard.send(list_orders()))


def states(stage: Stage, run_id: str) -> dict[str, str | None]:
    return {task["task_id"]: task["state"] for task in stage.airflow.task_instances(DAG, run_id)}


def end_early(stage: Stage, run_id: str) -> None:
    """Let the closing time of a run come, by marking the task that waits for it; a run that has ended is left alone."""

    def is_over() -> bool:
        if states(stage, run_id).get(WAIT) == "deferred":
            path = f"/api/v2/dags/{DAG}/dagRuns/{run_id}/taskInstances/{WAIT}"
            stage.airflow.request("PATCH", path, json={"new_state": "success"})
        return stage.airflow.run_state(DAG, run_id) in ("success", "failed")

    wait_until(is_over, "the end of the run", timeout_seconds=180, every_seconds=1)
    assert stage.airflow.run_state(DAG, run_id) == "success", states(stage, run_id)


def rings_in_vain(stage: Stage) -> str:
    """A person calls, the switchboard has the call and leaves it ringing; the person gives up."""
    call_id: str = stage.simulator.call_in(CALLER, NUMBER, script=PhoneScript.answers(talks_for_seconds=5))
    with stage.switchboard() as switchboard:

        def arrived() -> bool:
            with suppress(UnknownCall):
                return bool(switchboard.send(get_call(call_id)))
            return False

        wait_until(arrived, "the call at the switchboard", timeout_seconds=60)
        time.sleep(IN_VAIN_SECONDS)
        row = switchboard.send(get_call(call_id))
        assert (row.state, row.claimed_by) == ("ringing", None)
    stage.simulator.phones.hang_up(CALLER)
    assert stage.simulator.log.call(call_id=call_id).fate == "missed"
    return call_id


def scheduled_runs(stage: Stage) -> list[str]:
    runs = stage.airflow.request("GET", f"/api/v2/dags/{DAG}/dagRuns").json()["dag_runs"]
    return [run["dag_run_id"] for run in runs if run["run_type"] == "scheduled"]


def test_a_line_is_answered_while_it_is_open_and_not_before_or_after(stage: Stage) -> None:
    airflow, simulator = stage.airflow, stage.simulator
    script = PhoneScript.answers(talks_for_seconds=5)
    airflow.wait_for_dag(DAG)
    airflow.unpause(DAG)
    # The latest 8:00: at daytime this run opens the line, at night it finds that the line would be closed again.
    wait_until(lambda: bool(scheduled_runs(stage)), "the run of today", timeout_seconds=120)
    end_early(stage, scheduled_runs(stage)[0])
    assert not is_open(stage)

    before = rings_in_vain(stage)

    run_id = airflow.trigger(DAG, {"number": NUMBER})
    wait_until(lambda: states(stage, run_id).get(WAIT) == "deferred", "the line to open", timeout_seconds=180)
    assert is_open(stage)
    calls = [simulator.call_in(f"+1415555017{number}", NUMBER, script=script) for number in range(5)]
    wait_until(
        lambda: all(simulator.log.call(call_id=call_id).accepted for call_id in calls),
        "the answers",
        timeout_seconds=60,
    )
    assert closing_time(stage, run_id) == run_after(stage, run_id) + timedelta(minutes=600)

    end_early(stage, run_id)
    assert not is_open(stage)
    after = rings_in_vain(stage)
    accepted = {call_id: simulator.log.call(call_id=call_id).accepted for call_id in (before, *calls, after)}
    assert accepted == {before: 0, **dict.fromkeys(calls, 1), after: 0}


def closing_time(stage: Stage, run_id: str) -> datetime:
    path = f"/api/v2/dags/{DAG}/dagRuns/{run_id}/taskInstances/{WAIT}"
    return datetime.fromisoformat(stage.airflow.request("GET", path).json()["rendered_fields"]["target_time"])


def run_after(stage: Stage, run_id: str) -> datetime:
    run = stage.airflow.request("GET", f"/api/v2/dags/{DAG}/dagRuns/{run_id}").json()
    return datetime.fromisoformat(run["run_after"].replace("Z", "+00:00"))
