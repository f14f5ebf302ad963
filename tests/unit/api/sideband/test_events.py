"""Events of the sideband as values, whatever is sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_openai_realtime.api.sideband import events as sideband_events
from airflow_openai_realtime.api.sideband.events import (
    AgentSaid,
    AudioCleared,
    AudioStarted,
    AudioStopped,
    CallerSaid,
    CallerSilent,
    CallerSpeaking,
    CallerTranscriptFailed,
    FunctionCall,
    IdleTimeout,
    KeyPressed,
    McpEvent,
    RateLimits,
    ResponseDone,
    ResponseStarted,
    SessionCreated,
    SessionError,
    SessionUpdated,
    instant,
    integer,
    nested,
    objects,
    read_event,
    text,
    text_or_none,
)

AT = datetime(2026, 11, 22, 12, 0, tzinfo=timezone.utc)
SESSION = {"id": "sess_1", "expires_at": int(AT.timestamp()), "tools": [{"type": "function", "name": "x"}]}
USAGE = {"total_tokens": 3}
MESSAGE = {"type": "message", "role": "assistant"}
CALL_ITEM = {
    "type": "function_call",
    "id": "item_2",
    "call_id": "call_1",
    "name": "book",
    "arguments": "{}",
    "status": "completed",
}

EVENTS: list[tuple[str, dict[str, Any], Any]] = [
    ("session.created", {"session": SESSION}, SessionCreated("sess_1", AT, tuple(SESSION["tools"]), SESSION)),  # type: ignore[arg-type]
    ("session.updated", {"session": {"id": "s"}}, SessionUpdated("s", None, (), {"id": "s"})),
    (
        "conversation.item.input_audio_transcription.completed",
        {"item_id": "item_1", "transcript": "Hi", "usage": {"type": "duration", "seconds": 1}},
        CallerSaid("item_1", "Hi", {"type": "duration", "seconds": 1}),
    ),
    (
        "conversation.item.input_audio_transcription.failed",
        {"item_id": "item_1", "error": {"message": "noise"}},
        CallerTranscriptFailed("item_1", "noise"),
    ),
    ("input_audio_buffer.speech_started", {"item_id": "item_1"}, CallerSpeaking("item_1")),
    ("input_audio_buffer.speech_stopped", {}, CallerSilent(None)),
    (
        "response.output_audio_transcript.done",
        {"item_id": "item_2", "response_id": "resp_1", "transcript": "Hello"},
        AgentSaid("item_2", "resp_1", "Hello"),
    ),
    (
        "response.output_text.done",
        {"item_id": "item_2", "response_id": "resp_1", "text": "Hello", "content_index": 1},
        AgentSaid("item_2", "resp_1", "Hello", 1),
    ),
    (
        "response.created",
        {"response": {"id": "resp_1", "metadata": {"a": "b"}}},
        ResponseStarted("resp_1", {"a": "b"}),
    ),
    (
        "response.done",
        {
            "response": {
                "id": "resp_1",
                "status": "completed",
                "usage": {"total_tokens": 3},
                "output": [MESSAGE, CALL_ITEM],
            }
        },
        ResponseDone(
            "resp_1",
            "completed",
            None,
            None,
            USAGE,
            {},
            (FunctionCall("call_1", "book", "{}", "item_2", "completed"),),
        ),
    ),
    (
        "response.done",
        {
            "response": {
                "id": "resp_1",
                "status": "failed",
                "status_details": {"type": "failed", "error": {"code": "insufficient_quota"}},
                "metadata": None,
                "usage": None,
            }
        },
        ResponseDone("resp_1", "failed", None, "insufficient_quota", None, {}, ()),
    ),
    (
        "response.done",
        {"response": {"id": "resp_1", "status": "cancelled", "status_details": {"reason": "turn_detected"}}},
        ResponseDone("resp_1", "cancelled", "turn_detected", None, None, {}, ()),
    ),
    (
        "response.function_call_arguments.done",
        {"call_id": "call_1", "name": "book", "arguments": "{}", "item_id": "item_2"},
        FunctionCall("call_1", "book", "{}", "item_2"),
    ),
    ("output_audio_buffer.started", {"response_id": "resp_1"}, AudioStarted("resp_1")),
    ("output_audio_buffer.stopped", {"response_id": "resp_1"}, AudioStopped("resp_1")),
    ("output_audio_buffer.cleared", {"response_id": "resp_1"}, AudioCleared("resp_1")),
    ("input_audio_buffer.dtmf_event_received", {"event": "#", "received_at": AT.timestamp()}, KeyPressed("#", AT)),
    ("input_audio_buffer.timeout_triggered", {}, IdleTimeout()),
    ("mcp_list_tools.failed", {"item_id": "mcp_1"}, McpEvent("list_tools.failed", None, None, None, "mcp_1")),
    ("response.mcp_call.completed", {"item_id": "mcp_1"}, McpEvent("call.completed", None, None, None, "mcp_1")),
    (
        "response.output_item.done",
        {"item": {"type": "mcp_call", "id": "mcp_1", "server_label": "w", "name": "n", "error": {"message": "no"}}},
        McpEvent("call", "w", "n", "no", "mcp_1"),
    ),
    (
        "conversation.item.done",
        {"item": {"type": "mcp_list_tools", "id": "mcp_2", "server_label": "w"}},
        McpEvent("list_tools", "w", None, None, "mcp_2"),
    ),
    ("rate_limits.updated", {"rate_limits": [{"name": "tokens"}, "x"]}, RateLimits(({"name": "tokens"},))),
    (
        "error",
        {"error": {"code": "c", "type": "t", "message": "m", "param": "p", "event_id": "e"}},
        SessionError("c", "t", "m", "p", "e"),
    ),
]


@pytest.mark.parametrize(
    ("kind", "fields", "expected"), EVENTS, ids=[f"{kind}-{n}" for n, (kind, *_) in enumerate(EVENTS)]
)
def test_an_event_has_its_typed_form(kind: str, fields: dict[str, Any], expected: Any) -> None:
    assert read_event({"type": kind, "event_id": "event_1", **fields}) == expected


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"type": None},
        {"type": ["error"]},
        {"type": "response.of_tomorrow"},
        {"type": "response.output_audio_transcript.delta", "delta": "He"},
        {"type": "conversation.item.done", "item": MESSAGE},
        {"type": "response.output_item.done", "item": MESSAGE},
    ],
)
def test_an_event_that_is_unknown_or_not_of_interest_is_none(event: dict[str, Any]) -> None:
    assert read_event(event) is None


_NAMES = [
    *("session", "response", "item", "error", "event", "usage", "tools", "output", "status_details", "metadata"),
    *("id", "type", "message", "code", "expires_at", "received_at", "transcript", "text", "item_id", "response_id"),
    *("call_id", "name", "arguments", "rate_limits", "content_index"),
]
_names = st.sampled_from(_NAMES)
_odd = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_names, inner, max_size=4),
    max_leaves=12,
)


@given(kind=st.sampled_from(sorted(sideband_events._READERS)), fields=st.dictionaries(_names, _odd, max_size=6))
def test_odd_fields_never_raise(kind: str, fields: dict[str, Any]) -> None:
    event = read_event({**fields, "type": kind})
    assert event is None or isinstance(event, sideband_events.SidebandEvent)


@pytest.mark.parametrize("value", [True, "2026", float("nan"), float("inf"), 10**30, -(10**30), None])
def test_an_instant_that_cannot_be_is_none(value: Any) -> None:
    event = read_event({"type": "input_audio_buffer.dtmf_event_received", "event": "1", "received_at": value})
    assert event == KeyPressed("1", None)


# -- fields of events --------------------------------------------------------------------------------------------------


Reader = Callable[[Mapping[str, Any], str], object]
READERS: dict[Reader, object] = {
    text: "",
    text_or_none: None,
    integer: 0,
    nested: {},
    objects: [],
    instant: None,
}
ANYTHING = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=6,
)


@pytest.mark.parametrize(
    ("read", "value", "found"),
    [
        (text, "Hi", "Hi"),
        (text_or_none, "Hi", "Hi"),
        (text_or_none, "", None),
        (integer, 7, 7),
        (integer, -7, -7),
        (nested, {"a": 1}, {"a": 1}),
        (objects, [{"a": 1}, 7, "b", None, {"c": 2}], [{"a": 1}, {"c": 2}]),
        (objects, ({"a": 1},), [{"a": 1}]),
        (instant, 1_790_000_000, datetime(2026, 9, 21, 14, 13, 20, tzinfo=timezone.utc)),
        (instant, 0.5, datetime(1970, 1, 1, 0, 0, 0, 500_000, tzinfo=timezone.utc)),
    ],
)
def test_a_field_of_the_right_type_is_read(read: Reader, value: object, found: object) -> None:
    assert read({"field": value, "other": None}, "field") == found


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (text, 7),
        (text, ["Hi"]),
        (integer, True),
        (integer, 7.0),
        (integer, "7"),
        (nested, [{"a": 1}]),
        (nested, "a"),
        (objects, {"a": 1}),
        (objects, "ab"),
        (instant, True),
        (instant, "1790000000"),
        (instant, float("nan")),
        (instant, 1e300),
        (instant, 10**20),
    ],
)
def test_a_field_of_another_type_is_as_one_that_is_missing(read: Reader, value: object) -> None:
    assert read({"field": value}, "field") == READERS[read]
    assert read({}, "field") == READERS[read]


@given(ANYTHING)
def test_whatever_a_field_holds_every_reader_gives_its_own_type(value: Any) -> None:
    event = {"field": value}
    assert isinstance(text(event, "field"), str)
    assert text_or_none(event, "field") != ""
    assert type(integer(event, "field")) is int
    assert isinstance(nested(event, "field"), Mapping)
    assert all(isinstance(each, Mapping) for each in objects(event, "field"))
    at = instant(event, "field")
    assert at is None or at.tzinfo is timezone.utc
