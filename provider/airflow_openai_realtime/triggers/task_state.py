"""What a cancelled trigger reads from Airflow, and the result that it writes there for a killed task."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from airflow_openai_realtime.calls.task_states import TaskState

log = logging.getLogger(__name__)


async def ask_airflow(task: Any) -> TaskState | None:
    """
    Ask the triggerer's supervisor for the state of a task instance. Use it only when a call is being ended.

    The first request after the start of a triggerer takes seconds, in which no other trigger starts; a switchboard in
    Airflow's API server is therefore asked first. Airflow answers by the task's name, not by its try.

    :param task: Task instance of the trigger.
    :return: ``None`` when Airflow gives no answer.
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
        # A failed request does not prove that the call should end.
        log.warning("Airflow does not report whether the task is killed: %s", error)
        return None
    found = (states or {}).get(task.run_id, {})
    if not found:
        return TaskState(exists=False)
    state = next(iter(found.values()))
    return TaskState(exists=True, state=None if state is None else str(getattr(state, "value", state)))


async def push_result(task: Any, result: Mapping[str, Any]) -> None:
    """
    Write the result of a killed task's call to XCom, where the task would have returned it. Airflow does not run the
    task again.

    :param task: Task instance of the trigger.
    :param result: Result of the call, a JSON object.
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
        log.warning("The result of the killed task's call could not be written to XCom: %s", error)
