"""The vocabulary: its words are text wherever they go."""

from __future__ import annotations

import enum
import json

import pytest
from sqlalchemy import String, create_engine, literal, select

from airflow_openai_realtime import states
from airflow_openai_realtime.states import OPEN_CALL_STATES, CallState, EndReason, Outcome, Word

WORDS = [
    word
    for kind in vars(states).values()
    if isinstance(kind, enum.EnumMeta) and issubclass(kind, Word)
    for word in kind
]


@pytest.mark.parametrize("word", WORDS, ids=lambda word: f"{type(word).__name__}.{word.name}")
def test_a_word_is_its_text_everywhere(word: Word) -> None:
    assert (str(word), f"{word}", f"{word:s}") == (word.value,) * 3
    assert json.loads(json.dumps({word: word})) == {word.value: word.value}
    assert {word: 1}[word.value] == 1
    with create_engine("sqlite://").connect() as connection:
        assert connection.scalar(select(literal(word, String))) == word.value


def test_no_two_members_of_a_kind_have_the_same_word() -> None:
    assert all(list(type(word)).count(word) == 1 and type(word)(word.value).name == word.name for word in WORDS)


def test_open_states_are_those_before_an_end() -> None:
    assert set(CallState) - set(OPEN_CALL_STATES) == {CallState.REJECTED, CallState.ENDED, CallState.MISSED}


def test_an_outcome_that_says_all_is_also_the_reason() -> None:
    assert {outcome.value for outcome in Outcome} <= {reason.value for reason in EndReason}
