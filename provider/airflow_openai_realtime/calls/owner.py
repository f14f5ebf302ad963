"""Names of tasks as owners of calls."""

from __future__ import annotations

import hashlib
from typing import Protocol

LONGEST_CLAIMANT = 500
"""Longest owner name in characters. Airflow's ids together may be longer: 250 each."""
_LONGEST_PART = 110
_DIGEST = 32


class TaskIdentity(Protocol):
    """The ids of a task instance, the same for every try."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int | None


def owner_name(task: TaskIdentity) -> str:
    """
    Return the owner name of a task instance: ``dag/run/task/map_index``.

    The try number is left out, so that a retried or cleared task is the same owner and gets its own call again. In a
    name longer than :data:`LONGEST_CLAIMANT`, digests replace the ends of run and task.

    :param task: The task instance.
    """
    map_index = -1 if task.map_index is None else task.map_index
    name = f"{task.dag_id}/{task.run_id}/{task.task_id}/{map_index}"
    if len(name) <= LONGEST_CLAIMANT:
        return name
    return f"{task.dag_id}/{_short(task.run_id)}/{_short(task.task_id)}/{map_index}"


def run_prefixes(task: TaskIdentity) -> tuple[str, ...]:
    """
    Return the prefixes of the owner names in a DAG run; each name starts with one of them.

    :param task: Any task instance of the run.
    """
    return f"{task.dag_id}/{task.run_id}/", f"{task.dag_id}/{_short(task.run_id)}/"


def _short(text: str) -> str:
    """Shorten an id for an owner name that would be too long: a digest replaces its end."""
    if len(text) <= _LONGEST_PART:
        return text
    return f"{text[: _LONGEST_PART - _DIGEST - 1]}~{hashlib.sha256(text.encode()).hexdigest()[:_DIGEST]}"
