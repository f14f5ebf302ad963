"""A condition or limit that was set and rendered to nothing stops the task, since it would do more than intended."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_openai_realtime.calls.given import MAY_BE_EMPTY, check_not_emptied, is_empty
from airflow_openai_realtime.exceptions import InvalidInput

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
