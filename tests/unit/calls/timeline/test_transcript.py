from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

from tests.unit.conversation.talk import Talk, call

from airflow_openai_realtime.api.sideband import events
from airflow_openai_realtime.calls.timeline.entries import entry_of
from airflow_openai_realtime.calls.timeline.transcript import (
    transcript_content,
    transcript_file,
    transcript_json,
    transcript_text,
)
from airflow_openai_realtime.conversation.rules.plan import ConversationPlan


def talked() -> Talk:
    talk = Talk(ConversationPlan(end_call=False))
    talk.hear(events.CallerSpeaking("item_1"))
    talk.now += timedelta(seconds=3)
    response = talk.begin()
    talk.hear(events.AudioStarted(response), events.AgentSaid("item_2", response, "Of\ncourse, I"))
    talk.hear(events.AudioCleared(response))
    talk.hear(events.CallerSaid("item_1", "Can you help?", None))
    talk.now += timedelta(seconds=61)
    talk.hear(events.CallerTranscriptFailed("item_3", "noise"), events.KeyPressed("1", None))
    talk.call_tools(call("gone"))
    talk.hear(events.SessionError("odd", None, "It is odd.", None, None))
    return talk


def test_a_transcript_is_in_the_order_in_which_it_was_said() -> None:
    assert transcript_text(talked().kept()).splitlines() == [
        "[00:00] Caller: Can you help?",
        "[00:03] Agent: Of course, I (interrupted)",
        "[01:04] Caller: (not understood)",
        "[01:04] Key pressed: 1",
        "[01:04] Tool gone: not_run",
        "[01:04] Error odd: It is odd.",
    ]


def test_as_json_it_has_the_times() -> None:
    rows = transcript_json(talked().kept())
    assert rows[0] == {"at": "2026-11-22T08:00:00+00:00", "kind": "caller", "text": "Can you help?"}
    assert [row["kind"] for row in rows] == ["caller", "agent", "caller", "key", "tool", "error"]


def test_nothing_was_said() -> None:
    assert transcript_text(Talk().kept()) == ""


# -- the file ----------------------------------------------------------------------------------------------------------


NOW = datetime(2026, 11, 22, 8, tzinfo=timezone.utc)
RESULT = {"call_id": "rtc_1", "outcome": "completed"}
ENTRIES = [entry_of("caller", NOW, "item_1", text="Grüezi"), entry_of("agent", NOW, "item_2", text="Hello.")]


def test_in_a_folder_the_file_is_named_after_the_call() -> None:
    assert transcript_file("s3://bucket/calls/", "rtc_1") == "s3://bucket/calls/rtc_1.json"
    assert transcript_file("s3://bucket/a.txt", "rtc_1") == "s3://bucket/a.txt"


def test_it_is_a_text_to_read_or_json() -> None:
    assert transcript_content("a.txt", RESULT, ENTRIES) == "[00:00] Caller: Grüezi\n[00:00] Agent: Hello.\n"
    written = json.loads(transcript_content("a.json", RESULT, ENTRIES))
    assert (written["call_id"], [row["text"] for row in written["transcript"]]) == ("rtc_1", ["Grüezi", "Hello."])
