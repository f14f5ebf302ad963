from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

import pytest

from airflow_openai_realtime.calls.timeline.entries import entry_of
from airflow_openai_realtime.conversation.run.transcript_file import (
    check_transcript_path,
    transcript_content,
    transcript_file,
)
from airflow_openai_realtime.exceptions import InvalidInput

NOW = datetime(2026, 11, 22, 8, tzinfo=timezone.utc)
RESULT = {"call_id": "rtc_1", "outcome": "completed"}
ENTRIES = [entry_of("caller", NOW, "item_1", text="Grüezi"), entry_of("agent", NOW, "item_2", text="Hello.")]


@pytest.mark.parametrize("path", ["s3://conn@bucket/calls/", "file:///tmp/call.txt", "gs://bucket/call.json"])
def test_a_folder_or_a_file_of_a_known_kind_is_taken(path: str) -> None:
    assert check_transcript_path(path) == path


@pytest.mark.parametrize("path", [None, "", "None"])
def test_nothing_is_nowhere(path: Any) -> None:
    assert check_transcript_path(path) is None


@pytest.mark.parametrize("path", ["s3://bucket/calls", "call.doc", 7])
def test_anything_else_is_refused(path: Any) -> None:
    with pytest.raises(InvalidInput, match="transcript_path must end with"):
        check_transcript_path(path)


def test_in_a_folder_the_file_is_named_after_the_call() -> None:
    assert transcript_file("s3://bucket/calls/", "rtc_1") == "s3://bucket/calls/rtc_1.json"
    assert transcript_file("s3://bucket/a.txt", "rtc_1") == "s3://bucket/a.txt"


def test_it_is_a_text_to_read_or_json() -> None:
    assert transcript_content("a.txt", RESULT, ENTRIES) == "[00:00] Caller: Grüezi\n[00:00] Agent: Hello.\n"
    written = json.loads(transcript_content("a.json", RESULT, ENTRIES))
    assert (written["call_id"], [row["text"] for row in written["transcript"]]) == ("rtc_1", ["Grüezi", "Hello."])
