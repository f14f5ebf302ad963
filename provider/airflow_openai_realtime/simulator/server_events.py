"""
The server events that a session sends, as JSON values without ``event_id``; pure.

Shapes are checked against the types of OpenAI's SDK. What no document says is marked where it is made.

Source: https://developers.openai.com/api/reference/resources/realtime/server-events
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from airflow_openai_realtime.simulator.dialogue import ToolCall

Event = dict[str, Any]

SECONDS_PER_WORD = 0.35
_TOKENS_PER_SECOND = 20
_PROMPT_TOKENS = 120


def new_id(prefix: str) -> str:
    """An id in OpenAI's form: a prefix and a random part."""
    return f"{prefix}_{uuid.uuid4().hex[:24]}"


def spoken_seconds(words: str) -> float:
    """How long it takes to say something."""
    return max(1, len(words.split())) * SECONDS_PER_WORD


def response(response_id: str, status: str, *, voice: str, metadata: Any, **more: Any) -> Event:
    """A response object."""
    return {
        "id": response_id,
        "object": "realtime.response",
        "status": status,
        "status_details": None,
        "output": [],
        "conversation_id": "conv_simulator",
        "output_modalities": ["audio"],
        "audio": {"output": {"voice": voice}},
        "metadata": metadata,
        "usage": None,
        **more,
    }


def status_details(status: str, reason: str | None = None) -> Event | None:
    """Details of a response that did not complete."""
    if status == "failed":
        error = {"type": "server_error", "code": "server_error", "message": "The model had an error."}
        return {"type": "failed", "error": error}
    if status == "completed":
        return None
    return {"type": status, "reason": reason or "max_output_tokens"}


def usage(words: str) -> Event:
    """Made-up token counts of a response that says some words."""
    text_tokens = len(words.split())
    audio = max(1, int(spoken_seconds(words) * _TOKENS_PER_SECOND)) if words else 0
    return {
        "input_tokens": _PROMPT_TOKENS,
        "output_tokens": audio + text_tokens,
        "total_tokens": _PROMPT_TOKENS + audio + text_tokens,
        "input_token_details": {
            "text_tokens": _PROMPT_TOKENS,
            "audio_tokens": 0,
            "image_tokens": 0,
            "cached_tokens": 0,
            "cached_tokens_details": {"text_tokens": 0, "audio_tokens": 0, "image_tokens": 0},
        },
        "output_token_details": {"text_tokens": text_tokens, "audio_tokens": audio},
    }


def rate_limits() -> Event:
    """What is left of the project's limits; made up."""
    limits = [("requests", 1000, 999), ("tokens", 40_000, 39_000)]
    return {
        "type": "rate_limits.updated",
        "rate_limits": [
            {"name": name, "limit": limit, "remaining": left, "reset_seconds": 0.06} for name, limit, left in limits
        ],
    }


def model_message(item_id: str, status: str, words: str | None) -> Event:
    """An item that the model speaks; None: no word yet."""
    content = [] if words is None else [{"type": "output_audio", "transcript": words}]
    return {
        "id": item_id,
        "object": "realtime.item",
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": content,
    }


def function_call(item_id: str, tool_call_id: str, call: ToolCall, status: str) -> Event:
    """An item that calls a function of the client."""
    return {
        "id": item_id,
        "object": "realtime.item",
        "type": "function_call",
        "status": status,
        "call_id": tool_call_id,
        "name": call.name,
        "arguments": arguments_of(call) if status == "completed" else "",
    }


def mcp_call(item_id: str, call: ToolCall, *, over: bool) -> Event:
    """An item that calls a tool of an MCP server."""
    error = {"type": "tool_execution_error", "message": call.error} if over and call.error else None
    return {
        "id": item_id,
        "type": "mcp_call",
        "name": call.name,
        "server_label": call.server_label,
        "arguments": arguments_of(call),
        "approval_request_id": None,
        "output": call.output if over and not call.error else None,
        "error": error,
    }


def arguments_of(call: ToolCall) -> str:
    """Arguments of a tool call as the model writes them."""
    return call.arguments if isinstance(call.arguments, str) else json.dumps(dict(call.arguments))


def item_events(kinds: Sequence[str], item: Event, previous_item_id: str | None) -> list[Event]:
    """Events about an item of the conversation, of the kinds ``added`` and ``done``."""
    return [{"type": f"conversation.item.{kind}", "previous_item_id": previous_item_id, "item": item} for kind in kinds]


def caller_message(item_id: str) -> Event:
    """An item that the caller speaks; its transcript comes by itself later, or never."""
    return {
        "id": item_id,
        "object": "realtime.item",
        "type": "message",
        "status": "completed",
        "role": "user",
        "content": [{"type": "input_audio", "transcript": None}],
    }


def speech_started(item_id: str, at_ms: int) -> Event:
    """The caller began to speak."""
    return {"type": "input_audio_buffer.speech_started", "audio_start_ms": at_ms, "item_id": item_id}


def speech_stopped(item_id: str, at_ms: int) -> Event:
    """The caller stopped speaking."""
    return {"type": "input_audio_buffer.speech_stopped", "audio_end_ms": at_ms, "item_id": item_id}


def committed(item_id: str, previous_item_id: str | None) -> Event:
    """What the caller said became an item."""
    return {"type": "input_audio_buffer.committed", "item_id": item_id, "previous_item_id": previous_item_id}


def idle_timeout(item_id: str, from_ms: int, to_ms: int) -> Event:
    """The caller was silent for ``idle_timeout_ms``."""
    return {
        "type": "input_audio_buffer.timeout_triggered",
        "item_id": item_id,
        "audio_start_ms": from_ms,
        "audio_end_ms": to_ms,
    }


def transcription(item_id: str, words: str, model: str) -> list[Event]:
    """The transcript of what the caller said: a piece, and the whole; whisper is billed by time, others by tokens."""
    of_item = {"item_id": item_id, "content_index": 0}
    kind = "conversation.item.input_audio_transcription"
    seconds = round(spoken_seconds(words), 2)
    heard, written = int(seconds * 10), len(words.split()) + 1
    tokens = {
        "type": "tokens",
        "input_tokens": heard,
        "output_tokens": written,
        "total_tokens": heard + written,
        "input_token_details": {"audio_tokens": heard, "text_tokens": 0},
    }
    billed = {"type": "duration", "seconds": seconds} if "whisper" in model else tokens
    return [
        {"type": f"{kind}.delta", **of_item, "delta": words},
        {"type": f"{kind}.completed", **of_item, "transcript": words, "usage": billed},
    ]


def transcription_failed(item_id: str) -> Event:
    """What the caller said could not be transcribed."""
    error = {"type": "server_error", "code": "audio_unintelligible", "message": "The audio could not be transcribed."}
    return {
        "type": "conversation.item.input_audio_transcription.failed",
        "item_id": item_id,
        "content_index": 0,
        "error": error,
    }


def key_pressed(key: str, now: float) -> Event:
    """The caller pressed a key; the only event without an ``event_id``."""
    return {"type": "input_audio_buffer.dtmf_event_received", "event": key, "received_at": int(now)}


def error(values: Mapping[str, Any], command_id: str | None = None) -> Event:
    """
    An error of the session.

    :param values: ``type``, ``code``, ``message``, ``param``.
    :param command_id: The ``event_id`` of the command that caused it.
    """
    return {"type": "error", "error": {**values, "event_id": command_id}}
