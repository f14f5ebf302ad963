"""What the rules share: commands and entries that are wanted, and whether the call is about to end."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from airflow_openai_realtime.calls.timeline.entries import TimelineEntry, entry_of
from airflow_openai_realtime.calls.timeline.summary import Summary
from airflow_openai_realtime.conversation.rules.effects import Keep, Report, Send
from airflow_openai_realtime.conversation.rules.plan import ConversationPlan
from airflow_openai_realtime.conversation.rules.state import MOST_KEPT_ENTRIES, ConversationState, LastWords

NOW = datetime(2026, 11, 22, 8, tzinfo=timezone.utc)


@pytest.fixture
def state() -> ConversationState:
    return ConversationState(ConversationPlan(), NOW + timedelta(minutes=10), None, Summary())


def said(number: int) -> TimelineEntry:
    return entry_of("caller", NOW + timedelta(seconds=number), f"item_{number}", text="Hello")


def test_what_is_wanted_is_told_once_and_in_order(state: ConversationState) -> None:
    state.send({"type": "response.create"}, event_id="reply_1", after="note:x")
    state.send({"type": "response.cancel"})
    state.report("It went wrong.")
    assert state.take_effects() == [
        Send({"type": "response.create", "event_id": "reply_1"}, "note:x"),
        Send({"type": "response.cancel"}),
        Report("It went wrong."),
    ]
    assert state.take_effects() == []


def test_a_command_that_is_sent_stays_as_it_was(state: ConversationState) -> None:
    command = {"type": "response.cancel"}
    state.send(command, event_id="cancel_1")
    assert command == {"type": "response.cancel"}


def test_an_entry_is_kept_once(state: ConversationState) -> None:
    assert state.keep(said(1), at_once=True)
    assert not state.keep(said(1))
    assert state.take_effects() == [Keep(said(1), at_once=True)]
    assert state.summary.caller_turns == 1


def test_an_entry_is_recorded_under_its_key_once(state: ConversationState) -> None:
    assert state.record("note", NOW, "greeted", at_once=True, what="greeted") == "note:greeted"
    assert state.record("note", NOW, "greeted", at_once=True, what="greeted") is None
    assert state.take_effects() == [Keep(entry_of("note", NOW, "greeted", what="greeted"), at_once=True)]
    assert state.summary.is_greeted


def test_of_a_very_long_call_words_are_counted_and_not_kept_while_errors_are(state: ConversationState) -> None:
    for number in range(MOST_KEPT_ENTRIES):
        state.keep(said(number))
    assert len(state.take_effects()) == MOST_KEPT_ENTRIES
    assert state.keep(said(MOST_KEPT_ENTRIES))
    assert state.take_effects() == []
    assert state.summary.caller_turns == MOST_KEPT_ENTRIES + 1
    error = entry_of("error", NOW, "late", code="late")
    state.keep(error)
    assert state.take_effects() == [Keep(error)]


@pytest.mark.parametrize("part", ["ending", "transfer", "hung_up_for"])
def test_a_call_is_ending_when_it_is_to_be_hung_up_or_transferred(state: ConversationState, part: str) -> None:
    assert not state.is_ending
    setattr(state, part, "silence" if part == "hung_up_for" else LastWords("end_call", NOW))
    assert state.is_ending


def test_two_conversations_share_nothing() -> None:
    states = [ConversationState(ConversationPlan(), NOW, None, Summary()) for _ in range(2)]
    states[0].report("x")
    states[0].turns.caller_speaks = True
    assert (states[1].effects, states[1].turns.caller_speaks) == ([], False)
