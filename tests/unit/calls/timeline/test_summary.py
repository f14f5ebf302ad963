from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_openai_realtime.calls.timeline.entries import TimelineEntry, entry_of
from airflow_openai_realtime.calls.timeline.summary import Summary
from airflow_openai_realtime.states import EntryKind, Note

START = datetime(2026, 11, 23, 8, tzinfo=timezone.utc)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def stood_by(seconds: float, gap_seconds: float, **body: Any) -> TimelineEntry:
    return entry_of(
        EntryKind.NOTE,
        at(seconds),
        Note.STOOD_BY,
        seconds,
        what=Note.STOOD_BY,
        lease="1",
        gap_seconds=gap_seconds,
        **body,
    )


def asked(tool_call_id: str) -> TimelineEntry:
    body = {"what": Note.ASKED, "tool_call_id": tool_call_id, "name": "look_up", "arguments": '{"day": "Monday"}'}
    return entry_of(EntryKind.NOTE, at(3), Note.ASKED, tool_call_id, **body)


def test_a_switchboard_that_listened_was_attached_and_says_what_nobody_heard() -> None:
    summary = Summary.of([stood_by(5, 2.5, model="gpt-realtime-2.1", transcription_model="gpt-transcribe")])
    assert (summary.attachments, summary.gap_seconds) == (1, 2.5)
    assert (summary.model, summary.transcription_model) == ("gpt-realtime-2.1", "gpt-transcribe")


@pytest.mark.parametrize(("lease", "gap_seconds"), [("1", 0), ("2", 2.5)])
def test_a_holder_that_was_there_meanwhile_has_missed_nothing(lease: str, gap_seconds: float) -> None:
    stood_down = entry_of(EntryKind.NOTE, at(9), Note.STOOD_DOWN, lease, what=Note.STOOD_DOWN, lease=lease)
    summary = Summary.of([stood_by(5, 2.5), stood_down])
    assert (summary.attachments, summary.gap_seconds) == (1, gap_seconds)


def test_somebody_listened_until_the_last_entry_or_until_the_switchboard_did() -> None:
    assert Summary().last_heard_at is None
    assert Summary.of([stood_by(5, 2)]).last_heard_at == at(5)
    assert Summary.of([stood_by(5, 2)], at(9)).last_heard_at == at(9)
    assert Summary.of([stood_by(5, 2)], at(4)).last_heard_at == at(5)


def test_a_tool_that_the_model_called_is_not_begun_until_somebody_begins_it() -> None:
    summary = Summary.of([asked("call_1"), asked("call_2")])
    assert [(each.tool_call_id, each.name, each.arguments, each.status) for each in summary.never_begun()] == [
        ("call_1", "look_up", '{"day": "Monday"}', "not_run"),
        ("call_2", "look_up", '{"day": "Monday"}', "not_run"),
    ]
    summary.add(entry_of("tool_call", at(4), "call_1", tool_call_id="call_1", name="look_up", arguments="{}"))
    assert [each.tool_call_id for each in summary.never_begun()] == ["call_2"]
    assert list(summary.tools) == ["call_1"]


def test_keys_stand_in_the_order_in_which_they_were_pressed_though_they_were_added_in_another() -> None:
    summary = Summary()
    for second, key in ((5, "3"), (1, "1"), (1, "2"), (9, "4")):
        summary.add(entry_of("key", at(second), second, key, key=key))
    assert summary.pressed == ["1", "2", "3", "4"]


def test_words_of_the_agent_that_are_added_late_do_not_make_it_speak_earlier() -> None:
    summary = Summary.of([entry_of("agent", at(9), "b", text="b"), entry_of("agent", at(2), "a", text="a")])
    assert summary.last_agent_at == at(9)
    assert summary.agent_turns == 2
