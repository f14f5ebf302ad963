from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest

from airflow_openai_realtime.api.call_requests import accept_call
from airflow_openai_realtime.api.session.realtime_session import COMMON_FIELDS, RealtimeSession, parse_session
from airflow_openai_realtime.calls.answer_plan import (
    ANSWER_FIELDS,
    SESSION_FIELDS,
    AnswerParameters,
    AnswerPlan,
    read_max_duration,
    session_as_dict,
)
from airflow_openai_realtime.calls.call import SwitchboardCall
from airflow_openai_realtime.exceptions import ConfigurationError, InvalidInput, InvalidSession

NOW = datetime(2026, 11, 22, tzinfo=timezone.utc)
CALL = SwitchboardCall("rtc_1", "support", "claimed", NOW, NOW, from_number="+14155550123")
KEY = "sk-a-key"
FULL = parse_session(
    instructions="Caller {caller}.",
    voice="marin",
    tracing="auto",
    tools=[
        {
            "type": "mcp",
            "server_label": "crm",
            "server_url": "https://crm.example.com",
            "authorization": "oauth-very-secret",
            "require_approval": "never",
        }
    ],
    extra_fields={"audio": {"output": {"new_field": 1}}},
)


def body(session: Any) -> Any:
    return accept_call("rtc_1", session).body


def test_the_session_for_a_call_is_the_one_that_was_checked() -> None:
    assert body(AnswerPlan.of(FULL, 60).session_for(CALL)) == body(FULL)


def test_with_caller_fields_only_the_instructions_differ() -> None:
    made = AnswerPlan.of(FULL, 60, {"caller": "from_number"}).session_for(CALL)
    assert body(made) == {**body(FULL), "instructions": made["instructions"]}
    assert made["instructions"].endswith('Caller [caller data: "+14155550123"].')


def test_one_call_leaves_nothing_to_the_next() -> None:
    plan = AnswerPlan.of(FULL, 60, {"caller": "from_number"})
    plan.session_for(CALL)
    assert "0123" not in plan.session_for(replace(CALL, from_number="+14155550199"))["instructions"]


@pytest.mark.parametrize("fields", [None, {"caller": "from_number"}])
def test_a_sealed_plan_is_read_as_it_was(fields: dict[str, str] | None) -> None:
    plan = AnswerPlan.of(FULL, 60, fields)
    sealed = plan.seal(KEY)
    assert json.loads(json.dumps(sealed)) == sealed
    assert AnswerPlan.unseal(sealed, KEY) == plan


def test_a_sealed_plan_shows_nothing() -> None:
    sealed = AnswerPlan.of(FULL, 60, {"caller": "from_number"}).seal(KEY)
    assert not [text for text in ("very-secret", "Caller", "crm", KEY) if text in sealed]


def test_a_plan_shows_no_session() -> None:
    assert "very-secret" not in repr(AnswerPlan.of(FULL, 60))


@pytest.mark.parametrize(("change", "key"), [("", "sk-another"), ("x", KEY), ("AAAA", KEY)])
def test_with_another_key_or_changed_it_cannot_be_read(change: str, key: str) -> None:
    sealed = AnswerPlan.of(FULL, 60).seal(KEY)
    with pytest.raises(ConfigurationError, match="has changed") as error:
        AnswerPlan.unseal(change + sealed, key)
    assert key not in str(error.value)


def test_caller_fields_without_instructions_are_refused() -> None:
    with pytest.raises(InvalidInput) as error:
        AnswerPlan.of(RealtimeSession(), 60, {"caller": "from_number"})
    assert error.value.field == "caller_fields"


def test_without_caller_fields_braces_are_only_braces() -> None:
    session = parse_session(instructions='Answer as {"x": 1}.')
    assert AnswerPlan.of(session, 60).session_for(CALL)["instructions"] == 'Answer as {"x": 1}.'


TEMPLATE = "{{ params.x }}"


