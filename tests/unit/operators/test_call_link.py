"""The link from a task to its call, and the label of a mapped task: no full phone number in either."""

from __future__ import annotations

import ast
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_openai_realtime.operators import call_link
from airflow_openai_realtime.operators.call_link import LONGEST_LABEL, CallLink, as_label, label_of, person_label

NUMBER = "+14155550123"
KEY: Any = SimpleNamespace(dag_id="campaign", run_id="run", task_id="talk", map_index=3, try_number=1)


def link(patch: pytest.MonkeyPatch, base_url: str | None = "http://airflow:8080/", **fields: Any) -> str:
    patch.setattr(call_link, "conf", SimpleNamespace(get=lambda *_, fallback: base_url))
    known = {"shown_call_id": None, "shown_attempt_id": None, "waits_for_call": False, **fields}
    task: Any = SimpleNamespace(openai_realtime_conn_id="line_a", **known)
    return CallLink().get_link(task, ti_key=KEY)


def test_it_leads_to_the_call_or_the_attempt_or_to_what_the_task_will_take(monkeypatch: pytest.MonkeyPatch) -> None:
    call = link(monkeypatch, shown_call_id="rtc_1", shown_attempt_id="7", waits_for_call=True)
    attempt = link(monkeypatch, shown_attempt_id="7", waits_for_call=True)
    waiting = link(monkeypatch, waits_for_call=True)
    assert "rtc_1" in call
    assert "rtc_1" not in attempt
    assert "7" in attempt
    assert "campaign/run/talk/3" in unquote(waiting)
    assert len({call, attempt, waiting}) == 3
    assert all("line_a" in each for each in (call, attempt, waiting))


def test_a_task_without_a_call_has_no_link(monkeypatch: pytest.MonkeyPatch) -> None:
    assert link(monkeypatch) == ""


@pytest.mark.parametrize(
    ("base_url", "prefix"),
    [("http://airflow:8080", "/"), ("https://a.example/team/airflow/", "/team/airflow/"), (None, "/"), ("", "/")],
)
def test_it_is_below_the_path_at_which_airflow_is_served(
    monkeypatch: pytest.MonkeyPatch, base_url: str | None, prefix: str
) -> None:
    path = link(monkeypatch, base_url, shown_call_id="rtc_1")
    assert path.startswith(prefix)
    assert not path.startswith("//")
    assert "airflow:8080" not in path


@pytest.mark.parametrize(
    ("call", "label"),
    [
        ("rtc_1", "rtc_1"),
        (None, "rtc_9"),
        ({"call_id": "rtc_1"}, "rtc_1"),
        ({}, "rtc_9"),
        ({"contact": "ann", "to_masked": "+1***0123"}, "ann (+1***0123)"),
        ({"contact": "ann"}, "ann"),
    ],
)
def test_a_label_says_what_is_known_of_the_call(call: object, label: str) -> None:
    assert label_of(call, "rtc_9") == label


def test_a_label_shows_no_number_in_full() -> None:
    labels = [label_of({"from_number": NUMBER}), person_label(NUMBER, NUMBER), person_label("ann", NUMBER)]
    assert not any("4155550" in label for label in labels)
    assert all(label.rstrip(")").endswith("0123") for label in labels)
    assert labels[1].count("0123") == 1


@pytest.mark.parametrize("text", ["42", "1.5", "None", "True", "[1]", "{}", "'ann'"])
def test_native_rendering_does_not_make_something_else_of_a_label(text: str) -> None:
    with pytest.raises((ValueError, SyntaxError)):
        ast.literal_eval(as_label(text))
    assert text in as_label(text)


@settings(deadline=None, max_examples=50)
@given(st.text(max_size=600))
def test_a_label_is_never_longer_than_airflow_keeps(text: str) -> None:
    assert len(as_label(text)) <= LONGEST_LABEL
    assert len(as_label("x" * 200 + text)) <= LONGEST_LABEL
