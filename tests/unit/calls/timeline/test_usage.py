"""What a call used, summed from what OpenAI sends."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_openai_realtime.calls.timeline.usage import MODEL_PRICES, Usage, check_prices, estimate, usage_and_cost
from airflow_openai_realtime.exceptions import InvalidInput

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


def test_responses_are_summed() -> None:
    usage = used().with_response(SENT)
    assert (usage.responses, usage.total_tokens, usage.input_audio_tokens) == (2, 1400, 400)
    assert (usage.cached_text_tokens, usage.output_audio_tokens, usage.unsorted_tokens) == (200, 300, 0)
    assert Usage.from_dict(usage.to_dict()) == usage


@pytest.mark.parametrize(
    "sent",
    [{}, {"input_tokens": "many"}, {"input_token_details": [1]}, {"total_tokens": -5, "input_tokens": True}],
)
def test_odd_usage_never_raises(sent: dict[str, Any]) -> None:
    assert Usage().with_response(sent).total_tokens == 0
    assert Usage().with_transcription({**sent, "seconds": "x"}).transcription_seconds == 0


def test_tokens_that_openai_did_not_sort_are_counted_apart() -> None:
    assert used(input_token_details={}).unsorted_tokens == 500
    assert used(output_token_details={"audio_tokens": 150}).unsorted_tokens == 50
    cached = {"text_tokens": 300, "audio_tokens": 200, "cached_tokens": 150, "cached_tokens_details": {}}
    assert used(input_token_details=cached).unsorted_tokens == 150


def test_a_total_that_was_not_sent_is_the_sum() -> None:
    assert used(total_tokens=None).total_tokens == 700
    assert used(total_tokens=701).total_tokens == 701


@pytest.mark.parametrize(("seconds", "counted"), [(1.5, 1.5), (0, 0), (86_400, 0), (-1, 0), (True, 0), (None, 0)])
def test_seconds_of_a_transcription_count_when_they_can_be_true(seconds: Any, counted: float) -> None:
    usage = Usage().with_transcription({"type": "duration", "seconds": seconds})
    assert (usage.transcribed, usage.transcription_seconds) == (1, counted)


def test_a_transcription_by_tokens_is_summed_apart_from_the_conversation() -> None:
    usage = used().with_transcription({"input_tokens": 10, "output_tokens": 3})
    usage = usage.with_transcription({"input_tokens": 1, "output_tokens": 1})
    assert (usage.transcribed, usage.transcription_input_tokens, usage.transcription_output_tokens) == (2, 11, 4)
    assert (usage.responses, usage.total_tokens) == (1, 700)


def test_a_usage_of_another_release_is_read_as_far_as_it_is_known() -> None:
    written = json.loads(json.dumps(used().with_transcription({"seconds": 0.12345}).to_dict()))
    assert written["transcription_seconds"] == 0.123
    del written["output_audio_tokens"]
    assert Usage.from_dict({**written, "video_tokens": 9}).output_audio_tokens == 0


COUNTS = st.one_of(st.integers(-10, 10_000), st.none(), st.text(max_size=2))
DETAILS = st.dictionaries(st.sampled_from(["text_tokens", "audio_tokens", "image_tokens", "cached_tokens"]), COUNTS)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["total_tokens", "input_tokens", "output_tokens"]), COUNTS), DETAILS, DETAILS)
def test_no_response_makes_a_count_smaller(sent: dict[str, Any], given_tokens: Any, made_tokens: Any) -> None:
    details = {"input_token_details": given_tokens, "output_token_details": made_tokens}
    before, after = used().to_dict(), used().with_response({**sent, **details}).to_dict()
    assert all(after[name] >= count for name, count in before.items())
    assert after["responses"] == before["responses"] + 1


# -- what it costs -----------------------------------------------------------------------------------------------------


MODEL = "gpt-realtime-2.1"


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


def test_what_was_used_is_shown_with_its_cost_or_without_one() -> None:
    known = usage_and_cost(used(), MODEL)
    cost = estimate(used(), MODEL)
    assert cost is not None
    assert known == {"usage": used().to_dict(), "cost": cost.to_dict()}
    assert usage_and_cost(used(), None) == {"usage": used().to_dict(), "cost": None}


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
