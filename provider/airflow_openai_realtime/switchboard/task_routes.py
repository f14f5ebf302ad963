"""``POST /v1/task-state``: how a task is, for a trigger that is cancelled and has to know why."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field, StringConstraints
from starlette.requests import Request

from airflow_openai_realtime.switchboard.call_routes import PRINTABLE, Answer
from airflow_openai_realtime.switchboard.private_route import CallerLine, PrivateRoute
from airflow_openai_realtime.switchboard.service import service_of
from airflow_openai_realtime.switchboard.task_states import TaskReference

router = APIRouter(prefix="/v1", route_class=PrivateRoute)

AirflowId = Annotated[str, StringConstraints(min_length=1, max_length=250, pattern=PRINTABLE)]


class AskedTask(BaseModel):
    """One try of a task instance."""

    dag_id: AirflowId
    run_id: AirflowId
    task_id: AirflowId
    map_index: int = Field(-1, ge=-1, le=2**31 - 1)
    try_id: Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F-]{32,36}$")] | None = None


@router.post("/task-state")
async def task_state(request: Request, line: CallerLine, body: AskedTask) -> Answer:
    """Say how a task is; ``task`` is null where this switchboard does not run in Airflow's API server."""
    service = service_of(request)
    if service.task_states is None:
        return {"task": None}
    found = await service.threads.run(service.task_states, TaskReference(**body.model_dump()))
    return {"task": None if found is None else found.to_dict()}
