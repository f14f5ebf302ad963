"""The state of a task instance, as a switchboard in Airflow's API server reports it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

ENDED_STATES = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})
"""States of a task instance that is over and that Airflow does not retry."""

DEFERRED = "deferred"

CLEARED_SECONDS = 60.0
"""How long the call of a cleared task waits for the next try, in seconds."""
AskTaskState = Callable[["TaskReference"], "TaskState | None"]
LeaveResult = Callable[["TaskReference", Mapping[str, Any]], None]


@dataclass(frozen=True)
class TaskReference:
    """
    One try of a task instance.

    :param dag_id: Airflow's id of the DAG.
    :param run_id: Airflow's id of the DAG run.
    :param task_id: Airflow's id of the task.
    :param map_index: Index of a mapped task, 0 or more; -1 for a task that is not mapped.
    :param try_id: Airflow's id of the try, a UUID; a cleared task gets a new one. ``None``: any try.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int = -1
    try_id: str | None = None


@dataclass(frozen=True)
class TaskState:
    """
    State of a task instance.

    :param exists: Whether Airflow still has the task instance.
    :param state: Airflow's name of its state; ``None``: none yet, as after the task was cleared.
    :param is_same_try: Whether its current try is the one that the request named.
    """

    exists: bool
    state: str | None = None
    is_same_try: bool = True

    @property
    def is_ended(self) -> bool:
        """Whether the try is over and is not retried: marked as failed or successful, skipped, or deleted."""
        return not self.exists or (self.is_same_try and self.state in ENDED_STATES)

    @property
    def is_moved(self) -> bool:
        """Whether the try still waits in a triggerer, now in another one."""
        return self.is_same_try and self.state == DEFERRED

    @property
    def is_cared_for(self) -> bool:
        """Whether a worker or a triggerer runs the task, in this try or the next."""
        return self.state in ("running", DEFERRED)

    def to_dict(self) -> dict[str, Any]:
        """As JSON primitives."""
        return {"exists": self.exists, "state": self.state, "is_same_try": self.is_same_try}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> TaskState:
        """
        Read what :meth:`to_dict` wrote.

        :param value: JSON object with ``exists``, ``state`` and ``is_same_try``.
        :raises KeyError: A field is missing.
        """
        state = value["state"]
        return cls(bool(value["exists"]), None if state is None else str(state), bool(value["is_same_try"]))


def reference_to(task: Any) -> TaskReference | None:
    """
    Return the reference to the try of a task instance.

    :param task: Task instance from Airflow's task context or trigger; ``None`` returns ``None``.
    """
    if task is None:
        return None
    map_index = -1 if task.map_index is None else task.map_index
    try_id = getattr(task, "id", None)
    return TaskReference(task.dag_id, task.run_id, task.task_id, map_index, None if try_id is None else str(try_id))
