"""The state of a task instance, as the switchboard reports it."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from airflow_openai_realtime.calls.task_states import TaskReference, TaskState, reference_to

TASK = SimpleNamespace(dag_id="d", task_id="t", run_id="r", map_index=-1, id="0199-try")


@pytest.mark.parametrize("state", ["failed", "success", "deferred"])
def test_the_state_of_another_try_says_nothing_about_this_one(state: str) -> None:
    found = TaskState(exists=True, state=state, is_same_try=False)
    assert (found.is_ended, found.is_moved) == (False, False)


def test_a_try_is_named_by_its_id() -> None:
    reference = reference_to(TASK)
    assert reference is not None
    assert (reference.task_id, reference.map_index, reference.try_id) == ("t", -1, "0199-try")
    assert reference_to(None) is None


def test_a_state_travels_as_json() -> None:
    state = TaskState(exists=True, state="failed", is_same_try=False)
    assert TaskState.from_dict(state.to_dict()) == state


@pytest.mark.parametrize(
    ("state", "is_ended", "is_moved", "is_cared_for"),
    [
        ("running", False, False, True),
        ("deferred", False, True, True),
        ("success", True, False, False),
        ("failed", True, False, False),
        ("skipped", True, False, False),
        ("upstream_failed", True, False, False),
        ("removed", True, False, False),
        ("up_for_retry", False, False, False),
        ("queued", False, False, False),
        (None, False, False, False),
    ],
)
def test_what_a_state_means_for_the_call(state: str | None, is_ended: bool, is_moved: bool, is_cared_for: bool) -> None:
    found = TaskState(exists=True, state=state)
    assert (found.is_ended, found.is_moved, found.is_cared_for) == (is_ended, is_moved, is_cared_for)


def test_the_next_try_of_a_task_cares_for_the_call_too() -> None:
    assert TaskState(exists=True, state="running", is_same_try=False).is_cared_for


@pytest.mark.parametrize("is_same_try", [True, False])
def test_a_task_that_was_deleted_is_ended_whichever_try_it_was(is_same_try: bool) -> None:
    assert TaskState(exists=False, is_same_try=is_same_try).is_ended


def test_a_state_that_is_not_known_yet_travels_as_null() -> None:
    state = TaskState(exists=True)
    assert json.loads(json.dumps(state.to_dict())) == {"exists": True, "state": None, "is_same_try": True}
    assert TaskState.from_dict(state.to_dict()) == state
    with pytest.raises(KeyError):
        TaskState.from_dict({"exists": True, "state": None})


@pytest.mark.parametrize(("map_index", "read"), [(None, -1), (-1, -1), (0, 0), (3, 3)])
def test_a_task_that_is_not_mapped_has_one_place_in_the_map(map_index: int | None, read: int) -> None:
    task = SimpleNamespace(dag_id="d", task_id="t", run_id="r", map_index=map_index)
    assert reference_to(task) == TaskReference("d", "r", "t", read, None)
