from __future__ import annotations

from typing import Any

import pytest

from airflow_openai_realtime.simulator.accept_body import check_accept_body
from airflow_openai_realtime.simulator.refusals import Refusal


def test_a_good_body_is_taken_as_it_is() -> None:
    body = {"type": "realtime", "model": "gpt-realtime-2.1", "audio": {"output": {"voice": "marin"}}}
    assert check_accept_body(body) == body


def test_a_deprecated_model_is_taken_without_a_warning() -> None:
    assert check_accept_body({"type": "realtime", "model": "gpt-realtime"})


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({}, "missing_required_parameter", "type"),
        ([], "invalid_type", None),
        ({"type": "live"}, "invalid_value", "type"),
        ({"type": "realtime", "voice": "marin"}, "unknown_parameter", "voice"),
        ({"type": "realtime", "audio": {"output": {"pitch": 1}}}, "unknown_parameter", "audio.output.pitch"),
        ({"type": "realtime", "audio": {"output": {"speed": 9}}}, "invalid_value", "audio.output.speed"),
        ({"type": "realtime", "tools": [{"type": "function"}]}, "missing_required_parameter", "tools.0.name"),
        ({"type": "realtime", "extra_fields": {"new": 1}}, "unknown_parameter", "extra_fields"),
    ],
)
def test_a_bad_body_is_refused_with_the_path_of_the_field(body: Any, code: str, param: str | None) -> None:
    with pytest.raises(Refusal) as caught:
        check_accept_body(body)
    assert (caught.value.status, caught.value.code, caught.value.param) == (400, code, param)
