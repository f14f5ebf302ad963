"""Counting what happened."""

from __future__ import annotations

from airflow_openai_realtime.switchboard.server.process.counters import DELIVERIES, REJECTIONS, Counters


def test_each_outcome_of_each_line_is_counted_by_itself() -> None:
    counters = Counters()
    for line, outcome in (("support", "new"), ("support", "new"), ("support", "duplicate"), ("sales", "new")):
        counters.add(DELIVERIES, outcome, line)
    assert counters.of(DELIVERIES, "support") == {"new": 2, "duplicate": 1}
    assert counters.of(DELIVERIES, "sales") == {"new": 1}
    assert counters.of(REJECTIONS, "support") == {}
