"""Operators and sensors that share ``default_args``."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG
from tests.unit.operators.every_operator import EVERY, least

from airflow_openai_realtime.exceptions import InvalidInput
from airflow_openai_realtime.operators import (
    AcceptCallOperator,
    HangupCallOperator,
    OpenLineOperator,
    PlaceCallOperator,
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
    "transfer_to": {"dispatcher": "tel:+14155550100"},
    "transcript_path": "file:///tmp/",
    "prices": {"gpt-realtime-2.1": {"input_text": 1.0}},
    "if_not_answered": "result",
    "max_duration_seconds": 300,
    "telephony_carrier_conn_id": "carrier",
    "openai_realtime_conn_id": "line",
    "expires_in_seconds": 60,
}


def everybody() -> dict[str, Any]:
    """A task of each operator by its class's name, and one that declines calls."""
    tasks = {each.__name__: each(task_id=each.__name__, **least(each)) for each in EVERY}
    return {**tasks, "decline": OpenLineOperator(task_id="decline", name="night", status_code=486)}


def shared(**more: Any) -> dict[str, Any]:
    known = {"result_model": {"type": "object", "properties": {}}}
    return {**SHARED, **known, **more, "prices": None}


def test_default_args_of_all_kinds_are_no_import_error_for_any_operator() -> None:
    with DAG("d", schedule=None, default_args=shared()):
        tasks = everybody()
    for name in ("AcceptCallOperator", "AnswerCallOperator", "OpenLineOperator"):
        assert tasks[name].voice == "marin"
    assert tasks["WatchCallOperator"].greeting == "Hello."
    assert tasks["decline"].voice is None
    assert tasks["PlaceCallOperator"].voice is None
    assert tasks["AcceptCallOperator"].greeting is None
    assert tasks["IncomingCallSensor"].caller_fields is None
    assert tasks["IncomingCallSensor"].if_not_answered == "skip"
    assert tasks["PlaceCallOperator"].if_not_answered == "result"


def test_with_wait_for_end_among_them_whole_calls_take_all_of_them() -> None:
    with DAG("d", schedule=None, default_args=shared(wait_for_end=True)):
        tasks = everybody()
    for name in ("AcceptCallOperator", "AnswerCallOperator", "PlaceCallOperator"):
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
