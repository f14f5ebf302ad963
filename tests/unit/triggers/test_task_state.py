from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

from airflow_openai_realtime.triggers.task_state import ask_airflow

TASK = SimpleNamespace(dag_id="d", task_id="t", run_id="r", map_index=-1, id="0199-try")


def airflow_says(monkeypatch: pytest.MonkeyPatch, answer: Any) -> None:
    def states(**_: Any) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(RuntimeTaskInstance, "get_task_states", staticmethod(states))


@pytest.mark.parametrize(
    ("state", "is_ended", "is_moved"),
    [
        ("deferred", False, True),
        ("failed", True, False),
        ("success", True, False),
        ("skipped", True, False),
        ("removed", True, False),
        (None, False, False),
        ("up_for_retry", False, False),
        ("scheduled", False, False),
        ("queued", False, False),
        ("running", False, False),
    ],
)
async def test_what_the_state_of_a_task_means(
    monkeypatch: pytest.MonkeyPatch, state: str | None, is_ended: bool, is_moved: bool
) -> None:
    airflow_says(monkeypatch, {"r": {"t": state}})
    found = await ask_airflow(TASK)
    assert found is not None
    assert (found.is_ended, found.is_moved) == (is_ended, is_moved)


async def test_a_task_that_airflow_does_not_know_any_more_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    airflow_says(monkeypatch, {})
    found = await ask_airflow(TASK)
    assert found is not None
    assert found.is_ended


async def test_an_airflow_that_cannot_say_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    airflow_says(monkeypatch, RuntimeError("no answer"))
    assert await ask_airflow(TASK) is None
    assert await ask_airflow(None) is None
