"""What a call used, summed from what OpenAI sends."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_openai_realtime.calls.timeline.usage import Usage

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
