"""
Task instances written into Airflow's database as deferred, by Airflow's own models: for programs that run in Airflow's
environment. From there on nothing is special: the triggerer finds rows of waiting tasks as it always does, loads their
triggers, and runs them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any

from demo.airflow_processes import LocalAirflow, wait_until

DEFERRED = "deferred"
#: What a task instance has got by running until it deferred.
_COPIED = ("state", "next_method", "next_kwargs", "trigger_timeout", "try_number", "start_date", "hostname", "unixname")


def run_in_airflow(airflow: LocalAirflow, module: str, arguments: Mapping[str, Any]) -> None:
    """
    Run a module in Airflow's environment, in a process of its own.

    :param module: It reads its arguments, a JSON object, from its standard input.
    :param arguments: The arguments.
    """
    env = {**airflow.env, "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR"}
    subprocess.run([sys.executable, "-m", module], env=env, check=True, input=json.dumps(arguments), text=True)


def defer_others(dag_id: str, run_id: str, count: int, own: Callable[[int, Mapping[str, Any]], dict[str, Any]]) -> None:
    """
    Write the task instances of a run that wait for a slot as deferred, like the one that really is.

    :param count: How many are deferred then, by their map index.
    :param own: Gives the arguments of a trigger that differ, from the map index and the arguments of the first one.
    """
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.trigger import Trigger
    from airflow.utils.session import create_session
    from sqlalchemy import select

    query = select(TaskInstance).where(TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id)
    with create_session() as session:
        instances = list(session.scalars(query))
        first = next(each for each in instances if each.state == DEFERRED)
        classpath, arguments = first.trigger.classpath, first.trigger.kwargs
        for instance in instances:
            if instance.state == DEFERRED or instance.map_index >= count:
                continue
            trigger = Trigger(classpath, {**arguments, **own(instance.map_index, arguments)})
            session.add(trigger)
            session.flush()
            for name in _COPIED:
                setattr(instance, name, getattr(first, name))
            instance.trigger_id = trigger.id


def wait_until_taken(dag_id: str, run_id: str, count: int) -> None:
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
