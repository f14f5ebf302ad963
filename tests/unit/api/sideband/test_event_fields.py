"""Fields of an event that is not trusted: each reader gives its type or nothing, and never raises."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_openai_realtime.api.sideband.events import instant, integer, nested, objects, text, text_or_none

Reader = Callable[[Mapping[str, Any], str], object]
READERS: dict[Reader, object] = {
    text: "",
    text_or_none: None,
    integer: 0,
    nested: {},
    objects: [],
    instant: None,
}
ANYTHING = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=6,
)


@pytest.mark.parametrize(
    ("read", "value", "found"),
    [
        (text, "Hi", "Hi"),
        (text_or_none, "Hi", "Hi"),
        (text_or_none, "", None),
        (integer, 7, 7),
        (integer, -7, -7),
        (nested, {"a": 1}, {"a": 1}),
        (objects, [{"a": 1}, 7, "b", None, {"c": 2}], [{"a": 1}, {"c": 2}]),
        (objects, ({"a": 1},), [{"a": 1}]),
        (instant, 1_790_000_000, datetime(2026, 9, 21, 14, 13, 20, tzinfo=timezone.utc)),
        (instant, 0.5, datetime(1970, 1, 1, 0, 0, 0, 500_000, tzinfo=timezone.utc)),
    ],
)
def test_a_field_of_the_right_type_is_read(read: Reader, value: object, found: object) -> None:
    assert read({"field": value, "other": None}, "field") == found


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (text, 7),
        (text, ["Hi"]),
        (integer, True),
        (integer, 7.0),
        (integer, "7"),
        (nested, [{"a": 1}]),
        (nested, "a"),
        (objects, {"a": 1}),
        (objects, "ab"),
        (instant, True),
        (instant, "1790000000"),
        (instant, float("nan")),
        (instant, 1e300),
        (instant, 10**20),
    ],
)
def test_a_field_of_another_type_is_as_one_that_is_missing(read: Reader, value: object) -> None:
    assert read({"field": value}, "field") == READERS[read]
    assert read({}, "field") == READERS[read]


@given(ANYTHING)
def test_whatever_a_field_holds_every_reader_gives_its_own_type(value: Any) -> None:
    event = {"field": value}
    assert isinstance(text(event, "field"), str)
    assert text_or_none(event, "field") != ""
    assert type(integer(event, "field")) is int
    assert isinstance(nested(event, "field"), Mapping)
    assert all(isinstance(each, Mapping) for each in objects(event, "field"))
    at = instant(event, "field")
    assert at is None or at.tzinfo is timezone.utc
