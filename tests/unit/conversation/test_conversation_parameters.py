from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import BaseModel
from tests.unit.conversation import tool_samples
from tests.unit.conversation.talk import SCHEMA

from airflow_openai_realtime.conversation.conversation_parameters import (
    check_conversation_literals,
    read_conversation_plan,
)
from airflow_openai_realtime.conversation.given_conversation import ConversationParameters
from airflow_openai_realtime.conversation.rules.plan import ConversationPlan, TransferTarget
from airflow_openai_realtime.conversation.wanted_conversation import WantedConversation
from airflow_openai_realtime.exceptions import ConfigurationError, InvalidInput

PATH = "tests.unit.conversation.tool_samples."
FULL: dict[str, Any] = {
    "greeting": "Good morning.",
    "silence_seconds": 20,
    "end_call": False,
    "goodbye": "Goodbye.",
    "result_model": tool_samples.Agreement,
    "functions": [tool_samples.look_up, PATH + "book"],
    "transfer_to": {"desk": "tel:+14155550177"},
}


def plan_of(**given: Any) -> ConversationPlan:
    return read_conversation_plan(vars(ConversationParameters(**given)))


def check(**given: Any) -> None:
    check_conversation_literals(vars(ConversationParameters(**given)))


def in_dag_file(value: Any) -> Any:
    value.__module__ = "unusual_prefix_0c2f_my_dag"
    return value


def test_everything_is_read() -> None:
    plan = plan_of(**FULL)
    assert (plan.greeting, plan.silence_seconds, plan.end_call, plan.goodbye) == (
        "Good morning.",
        20,
        False,
        "Goodbye.",
    )
    assert plan.result_model == PATH + "Agreement"
    assert [spec.name for spec in plan.functions] == ["look_up", "book"]
    assert plan.transfer_targets == {"desk": TransferTarget("tel:+14155550177")}


def test_without_anything_the_model_may_end_the_call_and_silence_does() -> None:
    assert plan_of() == ConversationPlan(silence_seconds=60.0, end_call=True)


def test_a_plan_travels_as_json_and_sealed() -> None:
    plan = plan_of(**FULL)
    assert ConversationPlan.from_dict(json.loads(json.dumps(plan.to_dict()))) == plan
    sealed = WantedConversation(plan).seal("sk-a-key")
    assert WantedConversation.unseal(sealed, "sk-a-key").plan == plan
    assert "415" not in sealed + repr(plan)
    with pytest.raises(ConfigurationError, match="has changed"):
        WantedConversation.unseal(sealed, "sk-another")


def test_text_that_templates_render_to_is_read() -> None:
    plan = plan_of(
        silence_seconds="12.5",
        end_call="False",
        goodbye="  ",
        transfer_to='{"desk": {"target_uri": "sip:a@b.example"}}',
    )
    assert (plan.silence_seconds, plan.end_call, plan.goodbye) == (12.5, False, None)
    assert plan.transfer_targets["desk"].target_uri == "sip:a@b.example"


def test_it_may_be_silent_for_ever() -> None:
    assert plan_of(silence_seconds=None).silence_seconds is None
    assert plan_of(silence_seconds="None").silence_seconds is None


# -- the result ----------------------------------------------------------------------------------------------------


def test_a_schema_is_the_result_as_it_is() -> None:
    plan = plan_of(result_model=SCHEMA)
    assert (plan.result_schema, plan.result_model) == (SCHEMA, None)


def test_a_class_by_its_path() -> None:
    plan = plan_of(result_model=PATH + "Agreement.Inner")
    assert plan.result_model == PATH + "Agreement.Inner"


def test_a_class_of_the_dag_file_gives_its_schema_only() -> None:
    class Answer(BaseModel):
        x: int

    plan = plan_of(result_model=in_dag_file(Answer))
    assert plan.result_model is None
    assert plan.result_schema is not None
    assert plan.result_schema["required"] == ["x"]


@pytest.mark.parametrize(
    ("result_model", "told"),
    [
        ({"type": "array"}, "JSON schema of an object"),
        ({"type": "object", "properties": 3}, "not a JSON schema"),
        ({"type": "object", "properties": {"x": {"$ref": "https://x.example/y"}}}, "must point into the schema itself"),
        (tool_samples.NoModel, "not a pydantic class"),
        (PATH + "NoModel", "not a pydantic class"),
        (PATH + "Gone", "cannot be imported"),
        ("Agreement", "not an import path"),
        (3, "must be a function or its import path"),
    ],
)
def test_a_result_model_that_cannot_be_used_is_refused(result_model: Any, told: str) -> None:
    with pytest.raises(InvalidInput, match=told) as refusal:
        plan_of(result_model=result_model)
    assert refusal.value.field == "result_model"


# -- the rest ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"greeting": 3}, "greeting"),
        ({"greeting": "x" * 2001}, "greeting"),
        ({"goodbye": ["x"]}, "goodbye"),
        ({"silence_seconds": 0}, "silence_seconds"),
        ({"silence_seconds": "soon"}, "silence_seconds"),
        ({"end_call": "perhaps"}, "end_call"),
        ({"transfer_to": {"desk": "+14155550177"}}, "transfer_to.desk"),
        ({"transfer_to": {"desk": None}}, "transfer_to.desk"),
        ({"transfer_to": {"": "tel:+14155550177"}}, "transfer_to"),
        ({"transfer_to": {"desk": {"uri": "tel:+14155550177"}}}, "transfer_to.desk"),
        ({"transfer_to": "desk"}, "transfer_to"),
    ],
)
def test_what_cannot_be_used_is_refused_when_the_dag_is_parsed(given: dict[str, Any], field: str) -> None:
    for read in (check, plan_of):
        with pytest.raises(InvalidInput) as refusal:
            read(**given)
        assert refusal.value.field == field
        assert "4155550177" not in str(refusal.value)


def test_what_is_right_is_not_refused_when_the_dag_is_parsed() -> None:
    check(**FULL)
    check()


def test_templates_are_left_alone_until_they_are_rendered() -> None:
    check(
        greeting="Hello {{ params.name }}",
        silence_seconds="{{ params.seconds }}",
        end_call="{{ params.may }}",
        result_model="{{ params.model }}",
        functions=["{{ params.function }}"],
        transfer_to={"desk": "{{ params.desk }}"},
    )


def test_parsing_imports_nothing() -> None:
    check(functions=["no_such_package.book"], result_model="no_such_package.Answer")


def test_a_result_model_with_a_field_that_airflow_would_read_is_refused_when_the_dag_is_parsed() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "object", "properties": {"__type": {"type": "string"}}}}}
    with pytest.raises(InvalidInput, match="__type begins with two underscores"):
        check(result_model=schema)
