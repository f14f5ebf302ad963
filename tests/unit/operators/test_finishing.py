"""What a task does with a call that is over: it writes the transcript and notifies assets."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import Asset

from airflow_openai_realtime.calls.timeline.entries import entry_of
from airflow_openai_realtime.operators.finishing import keep_transcript, tell_assets

NOW = datetime(2026, 11, 22, tzinfo=timezone.utc)
RESULT = {"call_id": "rtc_1", "line": "support", "outcome": "completed", "from_number": "+14155550123", "result": {}}
SAID = [entry_of("caller", NOW, "item_1", text="Hello?")]


@pytest.mark.parametrize(("name", "file"), [("calls/", "calls/rtc_1.json"), ("one.txt", "one.txt")])
def test_a_transcript_is_written_to_a_folder_that_is_made_or_to_a_file(tmp_path: Path, name: str, file: str) -> None:
    written = keep_transcript(f"{tmp_path}/new/{name}", RESULT, SAID)
    path = tmp_path / "new" / file
    assert written.endswith(file)
    assert "Hello?" in path.read_text()
    if file.endswith(".json"):
        assert json.loads(path.read_text())


def test_written_again_it_is_the_same_file(tmp_path: Path) -> None:
    first = keep_transcript(f"{tmp_path}/", RESULT, SAID)
    assert keep_transcript(f"{tmp_path}/", RESULT, []) == first
    assert "Hello?" not in next(tmp_path.iterdir()).read_text()


class Events(dict[Any, Any]):
    """The context's events: one for each asset that is asked for."""

    def __missing__(self, asset: Any) -> Any:
        event = self[asset] = type("Event", (), {"extra": {}})()
        return event


def test_each_asset_is_told_which_call_is_over_and_nothing_personal() -> None:
    first, second, events = Asset("first"), Asset("second"), Events()
    tell_assets([first, "no asset", second], events, RESULT)
    assert set(events) == {first, second}
    for event in events.values():
        assert event.extra == {"call_id": "rtc_1", "line": "support", "outcome": "completed"}


def test_where_there_are_no_events_nothing_is_told() -> None:
    tell_assets([Asset("first")], None, RESULT)
