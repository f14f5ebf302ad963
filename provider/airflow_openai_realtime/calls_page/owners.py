"""Whose a call is: a task's, a standing order's, or nobody's. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from airflow_openai_realtime.switchboard.recent import RecentCall


@dataclass(frozen=True)
class OwningTask:
    """
    The task instance that a call belongs to.

    :param map_index: -1 when the task is not mapped.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int

    def to_dict(self) -> dict[str, Any]:
        """As JSON primitives."""
        return asdict(self)


def task_named(claimant: str | None) -> OwningTask | None:
    """
    Read the name under which a task claims calls: ``dag/run/task/map_index``.

    :returns: ``None`` when it is the name of something else, for example of a standing order.
    """
    parts = (claimant or "").split("/")
    if len(parts) != 4 or not all(parts):
        return None
    try:
        map_index = int(parts[3])
    except ValueError:
        return None
    return OwningTask(parts[0], parts[1], parts[2], map_index)


def owner_of(recent: RecentCall) -> OwningTask | None:
    """The task that has the call; for a call that no task has claimed, the one that runs its conversation."""
    claimed = task_named(recent.call.claimed_by)
    if claimed is None and recent.conversation is not None:
        return task_named(recent.conversation.holder)
    return claimed
