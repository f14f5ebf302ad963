"""What the rules want done, as values whose ``repr`` can stand in a log."""

from __future__ import annotations

import dataclasses
from datetime import datetime, timezone
from typing import Any, get_args

import pytest

from airflow_openai_realtime.calls.timeline.entries import TimelineEntry
from airflow_openai_realtime.conversation.rules import effects
from airflow_openai_realtime.conversation.rules.effects import (
    CheckResult,
    Effect,
    HangUp,
    Keep,
    Refer,
    Report,
    ResyncTools,
    RunFunction,
    Send,
    ToolAnswer,
)
from airflow_openai_realtime.conversation.rules.plan import FunctionSpec

SECRET = "+14155550123"
ENTRY = TimelineEntry("caller:1", "caller", datetime(2026, 11, 22, tzinfo=timezone.utc), {"text": SECRET})
ALL: list[Any] = [
    Send({"type": "response.create", "instructions": SECRET}, after="note:greeted"),
    Keep(ENTRY, at_once=True),
    RunFunction("call_1", FunctionSpec("book", "shop.book"), f'{{"number": "{SECRET}"}}'),
    CheckResult("call_1", f'{{"number": "{SECRET}"}}'),
    Refer("call_1", "desk", f"tel:{SECRET}"),
    HangUp("silence", after="note:ending"),
    ResyncTools(),
    Report("Tool book: failed."),
    ToolAnswer("ok", SECRET, detail={"value": SECRET}),
]


def test_these_are_all_that_there_are() -> None:
    assert {type(each) for each in ALL} == {*get_args(Effect), ToolAnswer}
    declared = {each for each in vars(effects).values() if dataclasses.is_dataclass(each)}
    assert declared - {FunctionSpec, TimelineEntry} == {type(each) for each in ALL}


@pytest.mark.parametrize("effect", ALL, ids=lambda effect: type(effect).__name__)
def test_nothing_that_was_said_or_given_shows_in_a_log(effect: Any) -> None:
    assert SECRET not in repr(effect)


@pytest.mark.parametrize("effect", ALL, ids=lambda effect: type(effect).__name__)
def test_an_effect_is_a_value(effect: Any) -> None:
    assert dataclasses.replace(effect) == effect
    for field in dataclasses.fields(effect):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(effect, field.name, None)


def test_what_tells_effects_apart_shows() -> None:
    assert "note:greeted" in repr(ALL[0])
    assert "desk" in repr(ALL[4])
    assert "silence" in repr(ALL[5])


def test_unless_told_otherwise_an_entry_waits_and_a_command_does_not() -> None:
    assert not Keep(ENTRY).at_once
    assert Send({}).after is None
    assert HangUp("silence").after is None
