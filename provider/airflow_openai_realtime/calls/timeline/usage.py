"""
The tokens of a call, summed over its responses and its transcription, and what they cost by dated list prices.

The estimate leaves out discounts, the regional uplift (10 % on new models at regional endpoints) and the carrier's
charges. A model that is not in the table has no estimate unless the user sets its prices.

Source: ``RealtimeResponseUsage`` in OpenAI's Python SDK 3.54; https://developers.openai.com/api/docs/guides/realtime-costs
https://developers.openai.com/api/docs/models/gpt-realtime-2.1 and the other models' pages; read 2026-11-22.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from airflow_openai_realtime.api.sideband.events import integer, nested
from airflow_openai_realtime.exceptions import InvalidInput

_MODALITIES = ("text", "audio", "image")

PRICED_ON = "2026-11-22"
#: Value of ``priced_on`` for prices that the user set.
OWN_PRICES = "own prices"
TRANSCRIPTION = "transcription"

_MILLION = 1_000_000


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


@dataclass(frozen=True)
class ModelPrice:
    """
    US dollars for one million tokens, 0 or more; ``None``: not known.

    :param text_input: Text that the model read, not cached.
    :param text_cached: Text that it read from the cache.
    :param text_output: Text that it wrote, arguments of functions included.
    :param audio_input: The caller's audio, not cached.
    :param audio_cached: The caller's audio, read from the cache.
    :param audio_output: Audio that the model produced.
    :param image_input: Images that the model read, not cached.
    :param image_cached: Images that it read from the cache.
    """

    text_input: float | None = None
    text_cached: float | None = None
    text_output: float | None = None
    audio_input: float | None = None
    audio_cached: float | None = None
    audio_output: float | None = None
    image_input: float | None = None
    image_cached: float | None = None


_REALTIME_2 = ModelPrice(4.0, 0.40, 24.0, 32.0, 0.40, 64.0, 5.0, 0.50)

MODEL_PRICES: Mapping[str, ModelPrice] = {
    "gpt-realtime-2.1": _REALTIME_2,
    "gpt-realtime-2": _REALTIME_2,
    "gpt-realtime-2.1-mini": ModelPrice(0.60, 0.06, 2.40, 10.0, 0.30, 20.0, 0.80, 0.08),
    "gpt-realtime-1.5": ModelPrice(4.0, 0.40, 16.0, 32.0, 0.40, 64.0, 5.0, 0.50),
}

#: US dollars for one minute of transcribed audio.
TRANSCRIPTION_PRICES: Mapping[str, float] = {"gpt-transcribe": 0.0045, "gpt-realtime-whisper": 0.017}


@dataclass(frozen=True)
class Cost:
    """
    An estimate of what a call cost.

    :param usd: US dollars.
    :param model: Name of the realtime model.
    :param priced_on: Date of the prices, or ``own prices``.
    :param without: Used parts without a known price, which ``usd`` leaves out: ``("transcription",)`` or empty.
    """

    usd: float
    model: str
    priced_on: str
    without: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As JSON primitives."""
        return {**asdict(self), "usd": round(self.usd, 6), "without": list(self.without)}


def estimate(
    usage: Usage,
    model: str | None,
    *,
    transcription_model: str | None = None,
    prices: Mapping[str, Mapping[str, Any]] | None = None,
) -> Cost | None:
    """
    Estimate what a call cost.

    :param usage: Tokens that it used.
    :param model: Name of the realtime model.
    :param transcription_model: Name of the model that transcribed the caller.
    :param prices: Prices of the user by model, from :func:`check_prices`.
    :return: ``None`` when the model, or a kind of token that it used, has no known price.
    """
    own = (prices or {}).get(model or "", {})
    known = MODEL_PRICES.get(model or "")
    if model is None or (known is None and not own) or usage.unsorted_tokens:
        return None
    usd = _tokens_usd(usage, replace(known or ModelPrice(), **own))
    if usd is None:
        return None
    spoken = _transcription_usd(usage, transcription_model, prices or {})
    without = (TRANSCRIPTION,) if spoken is None else ()
    return Cost(usd + (spoken or 0.0), model, OWN_PRICES if own else PRICED_ON, without)


def usage_and_cost(
    usage: Usage,
    model: str | None,
    *,
    transcription_model: str | None = None,
    prices: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """
    Return what a call used and cost, as its result shows them: ``usage`` and ``cost``, JSON values.

    :param usage: Tokens that it used.
    :param model: Name of the realtime model.
    :param transcription_model: Name of the model that transcribed the caller.
    :param prices: Prices of the user by model, from :func:`check_prices`.
    """
    cost = estimate(usage, model, transcription_model=transcription_model, prices=prices)
    return {"usage": usage.to_dict(), "cost": None if cost is None else cost.to_dict()}


def check_prices(prices: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """
    Check prices that the user set.

    :param prices: Prices in US dollars by model. For a realtime model: for one million tokens, under the names of
        :class:`ModelPrice`; prices left out come from the table. For a transcription model: ``{"minute": …}``.
    :raises InvalidInput: A name is unknown, or a price is not a number of 0 or more.
    """
    names = {each.name for each in fields(ModelPrice)} | {"minute"}
    checked: dict[str, dict[str, float]] = {}
    for model, given in prices.items():
        if not isinstance(given, Mapping):
            raise InvalidInput(f"prices.{model} must be a dict, such as {{'audio_output': 64.0}}", field="prices")
        for name, price in given.items():
            if name not in names:
                raise InvalidInput(f"prices.{model}.{name} is unknown; use {', '.join(sorted(names))}", field="prices")
            if isinstance(price, bool) or not isinstance(price, (int, float)) or not 0 <= price < _MILLION:
                raise InvalidInput(f"prices.{model}.{name} must be US dollars, 0 or more", field="prices")
        checked[str(model)] = {str(name): float(price) for name, price in given.items()}
    return checked


def _tokens_usd(usage: Usage, price: ModelPrice) -> float | None:
    usd = 0.0
    for kind in _MODALITIES:
        came = getattr(usage, f"input_{kind}_tokens")
        cached = min(came, getattr(usage, f"cached_{kind}_tokens"))
        parts = [(came - cached, getattr(price, f"{kind}_input")), (cached, getattr(price, f"{kind}_cached"))]
        if kind != "image":
            parts.append((getattr(usage, f"output_{kind}_tokens"), getattr(price, f"{kind}_output")))
        for count, per_million in parts:
            if count and per_million is None:
                return None
            usd += count * (per_million or 0.0) / _MILLION
    return usd


def _transcription_usd(usage: Usage, model: str | None, prices: Mapping[str, Mapping[str, Any]]) -> float | None:
    if not usage.transcribed:
        return 0.0
    per_minute = prices.get(model or "", {}).get("minute", TRANSCRIPTION_PRICES.get(model or ""))
    by_tokens = usage.transcription_input_tokens or usage.transcription_output_tokens
    if per_minute is None or by_tokens:
        return None
    return float(usage.transcription_seconds / 60 * per_minute)