def test_the_fields_of_the_session_are_those_that_a_session_is_made_of() -> None:
    assert set(SESSION_FIELDS) == {"session", *COMMON_FIELDS}
    assert set(ANSWER_FIELDS) - set(SESSION_FIELDS) == {"caller_fields", "max_duration_seconds"}


def test_parameters_are_picked_from_among_others() -> None:
    values = {**dict.fromkeys(ANSWER_FIELDS), "voice": "cedar", "task_id": "answer"}
    parameters = AnswerParameters.of(values)
    assert (parameters.voice, parameters.max_duration_seconds) == ("cedar", None)
    with pytest.raises(KeyError):
        AnswerParameters.of({"voice": "cedar"})


def test_only_what_was_given_makes_up_the_session() -> None:
    parameters = AnswerParameters(instructions="", parallel_tool_calls=False, caller_fields={"a": "from_number"})
    assert parameters.given() == {"instructions": "", "parallel_tool_calls": False}


def test_what_templates_rendered_to_is_read() -> None:
    plan = AnswerParameters(
        instructions="Hello", speed="1.25", tools='[{"name": "f"}]', max_duration_seconds="90"
    ).plan()
    assert plan.max_duration_seconds == 90.0
    body = dict(plan.session)
    assert body["audio"]["output"]["speed"] == 1.25
    assert [tool["name"] for tool in body["tools"]] == ["f"]


def test_a_tool_of_the_conversation_may_be_chosen_and_another_not() -> None:
    parameters = AnswerParameters(tool_choice={"type": "function", "name": "record_result"})
    parameters.check_literals(["record_result"])
    assert parameters.plan(["record_result"])
    for read in (parameters.plan, parameters.check_literals):
        with pytest.raises(InvalidSession, match="record_result"):
            read()


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"max_duration_seconds": 0}, "max_duration_seconds"),
        ({"max_duration_seconds": 3601}, "max_duration_seconds"),
        ({"voice": "marinn"}, "audio.output.voice"),
        ({"speed": 2}, "audio.output.speed"),
        ({"caller_fields": {"a": "shoe_size"}}, None),
        ({"caller_fields": "not a mapping"}, "caller_fields"),
    ],
)
def test_a_wrong_literal_shows_at_parse_time_and_when_it_is_read(given: dict[str, Any], field: str | None) -> None:
    for read in (AnswerParameters(**given).check_literals, AnswerParameters(**given).plan):
        with pytest.raises(InvalidInput) as refused:
            read()
        if field is not None:
            assert refused.value.field == field


@pytest.mark.parametrize(
    "given",
    [
        {"max_duration_seconds": TEMPLATE},
        {"voice": TEMPLATE, "speed": 99},
        {"caller_fields": {"a": TEMPLATE}},
        {"session": {"instructions": TEMPLATE}, "instructions": TEMPLATE},
        {},
    ],
)
def test_templates_wait_for_their_values(given: dict[str, Any]) -> None:
    AnswerParameters(**given).check_literals()


@pytest.mark.parametrize(("value", "seconds"), [(3600, 3600.0), ("0.5", 0.5), (1, 1.0)])
def test_a_call_may_take_up_to_an_hour(value: object, seconds: float) -> None:
    assert read_max_duration(value) == seconds


@pytest.mark.parametrize("value", [0, -1, 3600.1, "soon", None, True, float("nan")])
def test_any_other_duration_is_refused(value: object) -> None:
    with pytest.raises(InvalidInput, match="max_duration_seconds"):
        read_max_duration(value)


def test_a_session_is_shown_as_what_was_set_in_it() -> None:
    assert session_as_dict(RealtimeSession(instructions="Hi"))["instructions"] == "Hi"
    assert "audio" not in session_as_dict(RealtimeSession(instructions="Hi"))
    given = {"instructions": "Hi"}
    assert session_as_dict(given) is given
    assert session_as_dict(None) is None
