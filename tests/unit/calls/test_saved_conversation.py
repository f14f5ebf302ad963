"""Conversations and timeline entries as values."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from tests.unit.switchboard.support import START

from airflow_openai_realtime.api.untrusted import DEEPEST
from airflow_openai_realtime.calls.saved_conversation import Conversation
from airflow_openai_realtime.calls.timeline.entries import (
    MOST_ENTRIES_AT_ONCE,
    MOST_ENTRY_BYTES,
    TimelineEntry,
    as_json,
    check_entries,
    in_requests,
)
from airflow_openai_realtime.exceptions import InvalidInput

ENTRY = TimelineEntry("item_1", "caller", START, {"text": "My number is +14155550123"})
CONVERSATION = Conversation(
    "rtc_1", "support", "dag/run/task/-1", 2, START, START + timedelta(seconds=9), entries=(ENTRY,), result={"a": [1]}
)


def test_a_conversation_travels_as_json() -> None:
    text = as_json(CONVERSATION.to_dict(), field="conversation", most_bytes=10_000)
    assert Conversation.from_dict(CONVERSATION.to_dict()) == CONVERSATION
    assert '"opened_at":"2026-11-22T08:00:00+00:00"' in text


def test_unknown_keys_are_ignored_so_that_versions_may_differ() -> None:
    value = {**CONVERSATION.to_dict(), "mood": "good"}
    value["entries"] = [{**ENTRY.to_dict(), "mood": "good"}]
    assert Conversation.from_dict(value) == CONVERSATION


def test_what_was_said_is_not_in_the_repr() -> None:
    assert "4155550123" not in repr(ENTRY) + repr(CONVERSATION)
    assert "[1]" not in repr(CONVERSATION)


@pytest.mark.parametrize("value", [{}, {"key": "a"}, {**ENTRY.to_dict(), "at": "soon"}, {**ENTRY.to_dict(), "body": 1}])
def test_what_is_no_entry_is_refused(value: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        TimelineEntry.from_dict(value)


def test_what_is_no_conversation_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no conversation"):
        Conversation.from_dict({"call_id": "rtc_1"})


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"key": ""}, "key must be"),
        ({"key": "a b"}, "key must be"),
        ({"key": "a\n"}, "key must be"),
        ({"key": "\u00e4"}, "key must be"),
        ({"key": "a" * 256}, "key must be"),
        ({"kind": "song"}, "kind must be one of caller"),
        ({"at": START.replace(tzinfo=None)}, "time zone"),
        ({"body": {"x": object()}}, "cannot be written as JSON"),
        ({"body": {"x": "y" * MOST_ENTRY_BYTES}}, "at most 65,536"),
    ],
)
def test_an_entry_that_cannot_be_kept_is_refused_by_name(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidInput, match=says) as refused:
        TimelineEntry(**{**ENTRY.__dict__, **changes}).check()
    assert "yyy" not in str(refused.value)


def test_of_a_body_nested_too_deeply_the_upper_levels_are_kept() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    body = TimelineEntry("a", "note", START, {"x": deep}).check().body
    assert json.dumps(body).count("[") == DEEPEST - 1


def test_halves_of_characters_and_numbers_that_are_none_are_left_out() -> None:
    body = {"text": "a\ud800b", "number": float("nan")}
    assert TimelineEntry("a", "note", START, body).check().body == {"text": "ab", "number": None}


def test_of_entries_with_one_key_the_first_counts() -> None:
    other = TimelineEntry("item_1", "agent", START)
    assert check_entries([ENTRY, other]) == [ENTRY]


def test_too_many_entries_at_once_are_refused() -> None:
    many = [TimelineEntry(str(number), "note", START) for number in range(MOST_ENTRIES_AT_ONCE + 1)]
    with pytest.raises(InvalidInput, match="at most 200"):
        check_entries(many)
    assert [len(group) for group in in_requests(many)] == [200, 1]


def test_large_entries_go_in_several_requests_in_their_order() -> None:
    large = [TimelineEntry(str(number), "note", START, {"text": "x" * 60_000}) for number in range(10)]
    groups = in_requests(large)
    assert [entry for group in groups for entry in group] == large
    assert [len(group) for group in groups] == [4, 4, 2]
    assert in_requests([]) == [[]]
