"""Two real triggerers of a real Airflow; one is killed or stopped for a while, at any moment of four calls."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from demo.airflow_processes import wait_until
from demo.stage import Stage
from tests.chaos.scene import LATE_SECONDS, ring

from airflow_openai_realtime.states import CallState
from airflow_openai_realtime.switchboard.client.switchboard_requests import get_status, list_calls

pytestmark = [pytest.mark.chaos, pytest.mark.system]

DAG_ID = "answer_in_chaos"
TASKS = 4
TRIGGERERS = ("triggerer@a", "triggerer@b")
#: A triggerer that is silent for so long is taken for dead, and its triggers move; each has room for most of them.
SILENCE_SECONDS = 5
SETTINGS = {
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": str(SILENCE_SECONDS),
    "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
    "AIRFLOW__TRIGGERER__CAPACITY": "3",
    "AIRFLOW__OPENAI_REALTIME__RING_SECONDS": "120",
}


def start_triggerer(stage: Stage, name: str) -> None:
    """Start one of the two."""
    command = [sys.executable, "-m", "airflow", "triggerer", "--skip-serve-logs"]
    stage.airflow.processes.start(name, command, stage.airflow.env)


def send(stage: Stage, name: str, number: signal.Signals) -> None:
    """Send a signal to a triggerer and the process that runs its triggers."""
    os.killpg(stage.airflow.processes.processes[name].pid, number)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """An Airflow with two triggerers, for all trials."""
    made = Stage(tmp_path_factory.mktemp("chaos"), Path(__file__).with_name("dags"), env=SETTINGS, ring_seconds=300)
    components = ("api-server", "scheduler", "dag-processor")
    start = made.airflow.start
    made.airflow.start = lambda *_: start(*components)  # type: ignore[method-assign]
    with made:
        for name in TRIGGERERS:
            start_triggerer(made, name)
        made.airflow.wait_for_dag(DAG_ID)
        yield made


def instances(stage: Stage, run_id: str, state: str) -> list[dict[str, Any]]:
    """The tasks of a run that are in a state."""
    return [task for task in stage.airflow.task_instances(DAG_ID, run_id) if task["state"] == state]


def disturb(stage: Stage, victim: str) -> None:
    """Kill a triggerer and start another one, or stop it for longer than a living one is silent."""
    time.sleep(random.uniform(0, 1.5))
    if random.random() < 0.5:
        stage.airflow.processes.kill(victim)
        time.sleep(random.uniform(0, 3.0))
        start_triggerer(stage, victim)
    else:
        send(stage, victim, signal.SIGSTOP)
        time.sleep(SILENCE_SECONDS + random.uniform(1.0, 4.0))
        send(stage, victim, signal.SIGCONT)


def accepted_to(stage: Stage, number: str) -> list[str]:
    """Ids of the calls to a number that OpenAI accepted, once for each accept."""
    found = [record for record in stage.simulator.log.calls if record.to_number == number]
    return [str(record.call_id) for record in found for _ in range(record.accepted)]


def test_a_triggerer_that_dies_or_hangs_loses_no_call_and_no_task_takes_two(trial: int, stage: Stage) -> None:
    number = f"+1415555{random.randrange(2000, 9999)}"
    run_id = stage.airflow.trigger(DAG_ID, {"to": number})
    wait_until(lambda: len(instances(stage, run_id, "deferred")) == TASKS, "tasks that wait", timeout_seconds=180)
    wait_until(lambda: polls(stage) >= 1, "triggers that wait", timeout_seconds=60)
    from_numbers = [ring_to(stage, number) for _ in range(random.randrange(TASKS))]
    disturb(stage, random.choice(TRIGGERERS))
    while len(from_numbers) < TASKS + 1:
        from_numbers.append(ring_to(stage, number))
        time.sleep(random.uniform(0, 0.5))
    # One call more than tasks: no task may take that one, not even one that resumes meanwhile.
    wait_until(lambda: len(instances(stage, run_id, "success")) == TASKS, "tasks with a call", timeout_seconds=240)
    time.sleep(2.0)
    accepted = accepted_to(stage, number)
    assert len(accepted) == len(set(accepted)) == TASKS, accepted
    assert sorted(calls_of_tasks(stage, run_id)) == sorted(accepted)


def ring_to(stage: Stage, number: str) -> str:
    """Let a person call the number of a run."""
    (call_id,) = ring(stage.simulator, to=number)
    return call_id


def polls(stage: Stage) -> int:
    """How many wait at the switchboard: one for each triggerer that has triggers."""
    with stage.switchboard() as client:
        return int(client.send(get_status())["waiting_polls"])


def calls_of_tasks(stage: Stage, run_id: str) -> list[str]:
    """What the tasks of a run returned."""
    path = f"/api/v2/dags/{DAG_ID}/dagRuns/{run_id}/taskInstances/answer/xcomEntries/return_value"
    answers = [stage.airflow.request("GET", path, params={"map_index": index}).json() for index in range(TASKS)]
    return [answer["value"]["call_id"] for answer in answers]


def test_of_all_these_calls_none_was_open_past_its_time(stage: Stage) -> None:
    log = stage.simulator.log
    assert stage.simulator.wait_for(lambda: not log.open_calls(), timeout_seconds=90 + LATE_SECONDS + 30)
    with stage.switchboard() as client:
        rows = {row.call_id: row for row in client.send(list_calls(state=",".join(CallState), limit=1000)).calls}
    ended = {entry.call_id: entry.at for entry in log.of_kind("openai.ended")}
    for record in log.accepted():
        hangup_at = rows[str(record.call_id)].hangup_at
        assert hangup_at is not None
        assert (ended[record.call_id] - hangup_at).total_seconds() <= LATE_SECONDS
