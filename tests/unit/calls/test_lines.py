"""Lines and their tokens."""

from __future__ import annotations

import pytest
from tests.unit.switchboard.support import OTHER_SECRET, SECRET, a_line

from airflow_openai_realtime.calls.lines import StaticLines
from airflow_openai_realtime.calls.tokens import derived_token
from airflow_openai_realtime.exceptions import ConfigurationError


def test_a_line_takes_its_token_and_no_other() -> None:
    line = a_line()
    assert line.takes_token(derived_token(SECRET))
    assert not any(line.takes_token(token) for token in ("", "x", derived_token(OTHER_SECRET), "é"))


def test_while_a_secret_is_replaced_both_derived_tokens_are_taken() -> None:
    line = a_line(secret=f"{OTHER_SECRET} {SECRET}")
    assert line.takes_token(derived_token(SECRET))
    assert line.takes_token(derived_token(OTHER_SECRET))
    assert line.token == derived_token(OTHER_SECRET)


def test_a_token_of_its_own_replaces_the_derived_one() -> None:
    line = a_line(switchboard_token="own")
    assert line.takes_token("own")
    assert not line.takes_token(derived_token(SECRET))


def test_no_secret_shows_in_a_log() -> None:
    shown = repr(a_line(switchboard_token="own-token"))
    assert not any(secret in shown for secret in ("sk-test", SECRET, "own-token"))


def test_a_lone_line_answers_to_any_name() -> None:
    line = a_line()
    lines = StaticLines([line])
    assert [lines.find(name) for name in (None, "support", "openai_realtime_default")] == [line] * 3


def test_of_several_lines_the_first_is_the_default_and_names_count() -> None:
    support, sales = a_line(), a_line("sales")
    lines = StaticLines([support, sales])
    assert [lines.find(name) for name in (None, "support", "sales", "other")] == [support, support, sales, None]


def test_lines_must_be_there_and_have_different_names() -> None:
    with pytest.raises(ConfigurationError, match="no line"):
        StaticLines([])
    with pytest.raises(ConfigurationError, match="twice"):
        StaticLines([a_line(), a_line()])
