"""Whether a trigger is killed, or only moved to another triggerer."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

DEFERRED = "deferred"
UNKNOWN = "unknown"
#: States of a task that is over and will not be tried again by itself.
ENDED_STATES = ("success", "failed", "skipped", "upstream_failed", "removed")

log = logging.getLogger(__name__)


async def is_killed(task: Any) -> bool:
    """
    Tell whether the task of a trigger was ended by a user.

    Airflow also calls ``on_kill`` when a triggerer that is slow loses its triggers to another one; the task then still
    is deferred, and its call must go on. When Airflow cannot be asked, the answer is no: the switchboard ends the call
    at its time.

    :param task: The trigger's task instance; without one the answer is no.

    Source: https://github.com/apache/airflow/issues/73454
    """
    state = await _state_of(task)
    return state not in (UNKNOWN, DEFERRED)


async def is_ended(task: Any) -> bool:
    """
    Tell whether the task of a trigger is over for good: marked as failed or successful, not cleared or tried again.

    A task that starts again finds what its trigger has done, and goes on with it. When Airflow cannot be asked, the
    answer is no.

    :param task: The trigger's task instance; without one the answer is no.
    """
    return await _state_of(task) in ENDED_STATES


async def _state_of(task: Any) -> str | None:
    """Return the state of a task instance: ``None`` after it was cleared, ``UNKNOWN`` when Airflow cannot be asked."""
    if task is None:
        return UNKNOWN
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    try:
        # In a thread: from within the event loop, this call to the supervisor would block the loop.
        states = await asyncio.to_thread(
            RuntimeTaskInstance.get_task_states,
            dag_id=task.dag_id,
            task_ids=[task.task_id],
            run_ids=[task.run_id],
            map_index=task.map_index,
        )
    except Exception as error:
        # Whatever keeps Airflow from answering, it is no proof that somebody wants the call to end.
        log.warning("Airflow cannot say whether the task is killed: %s", error)
        return UNKNOWN
    state = next(iter((states or {}).get(task.run_id, {}).values()), None)
    return None if state is None else str(getattr(state, "value", state))
