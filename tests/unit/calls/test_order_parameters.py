"""What a DAG author gives for a standing order, before and after rendering."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_openai_realtime.calls.order_parameters import (
    check_order_literals,
    read_greeting,
    read_instant,
    read_limits,
)
from airflow_openai_realtime.exceptions import InvalidInput

SIX = datetime(2026, 11, 22, 18, tzinfo=timezone.utc)


def test_only_what_was_given_is_kept() -> None:
    assert read_limits({"priority": 0, "uses": None, "expires_at": "", "status_code": "None"}) == {"priority": 0}


def test_rendered_text_is_read() -> None:
    given = {"priority": "-3", "uses": "7", "unclaimed_after_seconds": "8.5", "expires_at": "2026-11-22 18:00:00+00:00"}
    assert read_limits(given) == {"priority": -3, "uses": 7, "unclaimed_after_seconds": 8.5, "expires_at": SIX}
    assert read_limits({"expires_in_seconds": "36000", "status_code": "486"}) == {
        "expires_in_seconds": 36000.0,
        "status_code": 486,
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("priority", "high"),
        ("priority", 1.5),
        ("uses", 0),
        ("uses", 10**10),
        ("priority", 10**7),
        ("status_code", 200),
        ("expires_in_seconds", 0),
        ("unclaimed_after_seconds", 601),
        ("expires_at", "18:00"),
        ("expires_at", "2026-11-22T18:00:00"),
        ("expires_at", 5),
    ],
)
def test_what_cannot_be_used_is_named(name: str, value: object) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_limits({name: value})
    assert refused.value.field == name
    with pytest.raises(InvalidInput):
        check_order_literals("day", (None, None, None), {name: value})


def test_two_ends_contradict_each_other_also_as_templates() -> None:
    with pytest.raises(InvalidInput, match="not both"):
        read_limits({"expires_at": SIX, "expires_in_seconds": 5})
    with pytest.raises(InvalidInput, match="not both"):
        check_order_literals("day", (None, None, None), {"expires_at": "{{ x }}", "expires_in_seconds": "{{ y }}"})


@pytest.mark.parametrize("greeting", [5, "x" * 4001, ["Hello"]])
def test_a_greeting_that_cannot_be_used_is_refused(greeting: Any) -> None:
    for refuse in (read_greeting, lambda value: check_order_literals("day", (None, None, None), {}, value)):
        with pytest.raises(InvalidInput, match="greeting must be text of at most 4000") as refused:
            refuse(greeting)
        assert refused.value.field == "greeting"


def test_a_greeting_that_renders_to_nothing_is_none() -> None:
    assert [read_greeting(value) for value in (None, "", "None", "Say hello.")] == [None, None, None, "Say hello."]


def test_templates_are_left_alone() -> None:
    limits = {"priority": "{{ p }}", "uses": "{{ u }}", "expires_at": "{{ e }}"}
    check_order_literals("{{ name }}", ("{{ to }}", None, {"X": "{{ h }}"}), limits, "{{ g }}" * 2000)


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("a b", (None, None, None)),
        ("day", ("", None, None)),
        ("day", (None, None, {"X": ""})),
        ("day", (None, None, "x")),
    ],
)
def test_a_literal_name_or_pattern_is_checked(name: str, match: Any) -> None:
    with pytest.raises(InvalidInput):
        check_order_literals(name, match, {})


def test_an_instant_is_read_in_any_zone() -> None:
    assert read_instant(SIX.astimezone(timezone(timedelta(hours=5))), "expires_at") == SIX
    assert read_instant("2026-11-22T18:00:00Z", "expires_at") == SIX
    assert read_instant("2026-11-22T23:00:00+05:00", "expires_at").utcoffset() == timedelta()
