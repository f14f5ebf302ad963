"""Prometheus' text format."""

from __future__ import annotations

from airflow_openai_realtime.switchboard.server.process.metrics import (
    DELIVERIES,
    REJECTIONS,
    Counters,
    Metric,
    rendered,
)


def test_a_metric_says_what_it_is_and_has_its_values() -> None:
    metric = Metric("calls", "gauge", "Calls in the store", [({"state": "ringing"}, 2), ({"state": "ended"}, 0.25)])
    assert rendered([metric], {"line": "support"}).splitlines() == [
        "# HELP openai_realtime_calls Calls in the store",
        "# TYPE openai_realtime_calls gauge",
        'openai_realtime_calls{line="support",state="ringing"} 2',
        'openai_realtime_calls{line="support",state="ended"} 0.25',
    ]


def test_a_metric_without_labels_or_values_is_well_formed() -> None:
    text = rendered([Metric("a", "gauge", "A", [({}, 1)]), Metric("b", "counter", "B", [])], {})
    assert "openai_realtime_a 1\n" in text
    assert text.endswith("# TYPE openai_realtime_b counter\n")


def test_a_label_cannot_break_out_of_its_quotes() -> None:
    text = rendered([Metric("a", "gauge", "A", [({"x": 'q"\\\n}'}, 1)])], {})
    assert 'openai_realtime_a{x="q\\"\\\\\\n}"} 1' in text


def test_each_outcome_of_each_line_is_counted_by_itself() -> None:
    counters = Counters()
    for line, outcome in (("support", "new"), ("support", "new"), ("support", "duplicate"), ("sales", "new")):
        counters.add(DELIVERIES, outcome, line)
    assert counters.of(DELIVERIES, "support") == {"new": 2, "duplicate": 1}
    assert counters.of(DELIVERIES, "sales") == {"new": 1}
    assert counters.of(REJECTIONS, "support") == {}
