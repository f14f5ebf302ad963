"""The name under which a task claims calls."""

from __future__ import annotations

import pytest
from airflow_world import FakeTask

from airflow_openai_realtime.calls.owner import LONGEST_CLAIMANT, owner_name, run_prefixes


def test_an_owner_names_the_task_and_not_its_try() -> None:
    assert owner_name(FakeTask("dag", "run", "task", 3, try_number=2)) == "dag/run/task/3"


@pytest.mark.parametrize("length", [10, 164, 165, 250])
def test_any_ids_that_airflow_allows_make_a_name_of_their_own_that_the_switchboard_takes(length: int) -> None:
    ids = ["a" * (length - 1) + letter for letter in "bc"]
    tasks = [FakeTask(dag, run, task, index) for dag in ids for run in ids for task in ids for index in (-1, 99_999)]
    names = [owner_name(task) for task in tasks]
    assert len(set(names)) == len(tasks)
    assert max(map(len, names)) <= LONGEST_CLAIMANT
    assert [name.count("/") for name in names] == [3] * len(names)
    for task, name in zip(tasks, names, strict=True):
        assert name.startswith(run_prefixes(task))
        others = [other for other in tasks if (other.dag_id, other.run_id) != (task.dag_id, task.run_id)]
        assert not [other for other in others if name.startswith(run_prefixes(other))]
