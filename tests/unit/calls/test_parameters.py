from __future__ import annotations

import pytest

from airflow_openai_realtime.calls.parameters import (
    CallReference,
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
