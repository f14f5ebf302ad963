"""What a trigger asks of Airflow when it is cancelled, and what it leaves there for a task that was killed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from airflow_openai_realtime.calls.task_states import TaskState

log = logging.getLogger(__name__)


async def ask_airflow(task: Any) -> TaskState | None:
    """
    Ask the triggerer's supervisor for the state of a task instance; only once a call is being ended.

    The first question in the life of a triggerer takes seconds, in which no other trigger starts; so a switchboard in
    Airflow's API server is asked before. Airflow answers by the task's name and not by its try.

    :param task: The trigger's task instance.
    :return: ``None`` when Airflow does not say.
    """
    if task is None:
        return None
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
        # Whatever keeps Airflow from answering, it is no proof that the call should end.
        log.warning("Airflow cannot say whether the task is killed: %s", error)
        return None
    found = (states or {}).get(task.run_id, {})
    if not found:
        return TaskState(exists=False)
    state = next(iter(found.values()))
    return TaskState(exists=True, state=None if state is None else str(getattr(state, "value", state)))


async def push_result(task: Any, result: Mapping[str, Any]) -> None:
    """
    Leave the result of a killed task's call where the task would have returned it; Airflow runs that task no more.

    :param task: The trigger's task instance.
    :param result: What came of the call, as JSON values.
    """
    from airflow.sdk.execution_time.xcom import XCom

    try:
        await asyncio.to_thread(
            XCom.set,
            "return_value",
            dict(result),
            dag_id=task.dag_id,
            task_id=task.task_id,
            run_id=task.run_id,
            map_index=-1 if task.map_index is None else task.map_index,
        )
    except Exception as error:
        log.warning("The result of the killed task's call could not be left in XCom: %s", error)
