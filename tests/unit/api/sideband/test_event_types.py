"""The events as values: which there are, and that a value cannot be changed after it was read."""

from __future__ import annotations

import dataclasses
from typing import Any, get_args

import pytest

from airflow_openai_realtime.api.sideband import event_types
from airflow_openai_realtime.api.sideband.event_types import FunctionCall, SidebandEvent
from airflow_openai_realtime.api.sideband.events import read_event

KINDS = get_args(SidebandEvent)
#: One event as OpenAI sends it for each kind.
SENT = {
    "SessionCreated": "session.created",
    "SessionUpdated": "session.updated",
    "CallerSaid": "conversation.item.input_audio_transcription.completed",
    "CallerTranscriptFailed": "conversation.item.input_audio_transcription.failed",
    "CallerSpeaking": "input_audio_buffer.speech_started",
    "CallerSilent": "input_audio_buffer.speech_stopped",
    "AgentSaid": "response.output_audio_transcript.done",
    "ResponseStarted": "response.created",
    "ResponseDone": "response.done",
    "FunctionCall": "response.function_call_arguments.done",
    "AudioStarted": "output_audio_buffer.started",
    "AudioStopped": "output_audio_buffer.stopped",
    "AudioCleared": "output_audio_buffer.cleared",
    "KeyPressed": "input_audio_buffer.dtmf_event_received",
    "IdleTimeout": "input_audio_buffer.timeout_triggered",
    "McpEvent": "mcp_list_tools.failed",
    "RateLimits": "rate_limits.updated",
    "SessionError": "error",
}


def test_every_class_of_events_is_one_that_is_read() -> None:
    declared = {name for name, each in vars(event_types).items() if dataclasses.is_dataclass(each)}
    assert declared == {kind.__name__ for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_event_without_a_field_is_made_all_the_same_and_cannot_be_changed(kind: type[Any]) -> None:
    event = read_event({"type": SENT[kind.__name__]})
    assert type(event) is kind
    assert event == read_event({"type": SENT[kind.__name__]})
    for field in dataclasses.fields(kind):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(event, field.name, "changed")


def test_a_function_call_that_comes_by_itself_has_no_status() -> None:
    alone = read_event({"type": SENT["FunctionCall"], "call_id": "call_1", "name": "f", "arguments": "{}"})
    assert alone == FunctionCall("call_1", "f", "{}", None)
    item = {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}", "status": "incomplete"}
    done = read_event({"type": "response.done", "response": {"output": [item]}})
    assert done is not None
    assert done.function_calls == (dataclasses.replace(alone, status="incomplete"),)  # type: ignore[union-attr]
