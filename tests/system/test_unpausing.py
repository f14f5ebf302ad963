"""A campaign that is unpaused after its time, in a real Airflow."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from demo.airflow_processes import wait_until
from demo.stage import EXAMPLE_DAGS, Stage

pytestmark = pytest.mark.system

DAG = "example_callback_campaign"
SCHEDULE = '"0 9 * * 1-5"'
LATE = timedelta(minutes=40)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """An Airflow with a copy of the shipped campaign, whose daily time was 40 minutes ago."""
    dags = tmp_path / "dags"
    dags.mkdir()
    shutil.copy(EXAMPLE_DAGS / "callback_contacts.csv", dags)
    code = (EXAMPLE_DAGS / f"{DAG}.py").read_text()
    assert SCHEDULE in code
    at = datetime.now(timezone.utc) - LATE
    (dags / f"{DAG}.py").write_text(code.replace(SCHEDULE, f'"{at.minute} {at.hour} * * *"'))
    with Stage(tmp_path, dags) as stage:
        yield stage


def places(stage: Stage, run_id: str) -> list[tuple[str, int]]:
    """State and try of each task that places a call."""
    tasks = stage.airflow.task_instances(DAG, run_id)
    return [(task["state"], task["try_number"]) for task in tasks if task["task_id"].endswith(".place")]


def test_unpausing_a_campaign_after_its_time_rings_nobody_and_neither_does_clearing_that_run(stage: Stage) -> None:
    airflow, log = stage.airflow, stage.simulator.log
    airflow.wait_for_dag(DAG)
    airflow.unpause(DAG)

    def scheduled() -> list[str]:
        runs = airflow.request("GET", f"/api/v2/dags/{DAG}/dagRuns").json()["dag_runs"]
        return [run["dag_run_id"] for run in runs if run["run_type"] == "scheduled"]

    # What this guards against: Airflow starts the latest run that was missed, at once.
    wait_until(lambda: bool(scheduled()), "the run that was missed", timeout_seconds=120)
    (run_id,) = scheduled()
    wait_until(lambda: airflow.run_state(DAG, run_id) == "success", "its end", timeout_seconds=240, every_seconds=1)
    assert places(stage, run_id) == [("skipped", 1)] * 10

    airflow.request("POST", f"/api/v2/dags/{DAG}/dagRuns/{run_id}/clear", json={"dry_run": False})
    wait_until(
        lambda: places(stage, run_id) == [("skipped", 2)] * 10, "the cleared run", timeout_seconds=240, every_seconds=1
    )
    assert not log.calls

    airflow.trigger(DAG, {"max_duration_seconds": 20})
    wait_until(lambda: bool(log.calls), "a call of the run that was started by hand", timeout_seconds=240)
