from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

from airflow_openai_realtime.triggers.task_state import is_ended, is_killed

TASK = SimpleNamespace(dag_id="d", task_id="t", run_id="r", map_index=-1)


def airflow_says(monkeypatch: pytest.MonkeyPatch, answer: Any) -> None:
    def states(**_: Any) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(RuntimeTaskInstance, "get_task_states", staticmethod(states))


@pytest.mark.parametrize(
    ("state", "ended", "killed"),
    [
        ("deferred", False, False),
        ("failed", True, True),
        ("success", True, True),
        ("skipped", True, True),
        ("removed", True, True),
        (None, False, True),
        ("up_for_retry", False, True),
        ("scheduled", False, True),
        ("queued", False, True),
        ("running", False, True),
    ],
)
async def test_what_the_state_of_a_task_means(
    monkeypatch: pytest.MonkeyPatch, state: str | None, ended: bool, killed: bool
) -> None:
    airflow_says(monkeypatch, {"r": {"t": state}})
    assert (await is_ended(TASK), await is_killed(TASK)) == (ended, killed)


async def test_an_airflow_that_cannot_say_ends_no_call(monkeypatch: pytest.MonkeyPatch) -> None:
    airflow_says(monkeypatch, RuntimeError("no answer"))
    assert (await is_ended(TASK), await is_killed(TASK)) == (False, False)


async def test_without_a_task_nothing_is_ended() -> None:
    assert (await is_ended(None), await is_killed(None)) == (False, False)
