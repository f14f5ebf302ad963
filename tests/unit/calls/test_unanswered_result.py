from __future__ import annotations

import json

import pytest

from airflow_openai_realtime.calls.result import CallResult, unanswered_result


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        ("busy", "busy"),
        ("no_answer", "no_answer"),
        ("failed", "failed"),
        ("canceled", "failed"),
        ("gone", "gone"),
        ("timeout", "unknown"),
    ],
)
def test_a_phone_that_was_not_answered_has_a_result_like_a_call(said: str, outcome: str) -> None:
    result = unanswered_result(said, "default")
    assert (result["outcome"], result["reason"], result["call_id"], result["line"]) == (outcome, said, None, "default")
    assert set(result) == set(CallResult.from_dict(result).to_dict())
    assert json.loads(json.dumps(result)) == result
