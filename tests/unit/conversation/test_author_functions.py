"""Functions that a DAG author gives: their names, their schemas, and what is refused."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import ValidationError
from tests.unit.conversation import tool_samples

from airflow_openai_realtime.conversation.author_functions import (
    arguments_model,
    function_name,
    inlined,
    is_in_dag_file,
    load_object,
    path_of,
    read_function,
)
from airflow_openai_realtime.conversation.conversation_parameters import (
    check_conversation_literals,
    read_conversation_plan,
)
from airflow_openai_realtime.conversation.given_conversation import ConversationParameters
from airflow_openai_realtime.conversation.rules.plan import FUNCTION_SECONDS, ConversationPlan, FunctionSpec
from airflow_openai_realtime.exceptions import InvalidInput

PATH = "tests.unit.conversation.tool_samples."


def plan_of(**given: Any) -> ConversationPlan:
    return read_conversation_plan(vars(ConversationParameters(**given)))


def check(**given: Any) -> None:
    check_conversation_literals(vars(ConversationParameters(**given)))


def in_dag_file(value: Any) -> Any:
    value.__module__ = "unusual_prefix_0c2f_my_dag"
    return value


def test_a_function_is_described_by_its_signature_and_docstring() -> None:
    (spec,) = plan_of(functions=[tool_samples.look_up]).functions
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
    (spec,) = plan_of(functions=[given]).functions
    assert (spec.name, spec.description, spec.timeout_seconds) == ("order", "Finds.", 3.0)


def test_the_parameter_call_is_ours_and_not_the_models() -> None:
    (spec,) = plan_of(functions=[tool_samples.who_calls]).functions
    assert spec.wants_call
    assert spec.parameters["properties"] == {}


def test_definitions_are_written_where_they_are_used() -> None:
    (spec,) = plan_of(functions=[tool_samples.book]).functions
    assert "$ref" not in json.dumps(spec.parameters)
    assert spec.parameters["properties"]["item"]["anyOf"][0]["properties"]["amount"]["minimum"] == 1


def test_a_definition_that_holds_itself_stays_a_definition() -> None:
    schema = plan_of(result_model=tool_samples.Tree).result_schema
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
        plan_of(functions=functions)
    assert refusal.value.field is not None
    assert refusal.value.field.startswith("functions")


def test_a_function_of_the_dag_file_is_refused_when_it_is_parsed() -> None:
    def book() -> None:
        """Book."""

    book.__qualname__ = "book"
    with pytest.raises(InvalidInput, match=r"functions\[0\]: book cannot be imported by the triggerer.*DAG file"):
        check(functions=[in_dag_file(book)])


# -- the parts -----------------------------------------------------------------------------------------------------


class Holder:
    """A class with something inside."""

    @staticmethod
    def inside() -> None:
        """Do nothing."""


@pytest.mark.parametrize(
    ("given", "path"),
    [
        (" shop.calls:book ", "shop.calls.book"),
        ("shop.book", "shop.book"),
        (tool_samples.look_up, PATH + "look_up"),
        (tool_samples.Agreement.Inner, PATH + "Agreement.Inner"),
    ],
)
def test_a_path_leads_to_what_was_given(given: object, path: str) -> None:
    assert path_of(given, "functions") == path


@pytest.mark.parametrize("given", ["book", "shop.", ".book", "shop..book", "shop.my-book", "1shop.book", "", 7, None])
def test_what_is_no_path_is_refused_by_its_field(given: object) -> None:
    with pytest.raises(InvalidInput) as refused:
        path_of(given, "functions[2]")
    assert refused.value.field == "functions[2]"


def test_what_was_made_inside_a_function_cannot_be_imported() -> None:
    def local() -> None:
        """Do nothing."""

    for given in (local, lambda: None):
        with pytest.raises(InvalidInput, match="cannot be imported by the triggerer"):
            path_of(given, "functions")


@pytest.mark.parametrize(
    ("module", "is_in_dag"),
    [("unusual_prefix_0c2f_my_dag", True), ("__main__", True), ("shop.calls", False), ("my_unusual_prefix_", False)],
)
def test_a_dag_file_is_known_by_the_name_that_airflow_gives_it(module: str, is_in_dag: bool) -> None:
    assert is_in_dag_file(SimpleNamespace(__module__=module)) is is_in_dag
    assert not is_in_dag_file(7)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (tool_samples.book, "book"),
        ("shop.calls.book", "book"),
        ({"path": "shop.calls.book"}, "book"),
        ({"path": "shop.calls.book", "name": "reserve-table_2"}, "reserve-table_2"),
        ({"name": "only_a_name"}, "only_a_name"),
    ],
)
def test_a_function_is_called_by_its_given_name_or_by_its_own(given: object, name: str) -> None:
    assert function_name(given, "functions") == name


@pytest.mark.parametrize("name", ["two words", "x" * 65, "ä", 7, "record_result", "transfer_call", "end_call"])
def test_a_name_that_the_model_cannot_use_or_that_is_ours_is_refused(name: object) -> None:
    with pytest.raises(InvalidInput):
        function_name({"path": "shop.book", "name": name}, "functions")


def test_arguments_are_checked_with_the_types_of_the_signature() -> None:
    model = arguments_model(tool_samples.look_up, "look_up")
    assert model.model_validate({"order": "7"}).model_dump() == {"order": 7, "kind": "new"}
    for wrong in ({}, {"order": "seven"}, {"order": 7, "kind": "other"}, {"order": 7, "more": 1}):
        with pytest.raises(ValidationError):
            model.model_validate(wrong)


def test_the_call_is_never_an_argument_of_the_model() -> None:
    model = arguments_model(tool_samples.who_calls, "who_calls")
    assert model.model_fields == {}
    with pytest.raises(ValidationError):
        model.model_validate({"call": {}})


def test_a_parameter_without_a_name_of_its_own_is_refused() -> None:
    with pytest.raises(TypeError, match=r"values cannot be \w+ by name"):
        arguments_model(tool_samples.takes_anything, "takes_anything")


@pytest.mark.parametrize(("seconds", "read"), [(None, FUNCTION_SECONDS), (60, 60.0), ("0.5", 0.5)])
def test_a_function_may_take_up_to_a_minute(seconds: object, read: float) -> None:
    assert read_function({"path": PATH + "book", "timeout_seconds": seconds}, "functions").timeout_seconds == read


@pytest.mark.parametrize("seconds", [0, -1, 60.1, "soon", True])
def test_any_other_time_is_refused(seconds: object) -> None:
    with pytest.raises(InvalidInput, match="timeout_seconds"):
        read_function({"path": PATH + "book", "timeout_seconds": seconds}, "functions")


def test_a_definition_is_put_where_it_is_used_with_what_stands_beside_it() -> None:
    schema = {
        "properties": {"a": {"$ref": "#/$defs/A", "description": "The first."}, "b": [{"$ref": "#/$defs/B"}]},
        "$defs": {"A": {"type": "object", "properties": {"b": {"$ref": "#/$defs/B"}}}, "B": {"type": "string"}},
    }
    assert inlined(schema) == {
        "properties": {
            "a": {"type": "object", "properties": {"b": {"type": "string"}}, "description": "The first."},
            "b": [{"type": "string"}],
        }
    }


def test_a_definition_that_leads_back_to_itself_stays_and_so_do_references_elsewhere() -> None:
    tree = {"type": "object", "properties": {"children": {"items": {"$ref": "#/$defs/Tree"}}}}
    found = inlined({"$ref": "#/$defs/Tree", "$defs": {"Tree": tree}})
    assert found["properties"] == tree["properties"]
    assert found["$defs"] == {"Tree": tree}
    other = {"$ref": "https://example.com/schema", "$defs": {}}
    assert inlined(other) == other


def test_a_schema_without_definitions_is_copied_as_it_is() -> None:
    schema = {"type": "object"}
    assert inlined(schema) == schema
    assert inlined(schema) is not schema


def test_what_a_path_names_is_imported() -> None:
    assert load_object(f"{PATH}Agreement.Inner") is tool_samples.Agreement.Inner
    assert load_object("os.path.join")("a", "b") == "a/b"


@pytest.mark.parametrize("path", ["no_such_package.thing", "os.no_such_thing", f"{PATH}Agreement.Outer", "plain"])
def test_what_is_not_there_cannot_be_imported(path: str) -> None:
    with pytest.raises(ImportError):
        load_object(path)
