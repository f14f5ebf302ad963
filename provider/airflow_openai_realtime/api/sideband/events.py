"""
Events of a call's sideband as values: :func:`read_event` turns a JSON event into a small frozen dataclass.

Events are untrusted and may be newer than this package: nothing here raises. A field that is missing or has another
type becomes ``None``, ``""`` or empty; an event that is not used becomes ``None``.

Source: https://developers.openai.com/api/reference/resources/realtime/server-events
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from airflow_openai_realtime.api.sideband.event_types import (
    ACTIVE_RESPONSE,
    SESSION_EXPIRED,
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
    SidebandEvent,
)


def text(values: Mapping[str, Any], name: str) -> str:
    """
    The text in a field; empty when there is none.

    :param values: An object of an event.
    :param name: Name of the field.
    """
    value = values.get(name)
    return value if isinstance(value, str) else ""


def text_or_none(values: Mapping[str, Any], name: str) -> str | None:
    """
    The text in a field; None when there is none or it is empty.

    :param values: An object of an event.
    :param name: Name of the field.
    """
    return text(values, name) or None


def integer(values: Mapping[str, Any], name: str) -> int:
    """
    The whole number in a field; 0 when there is none.

    :param values: An object of an event.
    :param name: Name of the field.
    """
    value = values.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def nested(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """
    The object in a field; empty when there is none.

    :param values: An object of an event.
    :param name: Name of the field.
    """
    value = values.get(name)
    return value if isinstance(value, Mapping) else {}


def objects(values: Mapping[str, Any], name: str) -> Sequence[Mapping[str, Any]]:
    """
    The objects in a field that holds a list; what is no object is left out.

    :param values: An object of an event.
    :param name: Name of the field.
    """
    value = values.get(name)
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, (list, tuple)) else []


def instant(values: Mapping[str, Any], name: str) -> datetime | None:
    """
    The instant in a field that holds Unix seconds, aware, UTC; None when there is none.

    :param values: An object of an event.
    :param name: Name of the field.
    """
    value = values.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return datetime.fromtimestamp(value, tz=timezone.utc)
    except (ValueError, OverflowError, OSError):  # not a number, or not within the years that there are
        return None


__all__ = [
    "ACTIVE_RESPONSE",
    "AgentSaid",
    "AudioCleared",
    "AudioStarted",
    "AudioStopped",
    "CallerSaid",
    "CallerSilent",
    "CallerSpeaking",
    "CallerTranscriptFailed",
    "FunctionCall",
    "IdleTimeout",
    "KeyPressed",
    "McpEvent",
    "RateLimits",
    "ResponseDone",
    "ResponseStarted",
    "SESSION_EXPIRED",
    "SessionCreated",
    "SessionError",
    "SessionUpdated",
    "SidebandEvent",
    "read_event",
]


def read_event(event: Mapping[str, Any]) -> SidebandEvent | None:
    """
    Return a server event in its typed form. Never raises.

    :param event: JSON object from the socket, untrusted.
    :return: None when the event is unknown or not used.

    Source: https://developers.openai.com/api/reference/resources/realtime/server-events
    """
    read = _READERS.get(text(event, "type"))
    return read(event) if read is not None else None


def _session_created(event: Mapping[str, Any]) -> SessionCreated:
    return SessionCreated(*_session(event))


def _session_updated(event: Mapping[str, Any]) -> SessionUpdated:
    return SessionUpdated(*_session(event))


def _session(event: Mapping[str, Any]) -> tuple[str, datetime | None, tuple[dict[str, Any], ...], Mapping[str, Any]]:
    session = nested(event, "session")
    tools = tuple(dict(tool) for tool in objects(session, "tools"))
    return text(session, "id"), instant(session, "expires_at"), tools, session


def _caller_said(event: Mapping[str, Any]) -> CallerSaid:
    return CallerSaid(text(event, "item_id"), text(event, "transcript"), nested(event, "usage") or None)


def _transcript_failed(event: Mapping[str, Any]) -> CallerTranscriptFailed:
    return CallerTranscriptFailed(text(event, "item_id"), text(nested(event, "error"), "message"))


def _agent_said(event: Mapping[str, Any]) -> AgentSaid:
    words = text(event, "transcript") or text(event, "text")
    return AgentSaid(text(event, "item_id"), text(event, "response_id"), words, integer(event, "content_index"))


def _response_started(event: Mapping[str, Any]) -> ResponseStarted:
    response = nested(event, "response")
    return ResponseStarted(text(response, "id"), nested(response, "metadata"))


def _response_done(event: Mapping[str, Any]) -> ResponseDone:
    response = nested(event, "response")
    details = nested(response, "status_details")
    calls = (item for item in objects(response, "output") if item.get("type") == "function_call")
    return ResponseDone(
        response_id=text(response, "id"),
        status=text(response, "status"),
        reason=text_or_none(details, "reason"),
        error_message=_message(nested(details, "error")),
        usage=nested(response, "usage") or None,
        metadata=nested(response, "metadata"),
        function_calls=tuple(
            FunctionCall(
                text(item, "call_id"),
                text(item, "name"),
                text(item, "arguments"),
                text_or_none(item, "id"),
                text_or_none(item, "status"),
            )
            for item in calls
        ),
    )


def _message(error: Mapping[str, Any]) -> str | None:
    return text_or_none(error, "message") or text_or_none(error, "code") or text_or_none(error, "type")


def _function_call(event: Mapping[str, Any]) -> FunctionCall:
    return FunctionCall(
        text(event, "call_id"), text(event, "name"), text(event, "arguments"), text_or_none(event, "item_id")
    )


def _mcp(kind: str) -> Callable[[Mapping[str, Any]], McpEvent]:
    return lambda event: McpEvent(kind, None, None, None, text_or_none(event, "item_id"))


def _mcp_item(event: Mapping[str, Any], kinds: Mapping[str, str]) -> McpEvent | None:
    item = nested(event, "item")
    kind = kinds.get(text(item, "type"))
    if kind is None:
        return None
    return McpEvent(
        kind,
        text_or_none(item, "server_label"),
        text_or_none(item, "name"),
        _message(nested(item, "error")),
        text_or_none(item, "id"),
    )


def _session_error(event: Mapping[str, Any]) -> SessionError:
    error = nested(event, "error")
    return SessionError(
        code=text_or_none(error, "code"),
        type=text_or_none(error, "type"),
        message=text(error, "message"),
        param=text_or_none(error, "param"),
        event_id=text_or_none(error, "event_id"),
    )


# A call and a request for approval are part of a response; a list of tools is not.
_RESPONSE_ITEMS = {"mcp_call": "call", "mcp_approval_request": "approval_request"}
_CONVERSATION_ITEMS = {"mcp_list_tools": "list_tools"}

_READERS: Mapping[str, Callable[[Mapping[str, Any]], SidebandEvent | None]] = {
    "session.created": _session_created,
    "session.updated": _session_updated,
    "conversation.item.input_audio_transcription.completed": _caller_said,
    "conversation.item.input_audio_transcription.failed": _transcript_failed,
    "input_audio_buffer.speech_started": lambda event: CallerSpeaking(text_or_none(event, "item_id")),
    "input_audio_buffer.speech_stopped": lambda event: CallerSilent(text_or_none(event, "item_id")),
    "response.output_audio_transcript.done": _agent_said,
    "response.output_text.done": _agent_said,
    "response.created": _response_started,
    "response.done": _response_done,
    "response.function_call_arguments.done": _function_call,
    "output_audio_buffer.started": lambda event: AudioStarted(text(event, "response_id")),
    "output_audio_buffer.stopped": lambda event: AudioStopped(text(event, "response_id")),
    "output_audio_buffer.cleared": lambda event: AudioCleared(text(event, "response_id")),
    "input_audio_buffer.dtmf_event_received": lambda event: KeyPressed(
        text(event, "event"), instant(event, "received_at")
    ),
    "input_audio_buffer.timeout_triggered": lambda event: IdleTimeout(),
    "mcp_list_tools.in_progress": _mcp("list_tools.in_progress"),
    "mcp_list_tools.completed": _mcp("list_tools.completed"),
    "mcp_list_tools.failed": _mcp("list_tools.failed"),
    "response.mcp_call.in_progress": _mcp("call.in_progress"),
    "response.mcp_call.completed": _mcp("call.completed"),
    "response.mcp_call.failed": _mcp("call.failed"),
    "response.output_item.done": lambda event: _mcp_item(event, _RESPONSE_ITEMS),
    "conversation.item.done": lambda event: _mcp_item(event, _CONVERSATION_ITEMS),
    "rate_limits.updated": lambda event: RateLimits(tuple(objects(event, "rate_limits"))),
    "error": _session_error,
}
