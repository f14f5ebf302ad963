"""What a switchboard in Airflow's API server says about tasks, and leaves for them."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from airflow_world import CONN_ID, World

from airflow_openai_realtime.calls.task_states import TaskReference, TaskState
from airflow_openai_realtime.simulator.phones import PhoneScript
from airflow_openai_realtime.states import LINE_HEADER
from airflow_openai_realtime.switchboard.client.conversation_requests import open_conversation
from airflow_openai_realtime.switchboard.client.switchboard_requests import (
    announce_accept,
    claim_call,
    end_call,
    report_accepted,
    report_task_stopped,
)

TASK = {"dag_id": "d", "run_id": "r", "task_id": "t", "map_index": 3}
NAME = "d/r/t/3"
FAILED = TaskState(exists=True, state="failed")
CLEARED = TaskState(exists=True, state=None, is_same_try=False)
MOVED = TaskState(exists=True, state="deferred")


def post(world: World, path: str, body: dict[str, Any], **headers: str) -> httpx.Response:
    given = {"Authorization": f"Bearer {world.token}", LINE_HEADER: CONN_ID, **headers}
    return httpx.post(f"{world.url}{path}", json=body, headers=given, timeout=30)


def left(world: World, call_id: str | None) -> bool:
    answer = post(world, "/v1/task-result", {**TASK, "call_id": call_id})
    assert answer.status_code == 200
    return bool(answer.json()["left"])


def killed_call(world: World, by: str = NAME) -> str:
    """A call that a task has had until it was killed."""
    call_id = world.ring(script=PhoneScript.talks_for_ever())
    with world.client() as client:
        client.send(claim_call(call_id, "somebody"))
        client.send(end_call(call_id, reason="killed", by=by))
    assert world.simulator.wait_for(lambda: world.row(call_id).is_over)
    return call_id


PATHS = ["/v1/task-state", "/v1/task-result", "/v1/task-stopped"]
STOPPED = {**TASK, "call_id": "rtc_1", "by": NAME}


@pytest.mark.parametrize("path", PATHS)
def test_all_need_the_token(world: World, path: str) -> None:
    assert post(world, path, STOPPED, Authorization="Bearer wrong").status_code == 401


@pytest.mark.parametrize(
    "wrong", [{"dag_id": ""}, {"map_index": -2}, {"task_id": "t\x00"}, {"try_id": "no uuid"}, {"run_id": "r" * 251}]
)
@pytest.mark.parametrize("path", PATHS)
def test_what_names_no_task_is_refused(world: World, path: str, wrong: dict[str, Any]) -> None:
    assert post(world, path, {**STOPPED, **wrong}).status_code in (400, 422)


@pytest.mark.parametrize("call_id", ["rtc 1", "..", "rtc_é"])
def test_an_id_that_no_call_has_is_refused(world: World, call_id: str) -> None:
    world.task_state = FAILED
    answer = post(world, "/v1/task-stopped", {**STOPPED, "call_id": call_id})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid_input")


def test_a_state_is_told_and_elsewhere_nothing(world: World) -> None:
    assert post(world, "/v1/task-state", TASK).json() == {"task": None}
    world.task_state = FAILED
    told = post(world, "/v1/task-state", TASK).json()
    assert told == {"task": {"exists": True, "state": "failed", "is_same_try": True}}


def accepted_call(world: World) -> str:
    call_id = world.ring(script=PhoneScript.talks_for_ever())
    with world.client() as client:
        client.send(announce_accept(call_id, NAME, 600))
        client.send(report_accepted(call_id, NAME))
    return call_id


@pytest.mark.parametrize(
    ("state", "ends_after_seconds"),
    [
        (FAILED, 0),
        (TaskState(exists=True, state="success"), 0),
        (TaskState(exists=False), 0),
        (CLEARED, 60),
        (TaskState(exists=True, state="failed", is_same_try=False), 60),
        (MOVED, None),
        (None, 60),
    ],
)
def test_why_a_task_was_stopped_decides_when_its_call_ends(
    world: World, state: TaskState | None, ends_after_seconds: float | None
) -> None:
    call_id = accepted_call(world)
    world.task_state = state
    with world.client() as client:
        assert client.send(report_task_stopped(TaskReference(**TASK), call_id, by=NAME)) == state
    row = world.row(call_id)
    if ends_after_seconds is None:
        assert row.end_wanted is None
        return
    assert row.end_wanted_at is not None
    assert row.end_due_at is not None
    assert (row.end_wanted, row.end_wanted_by) == ("killed", NAME)
    assert (row.end_due_at - row.end_wanted_at).total_seconds() == ends_after_seconds


def test_where_airflow_cannot_be_asked_the_caller_says_when_the_call_ends(world: World) -> None:
    call_id = accepted_call(world)
    with world.client() as client:
        assert (
            client.send(report_task_stopped(TaskReference(**TASK), call_id, by=NAME, unknown_after_seconds=0)) is None
        )
    assert world.simulator.wait_for(lambda: world.row(call_id).is_over)


@pytest.mark.parametrize(("generation", "is_kept"), [(1, True), (2, False)])
def test_a_call_that_a_later_holder_has_goes_on(world: World, generation: int, is_kept: bool) -> None:
    call_id = accepted_call(world)
    world.task_state = CLEARED
    with world.client() as client:
        for _ in range(2):
            client.send(open_conversation(call_id, NAME))
        client.send(report_task_stopped(TaskReference(**TASK), call_id, by=NAME, generation=generation))
    assert (world.row(call_id).end_wanted is None) is is_kept


def test_the_result_of_a_killed_call_is_left_for_its_task(world: World) -> None:
    call_id = killed_call(world)
    world.task_state = FAILED
    assert left(world, call_id)
    assert [(result["call_id"], result["outcome"]) for result in world.left] == [(call_id, "killed")]


def test_a_task_that_was_killed_before_it_had_a_call_has_a_result_as_well(world: World) -> None:
    world.task_state = FAILED
    assert left(world, None)
    assert [(result["call_id"], result["outcome"]) for result in world.left] == [(None, "killed")]


@pytest.mark.parametrize(
    "state",
    [
        None,
        TaskState(exists=True, state="deferred"),
        TaskState(exists=True, state="running"),
        TaskState(exists=True, state="failed", is_same_try=False),
        TaskState(exists=False),
    ],
)
def test_nothing_is_left_for_a_task_that_airflow_still_runs_or_does_not_know(
    world: World, state: TaskState | None
) -> None:
    call_id = killed_call(world)
    world.task_state = state
    assert not left(world, call_id)
    assert world.left == []


def test_nothing_is_left_of_a_call_that_another_task_has_killed_or_that_goes_on(world: World) -> None:
    world.task_state = FAILED
    assert not left(world, killed_call(world, by="d/r/t/4"))
    assert not left(world, world.ring(script=PhoneScript.talks_for_ever()))
    assert world.left == []
