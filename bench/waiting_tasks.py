"""
Many tasks that wait in the triggerer, without the minutes that it takes to start so many on a small machine.

One task instance of a mapped ``AnswerCallOperator`` runs for real, in a worker, and defers. The others of its DAG run
stay scheduled, since their pool has one slot and the deferred one holds it. They are then written into Airflow's
database as deferred, by Airflow's own models: each with a copy of the first one's trigger, but with the number that it
waits for and the name of its own task instance. From there on nothing is special: the triggerer finds rows of waiting
tasks as it always does, loads their triggers, and runs them.

The second half of this module runs in Airflow's environment, in a process of its own, with the models at hand.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

from demo.airflow_processes import LocalAirflow, wait_until

TASK_ID = "answer"
_DAG = """\
from airflow.sdk import DAG

from airflow_openai_realtime.operators import AnswerCallOperator

with DAG({dag_id!r}, schedule=None, max_active_tasks=1000, is_paused_upon_creation=False):
    AnswerCallOperator.partial(
        task_id={task_id!r},
        pool={dag_id!r},
        instructions="You answer the phone of a shop. The caller's number is {{caller}}. Answer briefly and kindly.",
        caller_fields={{"caller": "from_number"}},
        timeout=3600,
    ).expand(to={numbers!r})
"""
_DEFERRED = "deferred"
#: What a task instance has got by running until it deferred.
_COPIED = ("state", "next_method", "next_kwargs", "trigger_timeout", "try_number", "start_date", "hostname", "unixname")


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
        wait_until(lambda: self._is_in_state(_DEFERRED, 1), f"a task of {self._dag_id} to wait", timeout_seconds=120)
        others = self.count - 1
        wait_until(lambda: self._is_in_state("scheduled", others), "the other tasks", timeout_seconds=120)

    def let_wait(self, count: int) -> None:
        """
        Let so many tasks wait in all, and wait until the triggerer runs their triggers.

        :param count: At least one, at most as many as there are numbers.
        """
        arguments = {"dag_id": self._dag_id, "run_id": self._run_id, "numbers": self._numbers[:count]}
        command = [sys.executable, "-m", "bench.waiting_tasks", json.dumps(arguments)]
        env = {**self._airflow.env, "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR"}
        subprocess.run(command, env=env, check=True)
        time.sleep(5)  # from the triggerer's first process to its second, and to the switchboard

    def let_go_on(self) -> None:
        """Give the tasks whose trigger fires all the slots that they want."""
        pool = {"name": self._dag_id, "slots": 1000, "include_deferred": True}
        self._airflow.request("PATCH", f"/api/v2/pools/{self._dag_id}", json=pool)

    def _is_in_state(self, state: str, count: int) -> bool:
        path = f"/api/v2/dags/{self._dag_id}/dagRuns/{self._run_id}/taskInstances"
        answer = self._airflow.request("GET", path, params={"state": state, "limit": 1})
        return int(answer.json()["total_entries"]) >= count


def _defer(dag_id: str, run_id: str, numbers: list[str]) -> None:
    """Write task instances of a run as deferred, one for each number; in Airflow's environment."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.trigger import Trigger
    from airflow.utils.session import create_session
    from sqlalchemy import select

    query = select(TaskInstance).where(TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id)
    with create_session() as session:
        instances = list(session.scalars(query))
        first = next(each for each in instances if each.state == _DEFERRED)
        classpath, arguments = first.trigger.classpath, first.trigger.kwargs
        for instance in instances:
            if instance.state == _DEFERRED or instance.map_index >= len(numbers):
                continue
            own = {
                "match": {**arguments["match"], "to": numbers[instance.map_index]},
                "claimant": f"{dag_id}/{run_id}/{TASK_ID}/{instance.map_index}",
            }
            trigger = Trigger(classpath, {**arguments, **own})
            session.add(trigger)
            session.flush()
            for name in _COPIED:
                setattr(instance, name, getattr(first, name))
            instance.trigger_id = trigger.id


def _wait_until_taken(dag_id: str, run_id: str, count: int) -> None:
    """Wait until a triggerer has taken so many of the triggers."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.trigger import Trigger
    from airflow.utils.session import create_session
    from sqlalchemy import func, select

    taken = (
        select(func.count())
        .select_from(TaskInstance)
        .join(Trigger, Trigger.id == TaskInstance.trigger_id)
        .where(TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id, Trigger.triggerer_id.is_not(None))
    )

    def is_done() -> bool:
        with create_session() as session:
            return (session.scalar(taken) or 0) >= count

    wait_until(is_done, f"{count} triggers of {dag_id} to be loaded", timeout_seconds=60 + count / 10, every_seconds=1)


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    _defer(**given)
    _wait_until_taken(given["dag_id"], given["run_id"], len(given["numbers"]))
