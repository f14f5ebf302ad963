"""
The tokens of a call, summed over its responses and its transcription.

Source: ``RealtimeResponseUsage`` in OpenAI's Python SDK 3.54; https://developers.openai.com/api/docs/guides/realtime-costs
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from airflow_openai_realtime.api.sideband.events import integer, nested

_MODALITIES = ("text", "audio", "image")


@dataclass(frozen=True)
class Usage:
    """
    Tokens of a call as OpenAI counts them: cached tokens are part of the input.

    :param responses: Number of responses that reported their usage.
    :param total_tokens: Input and output tokens together.
    :param input_text_tokens: Input tokens of text.
    :param input_audio_tokens: Input tokens of audio.
    :param input_image_tokens: Input tokens of images.
    :param cached_text_tokens: Those of the text tokens that came from the cache.
    :param cached_audio_tokens: Those of the audio tokens that came from the cache.
    :param cached_image_tokens: Those of the image tokens that came from the cache.
    :param output_text_tokens: Output tokens of text.
    :param output_audio_tokens: Output tokens of audio.
    :param unsorted_tokens: Tokens that OpenAI did not assign to text, audio or image; they cannot be priced.
    :param transcribed: Number of the caller's turns whose transcription reported its usage.
    :param transcription_seconds: Seconds of transcription that is billed by duration.
    :param transcription_input_tokens: Input tokens of transcription that is billed by tokens.
    :param transcription_output_tokens: Output tokens of transcription that is billed by tokens.
    """

    responses: int = 0
    total_tokens: int = 0
    input_text_tokens: int = 0
    input_audio_tokens: int = 0
    input_image_tokens: int = 0
    cached_text_tokens: int = 0
    cached_audio_tokens: int = 0
    cached_image_tokens: int = 0
    output_text_tokens: int = 0
    output_audio_tokens: int = 0
    unsorted_tokens: int = 0
    transcribed: int = 0
    transcription_seconds: float = 0.0
    transcription_input_tokens: int = 0
    transcription_output_tokens: int = 0

    def with_response(self, sent: Mapping[str, Any]) -> Usage:
        """
        Add the usage of one response.

        :param sent: ``response.usage`` as OpenAI sent it, untrusted.
        """
        given, made = nested(sent, "input_token_details"), nested(sent, "output_token_details")
        cached = nested(given, "cached_tokens_details")
        more: dict[str, Any] = {"responses": 1}
        for kind in _MODALITIES:
            more[f"input_{kind}_tokens"] = integer(given, f"{kind}_tokens")
            more[f"cached_{kind}_tokens"] = integer(cached, f"{kind}_tokens")
        for kind in ("text", "audio"):
            more[f"output_{kind}_tokens"] = integer(made, f"{kind}_tokens")
        came = integer(sent, "input_tokens") + integer(sent, "output_tokens")
        sorted_tokens = sum(count for name, count in more.items() if name.startswith(("input_", "output_")))
        unsorted_cache = integer(given, "cached_tokens") - sum(more[f"cached_{kind}_tokens"] for kind in _MODALITIES)
        more["unsorted_tokens"] = max(0, came - sorted_tokens) + max(0, unsorted_cache)
        more["total_tokens"] = integer(sent, "total_tokens") or came
        return self._plus(more)

    def with_transcription(self, sent: Mapping[str, Any]) -> Usage:
        """
        Add the usage of the transcription of one turn.

        :param sent: ``usage`` of the transcript, by tokens or by duration, untrusted.
        """
        seconds = sent.get("seconds")
        is_number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool) and 0 <= seconds < 86_400
        return self._plus(
            {
                "transcribed": 1,
                "transcription_seconds": float(seconds) if is_number else 0.0,  # type: ignore[arg-type]
                "transcription_input_tokens": integer(sent, "input_tokens"),
                "transcription_output_tokens": integer(sent, "output_tokens"),
            }
        )

    def to_dict(self) -> dict[str, Any]:
        """As JSON primitives."""
        return {**asdict(self), "transcription_seconds": round(self.transcription_seconds, 3)}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Usage:
        """
        Read what :meth:`to_dict` wrote; unknown keys are ignored.

        :param value: JSON object.
        """
        return cls(**{each.name: value[each.name] for each in fields(cls) if each.name in value})

    def _plus(self, more: Mapping[str, Any]) -> Usage:
        return replace(self, **{name: getattr(self, name) + max(0, count) for name, count in more.items()})
