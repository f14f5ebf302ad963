from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_openai_realtime.calls.timeline.entries import TimelineEntry, entry_of
from airflow_openai_realtime.calls.timeline.summary import Gaps, Summary
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


# -- gaps --------------------------------------------------------------------------------------------------------------


def test_gaps_add_up() -> None:
    gaps = Gaps()
    gaps.attached(at(10), 2.5)
    gaps.attached(at(20), 0.4)
    assert gaps.seconds == 2.9


def test_who_attaches_without_a_gap_adds_none() -> None:
    gaps = Gaps()
    gaps.attached(at(10), 0)
    assert gaps.seconds == 0


def test_a_gap_that_two_tell_of_counts_once() -> None:
    gaps = Gaps()
    gaps.attached(at(12.3), 2.3, "lease_1")
    gaps.attached(at(12.5), 2.5)
    assert gaps.seconds == 2.5


def test_a_gap_within_another_counts_once_whichever_is_told_first() -> None:
    gaps = Gaps()
    gaps.attached(at(20), 10)
    gaps.attached(at(15), 2)
    gaps.attached(at(30), 3)
    assert gaps.seconds == 13


def test_what_the_switchboard_heard_is_no_gap() -> None:
    gaps = Gaps()
    gaps.attached(at(12), 2, "lease_1")
    gaps.attached(at(40), 30)
    assert gaps.seconds == 30
    gaps.heard(at(39))
    assert gaps.seconds == 3
    gaps.heard(at(43))
    assert gaps.seconds == 2


def test_what_the_switchboard_heard_before_it_was_attached_again_is_not_known() -> None:
    gaps = Gaps()
    gaps.attached(at(12), 2, "lease_1")
    gaps.attached(at(60), 5, "lease_2")
    gaps.heard(at(20))
    assert gaps.seconds == 7


def test_a_holder_that_was_there_all_the_time_has_missed_nothing() -> None:
    gaps = Gaps()
    gaps.attached(at(12), 2, "lease_1")
    gaps.attached(at(16), 1, "lease_1")
    gaps.attached(at(42), 2, "lease_2")
    gaps.not_missed(at(17), "lease_1")
    assert gaps.seconds == 2


def test_a_holder_that_was_there_but_lost_its_socket_has_missed_what_nobody_heard() -> None:
    gaps = Gaps()
    gaps.attached(at(12), 2, "lease_1")
    gaps.heard(at(16))
    gaps.attached(at(16.5), 6.5)
    gaps.not_missed(at(17), "lease_1")
    assert gaps.seconds == 2.5


def test_what_was_missed_when_the_switchboard_had_long_stopped_counts_whatever_was_heard_since() -> None:
    for relieved in (lambda gaps: gaps.attached(at(15), 0), lambda gaps: gaps.not_missed(at(15), "lease_1")):
        gaps = Gaps()
        gaps.attached(at(12), 0, "lease_1")
        relieved(gaps)
        gaps.attached(at(30), 5)
        gaps.heard(at(60))
        assert gaps.seconds == 5


def test_an_older_word_of_how_long_the_switchboard_listened_changes_nothing() -> None:
    gaps = Gaps()
    gaps.heard(at(20))
    gaps.heard(at(10))
    gaps.heard(None)
    assert gaps.heard_until == at(20)
