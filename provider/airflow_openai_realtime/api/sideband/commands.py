"""
Commands for a call's sideband, as JSON objects for :meth:`Sideband.send`. Built, not sent; all are pure.

Source: https://developers.openai.com/api/reference/resources/realtime/client-events
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_openai_realtime.exceptions import InvalidInput

Command = dict[str, Any]

MAX_METADATA_PAIRS = 16
MAX_METADATA_KEY = 64
MAX_METADATA_VALUE = 512


def say(
    instructions: str | None = None,
    *,
    tool_choice: str | Mapping[str, Any] | None = None,
    metadata: Mapping[str, str] | None = None,
) -> Command:
    """
    Request a response of the model now (``response.create``).

    Only one response can be in progress: meanwhile OpenAI answers ``conversation_already_has_active_response``.

    :param instructions: What to say, in place of the session's instructions; None: those of the session.
    :param tool_choice: ``none``, ``auto``, ``required``, or ``{"type": "function", "name": …}``; None: the session's.
    :param metadata: Comes back with the response. Up to 16 pairs, names up to 64 and texts up to 512 characters.
    :raises InvalidInput: The metadata is too large or not texts.

    Source: https://developers.openai.com/api/docs/guides/realtime-conversations
    """
    response: dict[str, Any] = {}
    if instructions is not None:
        response["instructions"] = instructions
    if tool_choice is not None:
        response["tool_choice"] = tool_choice if isinstance(tool_choice, str) else dict(tool_choice)
    if metadata is not None:
        response["metadata"] = _checked_metadata(metadata)
    return {"type": "response.create", "response": response} if response else {"type": "response.create"}


def function_output(tool_call_id: str, output: str) -> Command:
    """
    Send a function's output to the model. The model responds to it only at the next :func:`say`.

    :param tool_call_id: From the function call; each may be answered once.
    :param output: Text, mostly JSON.
    :raises InvalidInput: The id is empty, or the output is not text.

    Source: https://developers.openai.com/api/docs/guides/realtime-conversations
    """
    if not isinstance(tool_call_id, str) or not tool_call_id:
        raise InvalidInput("the id of the function call is empty; give that of the call", field="tool_call_id")
    if not isinstance(output, str):
        raise InvalidInput("the output of a function is a text; give json.dumps(value)", field="output")
    return _item({"type": "function_call_output", "call_id": tool_call_id, "output": output})


def user_text(text: str) -> Command:
    """
    Add a text to the conversation as if the caller had said it; the model answers at the next :func:`say`.

    :param text: The text in the caller's name.
    """
    return _item({"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]})


def system_text(text: str) -> Command:
    """
    Add a system text to the conversation; the model responds to it at the next :func:`say`.

    :param text: The text for the model.
    """
    return _item({"type": "message", "role": "system", "content": [{"type": "input_text", "text": text}]})


def update_session(**changes: Any) -> Command:
    """
    Change fields of the session; the others stay.

    A ``session.update`` without a type is an error that also swallows later transfers (explained by OpenAI in May
    2026), so the type is always there.

    :param changes: Fields of the session, for example ``tools=[…]`` (replaces all tools), ``instructions=…``.
    :raises InvalidInput: Nothing is changed.

    Source: https://developers.openai.com/api/docs/guides/voice-server-controls
    """
    if not changes.keys() - {"type"}:
        raise InvalidInput("nothing of the session is changed; name a field", field="changes")
    return {"type": "session.update", "session": {**changes, "type": "realtime"}}


def cancel_response() -> Command:
    """Stop the response in progress; finished audio plays on, see :func:`clear_audio`."""
    return {"type": "response.cancel"}


def clear_audio() -> Command:
    """Stop the playing audio; send it after :func:`cancel_response` when a response is in progress."""
    return {"type": "output_audio_buffer.clear"}


def _item(item: dict[str, Any]) -> Command:
    return {"type": "conversation.item.create", "item": item}


def _checked_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    if len(metadata) > MAX_METADATA_PAIRS:
        raise InvalidInput(f"{len(metadata)} pairs of metadata; give up to {MAX_METADATA_PAIRS}", field="metadata")
    for name, value in metadata.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise InvalidInput("names and values of metadata are texts", field="metadata")
        if len(name) > MAX_METADATA_KEY or len(value) > MAX_METADATA_VALUE:
            raise InvalidInput(
                f"metadata {name[:20]}: names have up to {MAX_METADATA_KEY} characters, values up to "
                f"{MAX_METADATA_VALUE}",
                field="metadata",
            )
    return dict(metadata)
