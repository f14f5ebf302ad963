"""What is noted of what the switchboard hears."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from tests.unit.switchboard.support import START

from airflow_openai_realtime.api.sideband.events import read_event
from airflow_openai_realtime.calls.timeline.entries import Listening, TimelineEntry
from airflow_openai_realtime.switchboard.server.standby import standby_hearing as module
from airflow_openai_realtime.switchboard.server.standby.standby_hearing import StandbyHearing


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


class Ear:
    def __init__(self, *pressed: str) -> None:
        self.hearing = StandbyHearing("lease1", START, pressed)

    def hear(self, seconds: float, type_: str, **fields: Any) -> None:
        event = read_event({"type": type_, **fields})
        assert event is not None
        self.hearing.hear(event, at(seconds))

    def begin(self, seconds: float = 3.0) -> None:
        self.hear(seconds, "session.created", session={"id": "sess_1", "model": "gpt-realtime-2.1"})

    def noted(self, *kinds: str) -> list[TimelineEntry]:
        return [each for each in self.hearing.waiting(10_000) if not kinds or each.kind in kinds]


def done(*calls: dict[str, Any], status: str = "completed") -> dict[str, Any]:
    output = [{"type": "function_call", **call} for call in calls]
    return {"response": {"id": "resp_1", "status": status, "output": output}}


def test_the_first_event_tells_since_when_is_listened() -> None:
    ear = Ear()
    assert ear.hearing.heard_until(at(1)) is None
    ear.begin(3.25)
    (note,) = ear.noted()
    assert note.key == "note:stood_by:lease1:1"
    assert note.at == at(3.25)
    assert note.body == {
        "what": "stood_by",
        "lease": "lease1",
        "session_id": "sess_1",
        "model": "gpt-realtime-2.1",
        "transcription_model": None,
        "gap_seconds": 3.25,
    }
    assert ear.hearing.heard_until(at(9)) == at(9)
    ear.hearing.closed(at(10))
    assert ear.hearing.heard_until(at(12)) == at(10)
    ear.hear(12, "rate_limits.updated")
    assert [each.body["gap_seconds"] for each in ear.noted()] == [3.25, 2.0]
    assert ear.noted()[1].key == "note:stood_by:lease1:2"


def test_what_agent_says_is_noted_when_it_began() -> None:
    ear = Ear()
    ear.begin()
    ear.hear(5, "response.created", response={"id": "resp_1"})
    ear.hear(6, "output_audio_buffer.started", response_id="resp_1")
    ear.hear(7, "response.output_audio_transcript.done", item_id="i1", response_id="resp_1", transcript="Hi.")
    (said,) = ear.noted("agent")
    assert said.at == at(6)
    assert said.key == "agent:i1"


def test_keys_are_those_that_a_holder_writes() -> None:
    """So that both may hear the same."""
    ear = Ear()
    ear.begin()
    fields = {"type": "conversation.item.input_audio_transcription.completed", "item_id": "i1", "transcript": "Hello"}
    event = read_event(fields)
    assert event is not None
    ear.hearing.hear(event, at(5))
    (holders,) = Listening(2, set()).entries(event, at(6), lambda _, now: now)
    (ours,) = ear.noted("caller")
    assert (ours.key, ours.body) == (holders.key, holders.body)


def test_errors_do_not_take_the_keys_of_a_holders() -> None:
    ear = Ear()
    ear.begin()
    ear.hear(5, "error", error={"code": "server_error", "message": "no"})
    (error,) = ear.noted("error")
    assert error.key == "error:standby-lease1:1"


def test_a_key_press_that_is_known_is_not_written_over() -> None:
    ear = Ear("key:1795334405:5:1")
    ear.begin()
    event = {"event": "5", "received_at": 1795334405}
    ear.hear(5, "input_audio_buffer.dtmf_event_received", **event)
    assert [each.key for each in ear.noted("key")] == ["key:1795334405:5:2"]


def test_tools_are_noted_once_each_and_whole() -> None:
    ear = Ear()
    ear.begin()
    long = "x" * 20_000
    ear.hear(
        5,
        "response.done",
        **done(
            {"call_id": "fc_1", "name": "book", "arguments": long, "status": "completed"},
            {"call_id": "fc_2", "name": "book", "arguments": "{", "status": "incomplete"},
            {"call_id": "fc_3", "name": "book", "arguments": "y" * 50_000},
        ),
    )
    asked = [each for each in ear.noted("note") if each.body["what"] == "asked"]
    assert [each.key for each in asked] == ["note:asked:fc_1", "note:asked:fc_3"]
    assert [each.body["arguments"] for each in asked] == [long, ""]


def test_a_tool_that_only_its_arguments_told_of_is_noted_with_the_response() -> None:
    ear = Ear()
    ear.begin()
    announced = {"call_id": "fc_1", "name": "book", "arguments": "{}"}
    ear.hear(5, "response.function_call_arguments.done", **announced)
    assert len(ear.noted()) == 1
    ear.hear(6, "response.done", **done())
    assert [each.body.get("tool_call_id") for each in ear.noted()] == [None, "fc_1"]
    ear.hear(7, "response.function_call_arguments.done", **announced)
    ear.hear(8, "response.done", **done(status="cancelled"))
    assert len(ear.noted()) == 2


def test_a_process_that_came_back_is_noted_with_the_lease() -> None:
    ear = Ear()
    ear.hearing.stood_down(at(1))
    assert ear.noted() == [], "nothing was counted as missed"
    ear.begin()
    ear.hearing.stood_down(at(4))
    note = ear.noted()[-1]
    assert (note.key, note.body) == ("note:stood_down:lease1", {"what": "stood_down", "lease": "lease1"})


def test_odd_events_do_no_harm() -> None:
    ear = Ear()
    ear.begin()
    for sent in (
        {"type": "response.done", "response": {"output": [{"type": "function_call", "call_id": "é \n" * 300}]}},
        {"type": "error", "error": "no"},
        {"type": "conversation.item.input_audio_transcription.completed", "transcript": "\ud800"},
        {"type": "response.output_audio_transcript.done", "transcript": 5},
    ):
        event = read_event(sent)
        if event is not None:
            ear.hearing.hear(event, at(5))
    for entry in ear.noted():
        entry.check()


def test_while_the_store_is_away_only_so_much_is_kept(monkeypatch: Any) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 3)
    ear = Ear()
    ear.begin()
    captured = ear.hearing.waiting(200)
    for number in range(5):
        ear.hear(
            5,
            "conversation.item.input_audio_transcription.completed",
            item_id=f"i{number}",
            transcript="Hello",
        )
    assert [each.key for each in ear.noted()] == ["note:stood_by:lease1:1", "caller:i3", "caller:i4"]
    ear.hearing.written(captured)
    assert [each.key for each in ear.noted()] == ["caller:i3", "caller:i4"]
    assert ear.hearing.has_more_than(1)
    assert not ear.hearing.has_more_than(2)
