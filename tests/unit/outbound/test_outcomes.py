"""What a carrier's last word means for an attempt whose call never came in."""

from __future__ import annotations

import pytest

from airflow_openai_realtime.outbound.carriers.port import FINAL_STATUSES, CarrierCall
from airflow_openai_realtime.outbound.placed import outcome_of


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("busy", "busy"),
        ("no-answer", "no_answer"),
        ("failed", "failed"),
        ("canceled", "canceled"),
        ("completed", "gone"),
        ("lost", "failed"),
    ],
)
def test_a_final_status_has_one_outcome(status: str, outcome: str) -> None:
    assert outcome_of(CarrierCall("CA1", status)) == outcome  # type: ignore[arg-type]


def test_a_call_that_was_picked_up_and_never_came_in_is_not_taken_for_answered() -> None:
    assert {outcome_of(CarrierCall("CA1", status)) for status in FINAL_STATUSES}.isdisjoint({"answered", "completed"})  # type: ignore[arg-type]
