"""Conversations and timeline entries as values."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.unit.switchboard.support import START

from airflow_openai_realtime.calls.saved_conversation import Conversation
from airflow_openai_realtime.calls.timeline.entries import (
    TimelineEntry,
    as_json,
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


def test_what_is_no_conversation_is_refused() -> None:
    with pytest.raises(InvalidInput, match="not a conversation"):
        Conversation.from_dict({"call_id": "rtc_1"})
