"""Which calls a condition fits."""

from __future__ import annotations

import time
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.switchboard.support import START

from airflow_openai_realtime.calls.call import SwitchboardCall
from airflow_openai_realtime.calls.matching import CallMatch, fits
from airflow_openai_realtime.exceptions import InvalidInput

CALL = SwitchboardCall(
    "rtc_1",
    "support",
    "ringing",
    START,
    START,
    from_number="+14155550123",
    to_number="+14155550199",
    headers={"x-order": "abc", "diversion": "<sip:+1@a>, <sip:+2@b>"},
)


@pytest.mark.parametrize(
    "condition",
    [
        {},
        {"to": "+14155550199"},
        {"to": "+1415*", "from_number": "+1415555012?"},
        {"headers": {"X-ORDER": "abc"}},
        {"headers": {"Diversion": "<sip:+2@b>"}},
        {"headers": {"Diversion": "<sip:+1@a>, *"}},
        {"to": "*"},
    ],
)
def test_a_condition_that_fits(condition: dict[str, Any]) -> None:
    assert CallMatch(**condition).matches(CALL)


@pytest.mark.parametrize("pattern", ["+4402071838750", "+442071838750", "+44020*", "+4420*", "+44020718387??"])
def test_a_pattern_fits_a_number_however_its_trunk_zero_is_written(pattern: str) -> None:
    call = replace(CALL, from_number="+442071838750")
    assert CallMatch(from_number=pattern).matches(call)
    assert not CallMatch(from_number=pattern).matches(CALL)


@pytest.mark.parametrize(
    ("sent", "pattern"),
    [
        ("14155550199", "+14155550199"),
        ("14155550199", "+1415*"),
        ("14155550199", "+1415555019?"),
        ("0014155550199", "+14155550199"),
        ("442071838750", "+4402071838750"),
        ("4402071838750", "+442071838750"),
    ],
)
def test_a_number_that_the_trunk_sends_without_its_plus_fits_all_the_same(sent: str, pattern: str) -> None:
    assert CallMatch(to=pattern).matches(replace(CALL, to_number=sent))
    assert CallMatch(from_number=pattern).matches(replace(CALL, from_number=sent))


@pytest.mark.parametrize(
    ("sent", "pattern"),
    [
        ("4155550199", "+41*"),  # American without its country code: no Swiss number is so short
        ("14155550199", "+14155550198"),
        ("0415550199", "+*"),
        ("sales", "+*"),
        ("100", "+1*"),
    ],
)
def test_a_number_without_its_country_code_fits_no_pattern_with_one(sent: str, pattern: str) -> None:
    assert not CallMatch(to=pattern).matches(replace(CALL, to_number=sent))


@pytest.mark.parametrize(
    "condition",
    [
        {"to": "+14155550123"},
        {"to": "+1415"},
        {"to": "+14155550199", "from_number": "+49*"},
        {"headers": {"X-Order": "ab"}},
        {"headers": {"X-Order": "ABC"}},
        {"headers": {"Subject": "*"}},
    ],
)
def test_a_condition_that_does_not_fit(condition: dict[str, Any]) -> None:
    assert not CallMatch(**condition).matches(CALL)


def test_a_call_that_was_placed_for_somebody_fits_only_a_condition_on_its_correlation_header() -> None:
    placed = replace(CALL, headers={"x-correlation-id": "abc"})
    assert not CallMatch().matches(placed)
    assert not CallMatch(to="+14155550199").matches(placed)
    assert CallMatch(headers={"X-Correlation-Id": "abc"}).matches(placed)
    assert not CallMatch(headers={"X-Correlation-Id": "other"}).matches(placed)


def test_a_number_that_is_not_known_fits_no_condition_on_it() -> None:
    hidden = SwitchboardCall("rtc_1", "support", "ringing", START, START)
    assert not CallMatch(from_number="*").matches(hidden)
    assert CallMatch().matches(hidden)


@given(st.text("ab*?", max_size=8), st.text("ab*?", max_size=12))
def test_patterns_mean_what_they_mean_in_a_shell(pattern: str, text: str) -> None:
    assert fits(pattern, text) == fnmatchcase(text, pattern)


def test_brackets_are_plain_characters() -> None:
    assert fits("[ab]", "[ab]")
    assert not fits("[ab]", "a")


def test_no_text_of_a_caller_takes_long() -> None:
    started = time.perf_counter()
    assert not fits("*a" * 200 + "b", "a" * 2000)
    assert time.perf_counter() - started < 20


@given(st.builds(CallMatch, st.none() | st.just("+1*"), st.none() | st.just("?"), st.just({"X-A": "b"}) | st.just({})))
def test_a_condition_survives_json(match: CallMatch) -> None:
    assert CallMatch.from_dict(match.to_dict()) == match


@pytest.mark.parametrize(
    ("condition", "field"),
    [
        ({"to": ""}, "to"),
        ({"from_number": 5}, "from_number"),
        ({"headers": {"": "x"}}, "headers"),
        ({"headers": {"X-A": ""}}, "headers.X-A"),
        ({"headers": ["X-A"]}, "headers"),
        ({"to": "1" * 501}, "to"),
    ],
)
def test_a_condition_that_cannot_be_used_names_its_field(condition: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        CallMatch(**condition)
    assert refused.value.field == field


def test_an_unknown_condition_is_refused() -> None:
    with pytest.raises(InvalidInput, match="unknown condition from"):
        CallMatch.from_dict({"from": "+1"})
