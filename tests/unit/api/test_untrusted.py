"""The gate for what callers and the model bring: behind it there is plain data alone."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_openai_realtime.api.untrusted import (
    DEEPEST,
    LEAST_INTEGER,
    MOST_INTEGER,
    TOO_DEEP,
    TOO_LONG_NUMBER,
    clean_header,
    clean_line,
    clean_text,
    is_deeper,
    read_stored,
    safe_name,
    tame,
)
from airflow_openai_realtime.exceptions import InvalidInput

HOSTILE_TEXT = st.text(
    st.one_of(st.sampled_from("\x00\x1b\u202e\u2066\u200b\ufeff\ud800\udfff\u2028\n\t"), st.characters()), max_size=30
)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), HOSTILE_TEXT),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(HOSTILE_TEXT, st.sampled_from(["__type", "__var", "x__type"])), inner, max_size=5),
    ),
    max_leaves=15,
)


def levels(number: int) -> Any:
    value: Any = "leaf"
    for _ in range(number):
        value = [value]
    return value


# -- text ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Ann Lee", "Ann Lee"),
        ("a\nb\tc\x00d", "a b c d"),
        ("pay\u202eelbixelf", "payelbixelf"),
        ("in\u200bvis\ufeffible\u3164", "invisible"),
        ("half\ud800", "half"),
        ("line\u2028break", "line break"),
        ("Zoë 李 🙂", "Zoë 李 🙂"),
    ],
)
def test_a_line_shows_all_that_it_holds(text: str, shown: str) -> None:
    assert clean_line(text, 100) == shown


@given(HOSTILE_TEXT)
def test_a_line_is_one_line(text: str) -> None:
    line = clean_line(text, 20)
    assert len(line) <= 20
    assert line.isprintable()
    assert clean_line(line, 20) == line


def test_a_text_keeps_its_lines_and_the_joiners_of_scripts_and_emoji() -> None:
    family = "\U0001f468\u200d\U0001f469\ufe0f"
    assert clean_text(f"one\n\ttwo {family}\u202e\x07\ud800") == f"one\n\ttwo {family}"


@given(HOSTILE_TEXT)
def test_a_text_can_be_encoded_and_is_cleaned_once(text: str) -> None:
    cleaned = clean_text(text)
    assert cleaned.encode().decode() == cleaned
    assert not set(cleaned) & set("\x00\x1b\u202e\u2066\u2028")
    assert clean_text(cleaned) == cleaned


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("X-Correlation-Id", "X-Correlation-Id"),
        ("  From ", "From"),
        ("a b:c", "a_b_c"),
        ("Ünï", "_n_"),
        ("__type", "x__type"),
        (": evil", "x__evil"),
    ],
)
def test_the_name_of_a_header_has_only_what_header_names_have(name: str, read: str) -> None:
    assert clean_header(name, "a\u202eb", longest_name=40, longest_value=40) == (read, "ab")


def test_a_long_header_is_cut() -> None:
    assert clean_header("x" * 100, "y" * 100, longest_name=40, longest_value=50) == ("x" * 40, "y" * 50)


@given(HOSTILE_TEXT)
def test_no_safe_name_is_one_that_airflow_reads(name: str) -> None:
    assert not safe_name(name).startswith("__")
    assert safe_name(safe_name(name)) == safe_name(name)


# -- values --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (MOST_INTEGER, MOST_INTEGER),
        (MOST_INTEGER + 1, str(2**63)),
        (LEAST_INTEGER, LEAST_INTEGER),
        (LEAST_INTEGER - 1, str(-(2**63) - 1)),
        pytest.param(10**5_000, TOO_LONG_NUMBER, id="too long to write"),
        (True, True),
        (float("nan"), None),
        (float("-inf"), None),
        (0.5, 0.5),
        ((1, (2,)), [1, [2]]),
        ({7: "seven", None: 0}, {"7": "seven", "None": 0}),
        ({"a\x00": 1}, {"a": 1}),
    ],
)
def test_a_value_becomes_what_every_reader_takes(value: object, plain: object) -> None:
    tamed = tame(value)
    assert tamed == plain
    assert type(tamed) is type(plain)


@pytest.mark.parametrize("value", [object(), b"bytes", bytearray(b"x"), {1, 2}, [{"a": object()}]])
def test_what_json_does_not_have_is_refused(value: object) -> None:
    with pytest.raises(InvalidInput, match="cannot be written as JSON"):
        tame(value)


def test_of_two_fields_that_would_get_the_same_name_both_are_kept() -> None:
    assert tame({"__type": 1, "x__type": 2}) == {"x__type": 2, "x__type_2": 1}
    assert tame({"a\x00": 1, "a": 2, "a\x01": 3}) == {"a": 2, "a_2": 1, "a_3": 3}


def test_what_is_nested_too_deeply_is_cut_off_and_what_just_fits_is_kept() -> None:
    assert tame(levels(DEEPEST)) == levels(DEEPEST)
    assert TOO_DEEP in json.dumps(tame(levels(DEEPEST + 1)))
    assert tame({"a": {"b": 1}}, deepest=1) == {"a": TOO_DEEP}


@given(JSON)
def test_nothing_changes_that_has_passed_the_gate(value: Any) -> None:
    passed = tame(value)
    assert tame(passed) == passed
    assert json.loads(json.dumps(passed, allow_nan=False)) == passed


@given(st.integers(0, 40), st.integers(0, 40))
def test_levels_are_counted_as_they_are_nested(depth: int, limit: int) -> None:
    assert is_deeper(levels(depth), limit) == (depth > limit)
    assert is_deeper({"a": 1, "b": levels(depth)}, limit) == (depth + 1 > limit)


def test_a_text_has_no_levels() -> None:
    assert not is_deeper("[[[[]]]]", 0)


def test_what_was_stored_before_there_was_a_gate_passes_it_when_it_is_read() -> None:
    assert read_stored('{"__type": "x", "n": 18446744073709551616}') == {"x__type": "x", "n": str(2**64)}
    with pytest.raises(ValueError, match="Expecting"):
        read_stored("{")
