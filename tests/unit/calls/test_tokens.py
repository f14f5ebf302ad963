"""The token that both sides derive from the webhook secret."""

from __future__ import annotations

import pytest
from tests.unit.switchboard.support import OTHER_SECRET, SECRET

from airflow_openai_realtime.calls.tokens import derived_token, tokens_equal


def test_a_derived_token_is_stable_and_says_nothing_of_the_secret() -> None:
    token = derived_token(SECRET)
    assert token == derived_token(f" {SECRET}\n")
    assert token != derived_token(OTHER_SECRET)
    assert len(token) == 43
    assert token.isascii()
    # This never changes: both sides derive it on their own, perhaps in different versions.
    assert token == "-YOZsugUVn7Q1yJiMTT71hWfem8DYJyM0IDukcxNV5Y"


@pytest.mark.parametrize(
    ("presented", "expected", "same"),
    [
        ("abc", "abc", True),
        ("abc", "abd", False),
        ("abc", "abcd", False),
        ("é", "é", True),
        ("é", "e", False),
        ("", "", False),
        ("", "abc", False),
        ("abc", "", False),
    ],
)
def test_tokens_are_the_same_or_not_and_an_empty_one_never_is(presented: str, expected: str, same: bool) -> None:
    assert tokens_equal(presented, expected) is same
