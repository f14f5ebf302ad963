"""Airflow keeps and shows rendered fields with every phone number masked."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_openai_realtime.operators.masked_fields import masked

NUMBER = "+14155550123"


@pytest.mark.parametrize(
    "value",
    [
        NUMBER,
        f"Call {NUMBER} today",
        14155550123,
        {"call": {"from_number": NUMBER}},
        [NUMBER, (NUMBER,)],
        {"contacts": [{"number": 14155550123}]},
    ],
)
def test_a_number_is_masked_wherever_it_stands(value: Any) -> None:
    shown = str(masked(value))
    assert "4155550" not in shown
    assert "0123" in shown


@pytest.mark.parametrize("value", [None, True, 0, 9_999_999, 1.5, "day", {"a": [1, None]}, []])
def test_anything_else_stays_as_it_is(value: Any) -> None:
    assert masked(value) == value


def test_what_the_task_works_with_is_not_changed() -> None:
    value = {"to": [NUMBER]}
    masked(value)
    assert value == {"to": [NUMBER]}


@settings(deadline=None, max_examples=50)
@given(st.recursive(st.text("+0123456789 a", max_size=20) | st.integers(), lambda inner: st.lists(inner, max_size=3)))
def test_masking_twice_changes_nothing(value: Any) -> None:
    assert masked(masked(value)) == masked(value)
