"""The task that a call belongs to, if it belongs to one. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from airflow_openai_realtime.calls.recent import RecentCall, UnreachedAttempt


@dataclass(frozen=True)
class OwningTask:
    """
    The task instance that a call belongs to.

    :param dag_id: Id of the DAG.
    :param run_id: Id of the DAG run.
    :param task_id: Id of the task.
    :param map_index: -1 when the task is not mapped.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int

    def to_dict(self) -> dict[str, Any]:
        """As JSON primitives."""
        return asdict(self)


def task_named(owner: str | None) -> OwningTask | None:
    """
    Read the owner name of a task: ``dag/run/task/map_index``.

    :param owner: Name of an owner, or ``None``.
    :returns: ``None`` when it is not the name of a task, for example of a standing order.
    """
    parts = (owner or "").split("/")
    if len(parts) != 4 or not all(parts):
        return None
    try:
        map_index = int(parts[3])
    except ValueError:
        return None
    return OwningTask(parts[0], parts[1], parts[2], map_index)


def owner_of(row: RecentCall | UnreachedAttempt) -> OwningTask | None:
    """
    Return the task that a row of the page belongs to.

    For a call: the task that owns it, else the one that runs its conversation, else the one that placed it. For an
    attempt without a call: the task that dials.

    :param row: A call or an attempt from a switchboard.
    :returns: ``None`` when it belongs to no task.
    """
    if isinstance(row, UnreachedAttempt):
        return task_named(row.attempt.claimant)
    holder = row.conversation.holder if row.conversation is not None else None
    placed_by = row.attempt.claimant if row.attempt is not None else None
    return task_named(row.call.claimed_by) or task_named(holder) or task_named(placed_by)
