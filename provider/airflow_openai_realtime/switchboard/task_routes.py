"""``POST /v1/task-state``: how a task is, for a trigger that is cancelled and has to know why."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, Field, StringConstraints
from starlette.requests import Request

from airflow_openai_realtime.exceptions import UnknownCall
from airflow_openai_realtime.switchboard.call_result import CallResult, Outcome
from airflow_openai_realtime.switchboard.call_routes import PRINTABLE, Answer
from airflow_openai_realtime.switchboard.kept_result import result_without_end
from airflow_openai_realtime.switchboard.lines import Line
from airflow_openai_realtime.switchboard.private_route import CallerLine, PrivateRoute
from airflow_openai_realtime.switchboard.service import service_of
from airflow_openai_realtime.switchboard.task_states import TaskReference
from airflow_openai_realtime.switchboard.witnesses import KILLED

router = APIRouter(prefix="/v1", route_class=PrivateRoute)

AirflowId = Annotated[str, StringConstraints(min_length=1, max_length=250, pattern=PRINTABLE)]


class AskedTask(BaseModel):
    """One try of a task instance."""

    dag_id: AirflowId
    run_id: AirflowId
    task_id: AirflowId
    map_index: int = Field(-1, ge=-1, le=2**31 - 1)
    try_id: Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F-]{32,36}$")] | None = None


class KilledTask(AskedTask):
    """One try of a task instance that was killed, and the call that it had; ``None``: it had none yet."""

    call_id: Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=PRINTABLE)] | None = None


@router.post("/task-result")
async def task_result(request: Request, line: CallerLine, body: KilledTask) -> Answer:
    """
    Leave the result of a killed task's call where the task would have returned it: Airflow runs that task no more.

    Only for a task that is over, and only what this switchboard has written about a call that ended as killed by it.
    """
    service = service_of(request)
    if service.task_states is None or service.leave_result is None:
        return {"left": False}
    task = TaskReference(**body.model_dump(exclude={"call_id"}))
    state = await service.threads.run(service.task_states, task)
    if state is None or not (state.exists and state.is_ended):
        return {"left": False}
    result = await _result_of(request, line, task, body.call_id)
    if result is None:
        return {"left": False}
    await service.threads.run(service.leave_result, task, result)
    return {"left": True}


async def _result_of(request: Request, line: Line, task: TaskReference, call_id: str | None) -> dict[str, Any] | None:
    """The result of a call that was killed with this task; that of a task that had no call says no more than that."""
    service = service_of(request)
    if call_id is None:
        unanswered = CallResult("", line.name, Outcome.KILLED.value, KILLED, ended_at=service.now())
        return {**unanswered.to_dict(), "call_id": None}
    call = await service.threads.run(service.store.calls.find, line.name, call_id)
    killed_by = f"{task.dag_id}/{task.run_id}/{task.task_id}/{task.map_index}"
    if not call.is_over or call.end_reason != KILLED or killed_by not in (call.end_wanted_by, call.ended_by):
        return None
    try:
        kept = await service.threads.run(service.store.conversations.find, line.name, call_id)
    except UnknownCall:
        return result_without_end(call, None, service.now()).to_dict()
    return None if kept.result is None else dict(kept.result)


@router.post("/task-state")
async def task_state(request: Request, line: CallerLine, body: AskedTask) -> Answer:
    """Say how a task is; ``task`` is null where this switchboard does not run in Airflow's API server."""
    service = service_of(request)
    if service.task_states is None:
        return {"task": None}
    found = await service.threads.run(service.task_states, TaskReference(**body.model_dump()))
    return {"task": None if found is None else found.to_dict()}
