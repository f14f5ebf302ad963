from __future__ import annotations

from typing import Any

import pytest

from airflow_openai_realtime.calls.timeline.prices import MODEL_PRICES, check_prices, estimate
from airflow_openai_realtime.calls.timeline.usage import Usage
from airflow_openai_realtime.exceptions import InvalidInput

MODEL = "gpt-realtime-2.1"
SENT = {
    "total_tokens": 700,
    "input_tokens": 500,
    "output_tokens": 200,
    "input_token_details": {
        "text_tokens": 300,
        "audio_tokens": 200,
        "cached_tokens": 150,
        "cached_tokens_details": {"text_tokens": 100, "audio_tokens": 50},
    },
    "output_token_details": {"text_tokens": 50, "audio_tokens": 150},
}


def used(**details: Any) -> Usage:
    return Usage().with_response({**SENT, **details})


def usd(usage: Usage, model: str | None = MODEL, **others: Any) -> float | None:
    cost = estimate(usage, model, **others)
    return None if cost is None else round(cost.usd * 1_000_000, 6)


def test_cached_tokens_are_part_of_the_input_and_cheaper() -> None:
    assert usd(used()) == 200 * 4 + 100 * 0.4 + 150 * 32 + 50 * 0.4 + 50 * 24 + 150 * 64


def test_each_model_has_its_price() -> None:
    assert usd(used(), "gpt-realtime-2.1-mini") == 200 * 0.6 + 100 * 0.06 + 150 * 10 + 50 * 0.3 + 50 * 2.4 + 150 * 20


@pytest.mark.parametrize("model", [None, "", "gpt-realtime-9", "gpt-4o-realtime-preview"])
def test_a_model_without_a_known_price_is_not_guessed(model: str | None) -> None:
    assert estimate(used(), model) is None


def test_tokens_that_are_not_told_apart_are_not_guessed() -> None:
    assert estimate(used(input_token_details={}), MODEL) is None
    cached = {**SENT["input_token_details"], "cached_tokens_details": {}}  # type: ignore[dict-item]
    assert estimate(used(input_token_details=cached), MODEL) is None


def test_the_caller_is_transcribed_by_the_minute() -> None:
    usage = Usage().with_transcription({"type": "duration", "seconds": 90})
    assert usd(usage, transcription_model="gpt-transcribe") == pytest.approx(1.5 * 4500)
    assert usd(usage, transcription_model="gpt-realtime-whisper") == pytest.approx(1.5 * 17000)


@pytest.mark.parametrize(
    ("sent", "model"),
    [({"type": "duration", "seconds": 90}, "whisper-1"), ({"input_tokens": 5}, "gpt-transcribe"), ({}, None)],
)
def test_a_transcription_without_a_known_price_is_said_to_be_left_out(sent: dict[str, Any], model: str | None) -> None:
    cost = estimate(used().with_transcription(sent), MODEL, transcription_model=model)
    assert cost is not None
    assert cost.without == ("transcription",)
    assert round(cost.usd * 1_000_000, 6) == usd(used())


def test_own_prices_come_first_and_the_table_fills_them_up() -> None:
    own = check_prices({MODEL: {"audio_output": 1}, "whisper-1": {"minute": 0.006}})
    assert usd(used(), prices=own) == 200 * 4 + 100 * 0.4 + 150 * 32 + 50 * 0.4 + 50 * 24 + 150 * 1
    transcribed = Usage().with_transcription({"seconds": 60})
    assert usd(transcribed, transcription_model="whisper-1", prices=own) == 6000


def test_an_own_model_needs_all_prices_that_it_uses() -> None:
    assert estimate(used(), "my-model", prices={"my-model": {"audio_output": 1.0}}) is None
    full = dict.fromkeys(("text_input", "text_cached", "text_output"), 1.0)
    full |= dict.fromkeys(("audio_input", "audio_cached", "audio_output"), 1.0)
    assert usd(used(), "my-model", prices={"my-model": full}) == 700


@pytest.mark.parametrize(
    "prices",
    [{MODEL: 3}, {MODEL: {"audio": 1}}, {MODEL: {"audio_output": -1}}, {MODEL: {"audio_output": "64"}}],
)
def test_own_prices_that_cannot_be_used_are_refused(prices: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match=MODEL.replace(".", r"\.")):
        check_prices(prices)


def test_the_table_knows_all_prices_of_its_models() -> None:
    for price in MODEL_PRICES.values():
        assert None not in vars(price).values()
