"""
What is said in a session, as steps: an event and how long after the one before it comes.

Minimal so far: each ``response.create`` gets one spoken reply, made of the events that OpenAI sends for one. A
:class:`Dialogue` turns what the client sent into steps; the sideband plays them on the simulator's clock. Richer
scripts (a caller who speaks, tool calls, key presses, interruption) are more steps from the same place.

Source: https://developers.openai.com/api/docs/guides/realtime-conversations
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from airflow_openai_realtime.exceptions import InvalidInput

Event = dict[str, Any]

_THINKS_SECONDS = 0.4
_SECONDS_PER_WORD = 0.35
_TOKENS_PER_SECOND = 20
_PROMPT_TOKENS = 120


@dataclass(frozen=True)
class Step:
    """
    One server event of a dialogue.

    :param after_seconds: Simulated seconds after the step before it.
    :param event: The event as JSON values, without ``event_id``.
    """

    after_seconds: float
    event: Event


@dataclass(frozen=True)
class Dialogue:
    """
    What the model says.

    :param replies: One for each response, in order; the last one is said again and again.
    """

    replies: tuple[str, ...] = ("Hello, this is a simulated voice. How can I help you?",)

    def __post_init__(self) -> None:
        if not self.replies or not all(isinstance(reply, str) for reply in self.replies):
            raise InvalidInput("a dialogue needs at least one reply, each a text", field="replies")

    def to_dict(self) -> dict[str, Any]:
        """The dialogue as JSON values."""
        return {"replies": list(self.replies)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Dialogue:
        """
        The dialogue from :meth:`to_dict`.

        :raises InvalidInput: A field is unknown or cannot be used.
        """
        unknown = set(values) - {each.name for each in fields(cls)}
        if unknown:
            raise InvalidInput(f"a dialogue has no field {sorted(unknown)[0]}", field=sorted(unknown)[0])
        return cls(replies=tuple(values.get("replies", ())))

    def reply(self, number: int, request: Mapping[str, Any], voice: str) -> Iterator[Step]:
        """
        The steps of one response.

        :param number: Which response of the session it is, from 0.
        :param request: The client's ``response`` object; ``metadata`` is given back.
        :param voice: Voice of the session.
        """
        words = self.replies[min(number, len(self.replies) - 1)]
        return spoken_response(words, request, voice)


def spoken_response(words: str, request: Mapping[str, Any], voice: str) -> Iterator[Step]:
    """
    The events of one response that is spoken: created, words, done, and the audio played to its end.

    :param words: What is said.
    :param request: The client's ``response`` object.
    :param voice: Voice of the session.
    """
    response_id, item_id = _id("resp"), _id("item")
    speaks_seconds = max(1, len(words.split())) * _SECONDS_PER_WORD
    part = {"type": "audio", "transcript": words}
    begun = _item(item_id, "in_progress", [])
    said = _item(item_id, "completed", [{"type": "output_audio", "transcript": words}])
    of_response = {"response_id": response_id, "output_index": 0}
    of_part = {**of_response, "item_id": item_id, "content_index": 0}

    def response(status: str, **more: Any) -> Event:
        return {
            "id": response_id,
            "object": "realtime.response",
            "status": status,
            "status_details": None,
            "output": [],
            "conversation_id": "conv_simulator",
            "output_modalities": ["audio"],
            "audio": {"output": {"voice": voice}},
            "metadata": request.get("metadata"),
            "usage": None,
            **more,
        }

    yield Step(0, {"type": "response.created", "response": response("in_progress")})
    yield Step(_THINKS_SECONDS, {"type": "response.output_item.added", **of_response, "item": begun})
    yield Step(0, {"type": "conversation.item.added", "previous_item_id": None, "item": begun})
    yield Step(0, {"type": "response.content_part.added", **of_part, "part": {"type": "audio", "transcript": ""}})
    yield Step(0, {"type": "output_audio_buffer.started", "response_id": response_id})
    for delta in _deltas(words):
        yield Step(0, {"type": "response.output_audio_transcript.delta", **of_part, "delta": delta})
    yield Step(0, {"type": "response.output_audio.done", **of_part})
    yield Step(0, {"type": "response.output_audio_transcript.done", **of_part, "transcript": words})
    yield Step(0, {"type": "response.content_part.done", **of_part, "part": part})
    yield Step(0, {"type": "conversation.item.done", "previous_item_id": None, "item": said})
    yield Step(0, {"type": "response.output_item.done", **of_response, "item": said})
    done = response("completed", output=[said], usage=_usage(speaks_seconds, len(words.split())))
    yield Step(0, {"type": "response.done", "response": done})
    # Audio is made faster than it is played: the buffer drains after the response is done.
    yield Step(speaks_seconds, {"type": "output_audio_buffer.stopped", "response_id": response_id})


def _item(item_id: str, status: str, content: list[Event]) -> Event:
    return {
        "id": item_id,
        "object": "realtime.item",
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": content,
    }


def _deltas(words: str) -> list[str]:
    first, _, rest = words.partition(" ")
    return [first, f" {rest}"] if rest else [first]


def _usage(speaks_seconds: float, words: int) -> Event:
    audio = max(1, int(speaks_seconds * _TOKENS_PER_SECOND))
    return {
        "input_tokens": _PROMPT_TOKENS,
        "output_tokens": audio + words,
        "total_tokens": _PROMPT_TOKENS + audio + words,
        "input_token_details": {
            "text_tokens": _PROMPT_TOKENS,
            "audio_tokens": 0,
            "image_tokens": 0,
            "cached_tokens": 0,
            "cached_tokens_details": {"text_tokens": 0, "audio_tokens": 0, "image_tokens": 0},
        },
        "output_token_details": {"text_tokens": words, "audio_tokens": audio},
    }


def _id(prefix: str) -> str:
    return f"{prefix}_{uuid.uuid4().hex[:24]}"
