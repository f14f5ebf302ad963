from __future__ import annotations

from typing import Any

import pytest

from airflow_openai_realtime.calls.parameters import (
    MAY_BE_EMPTY,
    CallReference,
    check_not_emptied,
    is_empty,
    is_literal,
    read_call,
    read_integer,
    read_mapping,
    read_number,
    read_rendered,
)
from airflow_openai_realtime.exceptions import InvalidInput


class Output:
    def resolve(self, context: object) -> str:
        return "rtc_1"


@pytest.mark.parametrize("value", ["text", 1, None, {"a": ["b"]}, ("x",), True])
def test_what_holds_no_template_is_known_when_the_dag_is_parsed(value: object) -> None:
    assert is_literal(value)


@pytest.mark.parametrize("value", ["{{ x }}", "{% if x %}", {"a": "{{ x }}"}, ["{{ x }}"], Output(), {"a": [Output()]}])
def test_what_holds_a_template_or_a_result_is_not(value: object) -> None:
    assert not is_literal(value)


@pytest.mark.parametrize(("value", "number"), [(600, 600.0), ("600", 600.0), (" 0.5 ", 0.5), ("1e2", 100.0)])
def test_numbers_may_be_text(value: object, number: float) -> None:
    assert read_number(value, "seconds") == number


@pytest.mark.parametrize("value", ["", "soon", None, True, "nan", "inf", [], 11, -1])
def test_what_is_no_number_in_range_is_refused_by_name(value: object) -> None:
    with pytest.raises(InvalidInput, match="seconds must be a number of at least 0 and at most 10"):
        read_number(value, "seconds", at_least=0, at_most=10)


def test_a_fraction_is_no_whole_number() -> None:
    assert read_integer("3.0", "attempt") == 3
    with pytest.raises(InvalidInput, match="whole number"):
        read_integer("3.5", "attempt")


@pytest.mark.parametrize("nothing", [None, "", "None", "null", {}, {"call_id": None, "outcome": "busy"}])
def test_no_call_is_none(nothing: object) -> None:
    assert read_call(nothing) is None


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("rtc_1", CallReference("rtc_1")),
        ({"call_id": "rtc_1", "claimed_by": "me"}, CallReference("rtc_1", "me")),
        ("{'call_id': 'rtc_1', 'claimed_by': None}", CallReference("rtc_1")),
        ('{"call_id": "rtc_1"}', CallReference("rtc_1")),
    ],
)
def test_a_call_is_a_dict_an_id_or_the_text_of_a_dict(call: object, expected: CallReference) -> None:
    assert read_call(call) == expected


@pytest.mark.parametrize("call", [3, ["rtc_1"], {"from": "x"}, "{'call_id': open('x')}", "two words", "{"])
def test_anything_else_is_no_call(call: object) -> None:
    with pytest.raises(InvalidInput):
        read_call(call)


def test_text_is_read_but_never_run() -> None:
    with pytest.raises(InvalidInput):
        read_mapping("{'a': __import__('os').getpid()}", "placed")


@pytest.mark.parametrize(
    ("value", "field", "expected"),
    [
        ("1.1", "speed", 1.1),
        ("200", "max_output_tokens", 200),
        ("inf", "max_output_tokens", "inf"),
        ("True", "parallel_tool_calls", True),
        ("[{'type': 'function', 'name': 'f'}]", "tools", [{"type": "function", "name": "f"}]),
        ("{not json", "instructions", "{not json"),
        ("auto", "tool_choice", "auto"),
        (5, "speed", 5),
    ],
)
def test_rendered_session_fields_get_their_type_back(value: object, field: str, expected: object) -> None:
    assert read_rendered(value, field) == expected


TEMPLATE = "{{ params.x }}"


def emptied(given: dict[str, Any], rendered: dict[str, Any], *mapped: str) -> str | None:
    """The path that the error calls empty."""
    try:
        check_not_emptied(given, rendered, mapped)
    except InvalidInput as refused:
        return refused.field
    return None


@pytest.mark.parametrize(
    "value", [None, "", "  ", "None", "null", " NULL ", "[]", "{}", [], {}, (), set(), frozenset()]
)
def test_nothing_has_many_spellings(value: object) -> None:
    assert is_empty(value)


@pytest.mark.parametrize("value", [0, 0.0, False, "0", "False", "none of it", [None], {"a": None}, object()])
def test_zero_and_false_say_something(value: object) -> None:
    assert not is_empty(value)


@pytest.mark.parametrize("rendered", [None, "", "None", [], {}])
def test_a_template_that_renders_to_nothing_is_refused_by_name(rendered: object) -> None:
    assert emptied({"to": TEMPLATE}, {"to": rendered}) == "to"
    assert emptied({"to": TEMPLATE}, {}) == "to"


def test_a_template_that_renders_to_something_is_taken() -> None:
    assert emptied({"to": TEMPLATE, "n": TEMPLATE}, {"to": "+1415*", "n": 0}) is None


@pytest.mark.parametrize("name", sorted(MAY_BE_EMPTY))
def test_what_only_adds_something_may_be_empty(name: str) -> None:
    assert emptied({name: TEMPLATE}, {name: ""}) is None


@pytest.mark.parametrize("value", [None, [], {}, 5])
def test_what_the_author_left_empty_is_left_alone(value: object) -> None:
    assert emptied({"headers": value}, {"headers": value}) is None


def test_blank_text_is_refused_though_the_author_wrote_it() -> None:
    assert emptied({"to": " "}, {"to": " "}) == "to"


@pytest.mark.parametrize(
    ("given", "rendered", "path"),
    [
        ({"X-Queue": TEMPLATE}, {"X-Queue": ""}, "headers.X-Queue"),
        ({"X-Queue": TEMPLATE}, {}, "headers.X-Queue"),
        ({"a": {"b": [1, TEMPLATE]}}, {"a": {"b": [1, None]}}, "headers.a.b.1"),
        ([TEMPLATE, TEMPLATE], ["x", ""], "headers.1"),
        ([TEMPLATE, TEMPLATE], [], "headers"),
        ({"a": TEMPLATE, "b": "", "c": None}, {"a": "x", "b": "", "c": None}, None),
    ],
)
def test_inside_a_dict_or_list_the_path_leads_to_what_is_empty(given: Any, rendered: Any, path: str | None) -> None:
    assert emptied({"headers": given}, {"headers": rendered}) == path


def test_of_a_mapped_task_every_value_came_from_another_task() -> None:
    assert emptied({"match": {}}, {"match": {}}, "match") == "match"
    assert emptied({"match": None}, {"match": None}, "match") == "match"
    assert emptied({"call": {}}, {"call": {}}, "call") is None


def test_the_first_is_named() -> None:
    assert emptied({"a": TEMPLATE, "b": TEMPLATE}, {"a": "x", "b": ""}) == "b"


def test_the_author_is_told_what_to_do() -> None:
    with pytest.raises(InvalidInput, match=r"^to is set.*write None in the DAG file"):
        check_not_emptied({"to": TEMPLATE}, {"to": ""})
