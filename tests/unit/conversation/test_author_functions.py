"""Functions that a DAG author gives: their names, their schemas, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.unit.conversation import tool_samples

from airflow_openai_realtime.conversation.conversation_parameters import (
    check_conversation_literals,
    read_conversation_plan,
)
from airflow_openai_realtime.conversation.rules.plan import FunctionSpec
from airflow_openai_realtime.exceptions import InvalidInput

PATH = "tests.unit.conversation.tool_samples."


def in_dag_file(value: Any) -> Any:
    value.__module__ = "unusual_prefix_0c2f_my_dag"
    return value


def test_a_function_is_described_by_its_signature_and_docstring() -> None:
    (spec,) = read_conversation_plan(functions=[tool_samples.look_up]).functions
    assert spec == FunctionSpec(
        "look_up",
        PATH + "look_up",
        "Look up an order.",
        {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "order": {"title": "Order", "type": "integer"},
                "kind": {"title": "Kind", "type": "string", "enum": ["new", "old"], "default": "new"},
            },
            "required": ["order"],
        },
    )


def test_a_function_may_be_described_otherwise() -> None:
    given = {"path": PATH + "look_up", "name": "order", "description": "Finds.", "timeout_seconds": "3"}
    (spec,) = read_conversation_plan(functions=[given]).functions
    assert (spec.name, spec.description, spec.timeout_seconds) == ("order", "Finds.", 3.0)


def test_the_parameter_call_is_ours_and_not_the_models() -> None:
    (spec,) = read_conversation_plan(functions=[tool_samples.who_calls]).functions
    assert spec.wants_call
    assert spec.parameters["properties"] == {}


def test_definitions_are_written_where_they_are_used() -> None:
    (spec,) = read_conversation_plan(functions=[tool_samples.book]).functions
    assert "$ref" not in json.dumps(spec.parameters)
    assert spec.parameters["properties"]["item"]["anyOf"][0]["properties"]["amount"]["minimum"] == 1


def test_a_definition_that_holds_itself_stays_a_definition() -> None:
    schema = read_conversation_plan(result_model=tool_samples.Tree).result_schema
    assert schema is not None
    assert "Tree" in schema["$defs"]


@pytest.mark.parametrize(
    ("functions", "told"),
    [
        ("look_up", "must be a list"),
        ([3], "must be a function or its import path"),
        (["look_up"], "not an import path"),
        ([lambda: None], "not in the DAG file"),
        ([PATH + "gone"], "cannot be imported"),
        ([PATH + "ran"], "is not a function"),
        ([{"path": PATH + "book", "name": "no name!"}], "must be letters"),
        ([{"path": PATH + "book", "name": "end_call"}], "is a tool of this package"),
        ([{"path": PATH + "book", "timeout": 3}], "has no timeout"),
        ([{"path": PATH + "book", "timeout_seconds": 0}], "must be a number above 0 and at most 60"),
        ([tool_samples.book, tool_samples.book], "rename one of them"),
        ([tool_samples.takes_anything], "cannot be passed by name"),
        ([tool_samples.takes_objects], "cannot be described to the model"),
    ],
)
def test_a_function_that_cannot_be_used_is_refused(functions: Any, told: str) -> None:
    with pytest.raises(InvalidInput, match=told) as refusal:
        read_conversation_plan(functions=functions)
    assert refusal.value.field is not None
    assert refusal.value.field.startswith("functions")


def test_a_function_of_the_dag_file_is_refused_when_it_is_parsed() -> None:
    def book() -> None:
        """Book."""

    book.__qualname__ = "book"
    with pytest.raises(InvalidInput, match=r"functions\[0\]: book cannot be imported by the triggerer.*DAG file"):
        check_conversation_literals(functions=[in_dag_file(book)])
