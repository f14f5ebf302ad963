"""
Many tasks that wait in the triggerer, without the minutes that it takes to start so many on a small machine.

One task instance of a mapped ``IncomingCallSensor(answer=True)`` runs for real, in a worker, and defers. The others of
its DAG run stay scheduled, since their pool has one slot and the deferred one holds it. They are then written into
Airflow's database as deferred (``deferring.py``): each with a copy of the first one's trigger, but with the number that
it waits for and the name of its own task instance.

The end of this module runs in Airflow's environment, in a process of its own, with Airflow's models at hand.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from demo.airflow_processes import LocalAirflow, wait_until

from bench.deferring import DEFERRED, defer_others, run_in_airflow, wait_until_taken

TASK_ID = "answer"
_DAG = """\
from airflow.sdk import DAG

from airflow_openai_realtime.sensors import IncomingCallSensor

with DAG({dag_id!r}, schedule=None, max_active_tasks=1000, is_paused_upon_creation=False):
    IncomingCallSensor.partial(
        task_id={task_id!r},
        answer=True,
        pool={dag_id!r},
        instructions="You answer the phone of a shop. The caller's number is {{caller}}. Answer briefly and kindly.",
        caller_fields={{"caller": "from_number"}},
        timeout=3600,
    ).expand(to={numbers!r})
"""


class WaitingTasks:
    """
    The tasks of one DAG run that wait for calls.

    :param airflow: Where they wait.
    :param dag_id: The DAG to make; its pool gets the same name.
    :param numbers: The number that each task waits for.
    """

    def __init__(self, airflow: LocalAirflow, dag_id: str, numbers: list[str]) -> None:
        self._airflow = airflow
        self._dag_id = dag_id
        self._numbers = numbers
        self.count = len(numbers)
        self._run_id = ""

    def write(self, folder: Path) -> None:
        """Write the DAG's file."""
        text = _DAG.format(dag_id=self._dag_id, task_id=TASK_ID, numbers=self._numbers)
        (folder / f"{self._dag_id}.py").write_text(text)

    def start(self) -> None:
        """Start the run, and wait until its first task waits."""
        pool = {"name": self._dag_id, "slots": 1, "include_deferred": True}
        self._airflow.request("POST", "/api/v2/pools", json=pool)
        self._airflow.wait_for_dag(self._dag_id)
        self._run_id = self._airflow.trigger(self._dag_id)
        wait_until(lambda: self._is_in_state(DEFERRED, 1), f"a task of {self._dag_id} to wait", timeout_seconds=120)
        others = self.count - 1
        wait_until(lambda: self._is_in_state("scheduled", others), "the other tasks", timeout_seconds=120)

    def let_wait(self, count: int) -> None:
        """
        Let so many tasks wait in all, and wait until the triggerer runs their triggers.

        :param count: At least one, at most as many as there are numbers.
        """
        arguments = {"dag_id": self._dag_id, "run_id": self._run_id, "numbers": self._numbers[:count]}
        run_in_airflow(self._airflow, "bench.waiting_tasks", arguments)
        time.sleep(5)  # from the triggerer's first process to its second, and to the switchboard

    def let_go_on(self) -> None:
        """Give the tasks whose trigger fires all the slots that they want."""
        pool = {"name": self._dag_id, "slots": 1000, "include_deferred": True}
        self._airflow.request("PATCH", f"/api/v2/pools/{self._dag_id}", json=pool)

    def _is_in_state(self, state: str, count: int) -> bool:
        path = f"/api/v2/dags/{self._dag_id}/dagRuns/{self._run_id}/taskInstances"
        answer = self._airflow.request("GET", path, params={"state": state, "limit": 1})
        return int(answer.json()["total_entries"]) >= count


if __name__ == "__main__":
    given = json.loads(sys.stdin.read())
    wanted: list[str] = given.pop("numbers")

    def own(map_index: int, first: Mapping[str, Any]) -> dict[str, Any]:
        """What differs for the task that waits for another number."""
        owner = f"{given['dag_id']}/{given['run_id']}/{TASK_ID}/{map_index}"
        return {"match": {**first["match"], "to": wanted[map_index]}, "claimant": owner}

    defer_others(**given, count=len(wanted), own=own)
    wait_until_taken(**given, count=len(wanted))
