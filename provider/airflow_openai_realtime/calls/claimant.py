"""The name under which a task claims calls."""

from __future__ import annotations

from typing import Protocol


class TaskIdentity(Protocol):
    """What names a task instance, whichever try it is."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int | None


def claimant_of(task: TaskIdentity) -> str:
    """
    Name a task instance as a claimant: ``dag/run/task/map_index``.

    The try number is left out, so that a retried or cleared task is the same claimant and gets its own call again.
    """
    map_index = -1 if task.map_index is None else task.map_index
    return f"{run_prefix(task)}{task.task_id}/{map_index}"


def run_prefix(task: TaskIdentity) -> str:
    """Return what the claimants of all tasks of the same DAG run begin with."""
    return f"{task.dag_id}/{task.run_id}/"
