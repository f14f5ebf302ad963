"""Server events are such as the provider reads, and made-up counts add up."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_openai_realtime.api.sideband import events
from airflow_openai_realtime.api.sideband.events import read_event
from airflow_openai_realtime.calls.timeline.usage import Usage
from airflow_openai_realtime.simulator import server_events
from airflow_openai_realtime.simulator.dialogue import ToolCall

WORDS = st.lists(st.text("abc", min_size=1, max_size=4), max_size=12).map(" ".join)


def test_ids_have_their_prefix_and_are_never_the_same() -> None:
    made = {server_events.new_id("item") for _ in range(100)}
    assert len(made) == 100
    assert all(each.startswith("item_") for each in made)


@settings(deadline=None)
@given(WORDS, WORDS)
def test_more_words_take_longer_and_none_take_a_moment(first: str, second: str) -> None:
    both = f"{first} {second}"
    assert server_events.spoken_seconds(both) >= server_events.spoken_seconds(first) > 0


@settings(deadline=None)
@given(WORDS)
def test_the_tokens_of_a_response_add_up(words: str) -> None:
    usage = Usage().with_response(server_events.usage(words))
    assert usage.unsorted_tokens == 0
    assert usage.total_tokens == (
        usage.input_text_tokens + usage.input_audio_tokens + usage.output_text_tokens + usage.output_audio_tokens
    )
    assert (usage.output_audio_tokens > 0) == bool(words)


@pytest.mark.parametrize(
    ("status", "reason", "details"),
    [
        ("completed", None, None),
        ("cancelled", "turn_detected", {"type": "cancelled", "reason": "turn_detected"}),
        ("incomplete", None, {"type": "incomplete", "reason": "max_output_tokens"}),
    ],
)
def test_a_response_that_did_not_complete_says_why(status: str, reason: str | None, details: object) -> None:
    assert server_events.status_details(status, reason) == details


def test_a_response_that_failed_has_an_error() -> None:
    response = server_events.response(
        "resp_1", "failed", voice="marin", metadata=None, status_details=server_events.status_details("failed")
    )
    done = read_event({"type": "response.done", "response": response})
    assert isinstance(done, events.ResponseDone)
    assert (done.status, done.error_message) == ("failed", "The model had an error.")


CALL = ToolCall("book", {"day": "Monday"})


@pytest.mark.parametrize(("status", "arguments"), [("in_progress", ""), ("completed", '{"day": "Monday"}')])
def test_the_arguments_of_a_function_are_there_when_they_are_complete(status: str, arguments: str) -> None:
    item = server_events.function_call("item_1", "call_1", CALL, status)
    assert (item["arguments"], item["call_id"], item["name"]) == (arguments, "call_1", "book")


def test_arguments_that_are_no_json_are_written_as_they_are() -> None:
    assert server_events.arguments_of(ToolCall("book", '{"day": "Mon')) == '{"day": "Mon'


@pytest.mark.parametrize(
    ("over", "error", "output", "failed"),
    [(False, "down", None, False), (True, None, "done", False), (True, "down", None, True)],
)
def test_the_tool_of_a_server_answers_or_fails_when_it_is_over(
    over: bool, error: str | None, output: str | None, failed: bool
) -> None:
    item = server_events.mcp_call("item_1", ToolCall("find", server_label="crm", error=error), over=over)
    assert (item["output"], item["error"] is not None) == (output, failed)
    read = read_event({"type": "response.output_item.done", "item": item})
    assert isinstance(read, events.McpEvent)
    assert (read.server_label, read.message) == ("crm", "down" if failed else None)


@pytest.mark.parametrize(("model", "kind"), [("whisper-1", "duration"), ("gpt-transcribe", "tokens")])
def test_a_transcript_is_billed_by_time_or_by_tokens(model: str, kind: str) -> None:
    delta, whole = server_events.transcription("item_1", "Can you help me?", model)
    said = read_event(whole)
    assert isinstance(said, events.CallerSaid)
    assert said.usage is not None
    assert (said.item_id, said.text, said.usage["type"]) == ("item_1", "Can you help me?", kind)
    assert delta["delta"] == said.text
    used = Usage().with_transcription(said.usage)
    assert (used.transcription_seconds > 0, used.transcription_input_tokens > 0) == (
        kind == "duration",
        kind == "tokens",
    )


def test_what_the_caller_does_is_read_as_that() -> None:
    assert read_event(server_events.speech_started("item_1", 5)) == events.CallerSpeaking("item_1")
    assert read_event(server_events.speech_stopped("item_1", 5)) == events.CallerSilent("item_1")
    assert isinstance(read_event(server_events.idle_timeout("item_1", 0, 5)), events.IdleTimeout)
    failed = read_event(server_events.transcription_failed("item_1"))
    assert failed == events.CallerTranscriptFailed("item_1", "The audio could not be transcribed.")
    pressed = read_event(server_events.key_pressed("#", 1_790_000_000.9))
    assert isinstance(pressed, events.KeyPressed)
    assert pressed.received_at is not None
    assert (pressed.key, pressed.received_at.timestamp()) == ("#", 1_790_000_000)


def test_an_error_names_the_command_that_caused_it() -> None:
    values = {"type": "invalid_request_error", "code": "invalid_value", "message": "no", "param": "session"}
    error = read_event(server_events.error(values, "tools_1"))
    assert error == events.SessionError("invalid_value", "invalid_request_error", "no", "session", "tools_1")
    assert read_event(server_events.error(values)) == events.SessionError(
        "invalid_value", "invalid_request_error", "no", "session", None
    )
