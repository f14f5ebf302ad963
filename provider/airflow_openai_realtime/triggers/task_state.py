"""Whether a trigger is killed, or only moved to another triggerer."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

DEFERRED = "deferred"

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
    if task is None:
        return False
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
        return False
    state = next(iter((states or {}).get(task.run_id, {}).values()), None)
    return str(getattr(state, "value", state)) != DEFERRED
