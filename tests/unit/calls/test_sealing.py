"""What travels in a trigger's arguments is unreadable without the key."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_openai_realtime.calls.sealing import seal, unseal
from airflow_openai_realtime.exceptions import ConfigurationError

KEY = "sk-proj-one"
VALUE: dict[str, Any] = {"greeting": "Hello Ann, +14155550123", "functions": [{"path": "a.b"}], "n": 1.5, "none": None}


def test_what_was_sealed_is_read_with_the_same_key() -> None:
    assert unseal(seal(VALUE, KEY), KEY, what="the plan") == VALUE


def test_sealed_text_can_travel_anywhere_and_shows_nothing() -> None:
    sealed = seal(VALUE, KEY)
    assert sealed.isascii()
    assert sealed.isprintable()
    assert not any(secret in sealed for secret in ("Ann", "4155550123", KEY))


def test_the_same_value_is_sealed_differently_each_time() -> None:
    assert seal(VALUE, KEY) != seal(VALUE, KEY)


def tampered(sealed: str) -> str:
    middle = len(sealed) // 2
    return sealed[:middle] + ("A" if sealed[middle] != "A" else "B") + sealed[middle + 1 :]


@pytest.mark.parametrize("broken", [tampered, lambda sealed: sealed[:-8], lambda _: "", lambda _: json.dumps(VALUE)])
def test_what_was_changed_is_refused(broken: Any) -> None:
    with pytest.raises(ConfigurationError, match="the plan cannot be read"):
        unseal(broken(seal(VALUE, KEY)), KEY, what="the plan")


def test_another_key_is_told_what_to_do_and_learns_nothing() -> None:
    with pytest.raises(ConfigurationError, match="Let the task start again") as refused:
        unseal(seal(VALUE, KEY), "sk-proj-two", what="the plan")
    assert refused.value.__suppress_context__
    assert "sk-proj" not in str(refused.value)


def test_what_an_earlier_release_sealed_is_still_read() -> None:
    """Tasks wait through an upgrade, so the way to derive the key from the API key never changes."""
    sealed = (
        "gAAAAABqsTuAnf0MmgtLhSItz8YRanXd58_wOynVbwnNy_NFbLSSP4KzV-bZ3DyiP4UHVCQ_WjksnddlAwmEirsYtYZvbHWJCiaXa80kEd3NfKpa"
        "todOna4="
    )
    assert unseal(sealed, "sk-proj-one", what="the plan") == {"greeting": "Hi"}
