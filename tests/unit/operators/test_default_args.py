"""Operators and sensors that share ``default_args``."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG
from tests.unit.operators.every_operator import KINDS

from airflow_openai_realtime.exceptions import InvalidInput
from airflow_openai_realtime.operators import (
    AcceptCallOperator,
    ClaimCallsOperator,
    HangupCallOperator,
    OpenLineOperator,
    PlaceCallOperator,
    WatchCallOperator,
)

#: Everything that some of them know and others have no use for.
SHARED: dict[str, Any] = {
    "model": "gpt-realtime-2.1",
    "instructions": "Be kind to {caller}.",
    "voice": "marin",
    "tools": [{"type": "function", "name": "mine", "parameters": {"type": "object"}}],
    "caller_fields": {"caller": "from_number"},
    "greeting": "Hello.",
    "goodbye": "Bye.",
    "silence_seconds": 30,
    "end_call": False,
    "functions": ["my_company.calls.book"],
    "result_model": {"type": "object"},
    "transfer_to": {"desk": "tel:+14155550100"},
    "transcript_path": "file:///tmp/",
    "prices": {"gpt-realtime-2.1": {"input_text": 1.0}},
    "if_not_answered": "result",
    "max_duration_seconds": 300,
    "telephony_carrier_conn_id": "carrier",
    "openai_realtime_conn_id": "line",
    "expires_in_seconds": 60,
}


def everybody() -> dict[str, Any]:
    """A task of each kind, and one that declines calls."""
    tasks = {
        name: kind.operator(task_id=name.replace(" ", "_").replace(",", ""), **kind.least)
        for name, kind in KINDS.items()
    }
    return {**tasks, "decline": OpenLineOperator(task_id="decline", name="night", status_code=486)}


def shared(**more: Any) -> dict[str, Any]:
    known = {"result_model": {"type": "object", "properties": {}}}
    return {**SHARED, **known, **more, "prices": None}


def test_default_args_of_all_kinds_are_no_import_error_for_any_operator() -> None:
    with DAG("d", schedule=None, default_args=shared()):
        tasks = everybody()
    for name in ("accept", "wait and answer", "open"):
        assert tasks[name].voice == "marin"
    assert tasks["watch"].greeting == "Hello."
    assert tasks["decline"].voice is None
    assert tasks["place"].voice is None
    assert tasks["accept"].greeting is None
    assert (tasks["wait"].caller_fields, tasks["wait"].voice, tasks["wait"].wait_for_end) == (None, None, False)
    assert tasks["wait"].if_not_answered == "skip"
    assert tasks["place"].if_not_answered == "result"


def test_with_wait_for_end_among_them_whole_calls_take_all_of_them() -> None:
    with DAG("d", schedule=None, default_args=shared(wait_for_end=True)):
        tasks = everybody()
    for name in ("accept", "wait and answer", "place"):
        assert (tasks[name].voice, tasks[name].greeting, tasks[name].wait_for_end) == ("marin", "Hello.", True)


def test_a_whole_placed_call_lasts_ten_minutes_also_when_default_args_make_it_one() -> None:
    with DAG("d", schedule=None, default_args={"wait_for_end": True}):
        assert PlaceCallOperator(task_id="place", to="+14155550142", campaign="c").max_duration_seconds == 600


def test_what_is_given_to_the_task_itself_goes_before_what_is_shared() -> None:
    with DAG("d", schedule=None, default_args={"call": "rtc_1", "expires_in_seconds": 60}):
        assert HangupCallOperator(task_id="a", call_id="rtc_2").call is None
        line = OpenLineOperator(task_id="b", name="hours", expires_at="2030-01-01T00:00:00+00:00")
        assert line.expires_in_seconds is None


def test_what_is_given_to_the_task_itself_is_still_refused() -> None:
    with DAG("d", schedule=None, default_args=shared()):
        with pytest.raises(InvalidInput, match="voice needs wait_for_end"):
            PlaceCallOperator(task_id="a", to="+14155550142", campaign="c", voice="marin")
        with pytest.raises(InvalidInput, match="greeting needs wait_for_end"):
            AcceptCallOperator(task_id="b", call="rtc_1", greeting="Hi.")
        with pytest.raises(InvalidInput, match="voice is for calls that are accepted"):
            OpenLineOperator(task_id="c", name="night", status_code=486, voice="marin")


def test_a_mapped_task_takes_no_notice_of_them_either() -> None:
    with DAG("d", schedule=None, default_args=shared()):
        mapped = PlaceCallOperator.partial(task_id="place", campaign="c").expand(to=["+14155550142"])
    assert mapped.unmap({"to": "+14155550142"}).voice is None


def test_what_is_for_other_calls_is_ignored_when_it_is_shared_and_refused_when_it_is_given() -> None:
    with DAG("d", schedule=None, default_args={"to": "+1*", "conf": {"a": 1}, "trigger_dag_id": "talk"}):
        one = ClaimCallsOperator(task_id="one", call_id="rtc_1")
        watch = WatchCallOperator(task_id="watch", call_id="rtc_1")
    assert (one.to, one.trigger_dag_id, one.conf, watch.to) == (None, None, None, None)
    for given in ({"to": "+1*"}, {"trigger_dag_id": "talk"}):
        with pytest.raises(InvalidInput, match="is for all calls that ring"):
            ClaimCallsOperator(task_id="one", call_id="rtc_1", **given)
    with pytest.raises(InvalidInput, match="give trigger_dag_id"):
        ClaimCallsOperator(task_id="all", conf={"a": 1})
    with pytest.raises(InvalidInput, match="give order"):
        WatchCallOperator(task_id="watch", call_id="rtc_1", to="+1*")
    with pytest.raises(InvalidInput, match="not several"):
        WatchCallOperator(task_id="watch", call_id="rtc_1", order="day")
    with pytest.raises(InvalidInput, match="needs order"):
        WatchCallOperator(task_id="watch", call_id="rtc_1", wait_for_end=False)


def test_a_call_given_to_all_tasks_is_not_for_one_that_watches_an_order() -> None:
    with DAG("d", schedule=None, default_args={"call": "rtc_1", "wait_for_end": False}):
        assert WatchCallOperator(task_id="order", order="day").call is None
        assert WatchCallOperator(task_id="call", call_id="rtc_1").wait_for_end is True
