"""Routes about tasks, for a switchboard in Airflow's API server: their states, and the calls of stopped tasks."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, Field, StringConstraints

from airflow_openai_realtime.calls import transitions as moves
from airflow_openai_realtime.calls.kept_result import result_without_end
from airflow_openai_realtime.calls.result import CallResult
from airflow_openai_realtime.calls.task_states import CLEARED_SECONDS, TaskReference, TaskState
from airflow_openai_realtime.exceptions import MoveRefused, UnknownCall
from airflow_openai_realtime.states import LONGEST_CALL_SECONDS, EndReason, Outcome
from airflow_openai_realtime.switchboard.server.routes.admission import PrivateRequest, PrivateRoute
from airflow_openai_realtime.switchboard.server.routes.call_routes import (
    PRINTABLE,
    Answer,
    By,
    checked_id,
    end_call,
    move_call,
)

router = APIRouter(prefix="/v1", route_class=PrivateRoute)

AirflowId = Annotated[str, StringConstraints(min_length=1, max_length=250, pattern=PRINTABLE)]


class AskedTask(BaseModel):
    """
    One try of a task instance.

    :param dag_id: Id of the DAG.
    :param run_id: Id of the DAG run.
    :param task_id: Id of the task.
    :param map_index: Index of a mapped task; -1 when it is not mapped.
    :param try_id: Airflow's id of the try, a UUID; ``None``: any try.
    """

    dag_id: AirflowId
    run_id: AirflowId
    task_id: AirflowId
    map_index: int = Field(-1, ge=-1, le=2**31 - 1)
    try_id: Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F-]{32,36}$")] | None = None


CallId = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=PRINTABLE)]


class KilledTask(AskedTask):
    """
    One try of a task instance that was killed, and the call that it had; ``None``: it had none yet.

    :param call_id: OpenAI's id of the call that the task had; ``None``: it is looked up.
    """

    call_id: CallId | None = None


class StoppedTask(AskedTask):
    """
    One try of a task instance that Airflow has stopped, and its call.

    :param call_id: OpenAI's id of the call.
    :param by: Claimant of the call.
    :param generation: Number of the task as a holder of the conversation, counted from 1; 0: it was none.
    :param unknown_after_seconds: After how many seconds the call ends when the task's state cannot be found out.
    """

    call_id: CallId
    by: By
    generation: int = Field(0, ge=0, le=2**31 - 1)
    unknown_after_seconds: float = Field(CLEARED_SECONDS, ge=0, le=LONGEST_CALL_SECONDS, allow_inf_nan=False)

    @property
    def reference(self) -> TaskReference:
        """Which task and which try."""
        return TaskReference(**self.model_dump(include=set(AskedTask.model_fields)))

    def end_after(self, state: TaskState | None) -> float | None:
        """
        In how many seconds the call ends unless a holder goes on with it; ``None``: it goes on.

        :param state: State of the task; ``None``: not known.
        """
        if state is None:
            return self.unknown_after_seconds
        if state.is_ended:
            return 0.0
        return None if state.is_moved else CLEARED_SECONDS


@router.post("/task-stopped")
async def task_stopped(request: PrivateRequest, body: StoppedTask) -> Answer:
    """
    Decide about the call of a task that Airflow has stopped, and say how the task is.

    The call of a task that is over ends at once. That of a cleared one waits a minute for the next try. That of a
    trigger that only moves to another triggerer goes on.
    """
    service = request.service
    state = None
    if service.task_states is not None:
        state = await service.threads.run(service.task_states, body.reference)
    seconds = body.end_after(state)
    if seconds is not None:
        call_id = checked_id(body.call_id)
        await end_call(request, call_id, reason=EndReason.KILLED, by=body.by, after_seconds=seconds)
        if seconds > 0 and body.generation and await _has_later_holder(request, body):
            # A next try that was quicker than this request took the call up before it.
            claim = partial(moves.claim, owner=body.by, now=service.now())
            with suppress(MoveRefused):
                await move_call(request, call_id, claim)
    return {"task": None if state is None else state.to_dict()}


async def _has_later_holder(request: PrivateRequest, body: StoppedTask) -> bool:
    service = request.service
    try:
        kept = await service.threads.run(service.store.conversations.find, request.line.name, body.call_id)
    except UnknownCall:
        return False
    return kept.generation > body.generation


@router.post("/task-result")
async def task_result(request: PrivateRequest, body: KilledTask) -> Answer:
    """
    Write the result of a killed task's call to XCom, where the task would have returned it; Airflow does not rerun it.

    Only for a task that is over, and only what this switchboard has written about a call that ended as killed by it.
    """
    service = request.service
    if service.task_states is None or service.leave_result is None:
        return {"left": False}
    task = TaskReference(**body.model_dump(exclude={"call_id"}))
    state = await service.threads.run(service.task_states, task)
    if state is None or not (state.exists and state.is_ended):
        return {"left": False}
    result = await _result_of(request, task, body.call_id)
    if result is None:
        return {"left": False}
    await service.threads.run(service.leave_result, task, result)
    return {"left": True}


async def _result_of(request: PrivateRequest, task: TaskReference, call_id: str | None) -> dict[str, Any] | None:
    """The result of a call that was killed with this task; that of a task that had no call says no more than that."""
    service = request.service
    if call_id is None:
        unanswered = CallResult("", request.line.name, Outcome.KILLED.value, EndReason.KILLED, ended_at=request.now)
        return {**unanswered.to_dict(), "call_id": None}
    call = await service.threads.run(service.store.calls.find, request.line.name, call_id)
    killed_by = f"{task.dag_id}/{task.run_id}/{task.task_id}/{task.map_index}"
    if not call.is_over or call.end_reason != EndReason.KILLED or killed_by not in (call.end_wanted_by, call.ended_by):
        return None
    try:
        kept = await service.threads.run(service.store.conversations.find, request.line.name, call_id)
    except UnknownCall:
        return result_without_end(call, None, request.now).to_dict()
    return None if kept.result is None else dict(kept.result)


@router.post("/task-state")
async def task_state(request: PrivateRequest, body: AskedTask) -> Answer:
    """Say how a task is; ``task`` is null where this switchboard does not run in Airflow's API server."""
    service = request.service
    if service.task_states is None:
        return {"task": None}
    found = await service.threads.run(service.task_states, TaskReference(**body.model_dump()))
    return {"task": None if found is None else found.to_dict()}
