"""Timeline entries: what can be kept, under which key, and in how many requests."""

from __future__ import annotations

import json
from datetime import timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.conversation.talk import START, Talk

from airflow_openai_realtime.api.sideband import events
from airflow_openai_realtime.api.untrusted import DEEPEST, DEEPEST_RECORD
from airflow_openai_realtime.calls.timeline.entries import (
    LONGEST_TEXT,
    MOST_BYTES_AT_ONCE,
    MOST_ENTRIES_AT_ONCE,
    MOST_ENTRY_BYTES,
    TimelineEntry,
    as_json,
    check_entries,
    entry_of,
    in_requests,
    is_small,
    key_of,
    sent_bytes,
)
from airflow_openai_realtime.calls.timeline.summary import Summary
from airflow_openai_realtime.conversation.rules.plan import ConversationPlan
from airflow_openai_realtime.exceptions import InvalidInput

ENTRY = TimelineEntry("item_1", "caller", START, {"text": "My number is +14155550123"})


@pytest.mark.parametrize("value", [{}, {"key": "a"}, {**ENTRY.to_dict(), "at": "soon"}, {**ENTRY.to_dict(), "body": 1}])
def test_what_is_no_entry_is_refused(value: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        TimelineEntry.from_dict(value)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"key": ""}, "key must be"),
        ({"key": "a b"}, "key must be"),
        ({"key": "a\n"}, "key must be"),
        ({"key": "\u00e4"}, "key must be"),
        ({"key": "a" * 256}, "key must be"),
        ({"kind": "song"}, "kind must be one of caller"),
        ({"at": START.replace(tzinfo=None)}, "time zone"),
        ({"body": {"x": object()}}, "cannot be written as JSON"),
        ({"body": {"x": "y" * MOST_ENTRY_BYTES}}, "at most 65,536"),
    ],
)
def test_an_entry_that_cannot_be_kept_is_refused_by_name(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidInput, match=says) as refused:
        TimelineEntry(**{**ENTRY.__dict__, **changes}).check()
    assert "yyy" not in str(refused.value)


def test_of_a_body_nested_too_deeply_the_upper_levels_are_kept() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    body = TimelineEntry("a", "note", START, {"x": deep}).check().body
    assert json.dumps(body).count("[") == DEEPEST - 1


def test_halves_of_characters_and_numbers_that_are_none_are_left_out() -> None:
    body = {"text": "a\ud800b", "number": float("nan")}
    assert TimelineEntry("a", "note", START, body).check().body == {"text": "ab", "number": None}


def test_of_entries_with_one_key_the_first_counts() -> None:
    other = TimelineEntry("item_1", "agent", START)
    assert check_entries([ENTRY, other]) == [ENTRY]


def test_too_many_entries_at_once_are_refused() -> None:
    many = [TimelineEntry(str(number), "note", START) for number in range(MOST_ENTRIES_AT_ONCE + 1)]
    with pytest.raises(InvalidInput, match="at most 200"):
        check_entries(many)
    assert [len(group) for group in in_requests(many)] == [200, 1]


def test_large_entries_go_in_several_requests_in_their_order() -> None:
    large = [TimelineEntry(str(number), "note", START, {"text": "x" * 60_000}) for number in range(10)]
    groups = in_requests(large)
    assert [entry for group in groups for entry in group] == large
    assert [len(group) for group in groups] == [4, 4, 2]
    assert in_requests([]) == [[]]


def test_an_entry_that_cannot_be_stored_goes_in_no_request() -> None:
    with pytest.raises(InvalidInput, match="kind must be"):
        in_requests([ENTRY, TimelineEntry("item_2", "word", START)])


# -- keys ----------------------------------------------------------------------------------------------------------


def test_a_key_says_what_it_is_about() -> None:
    assert key_of("tool_call", "fc_1") == "tool_call:fc_1"
    assert key_of("note", "attached", 2, 1) == "note:attached:2:1"


@settings(deadline=None)
@given(st.lists(st.text(max_size=300), max_size=3))
def test_whatever_an_id_is_its_key_can_be_kept_and_is_always_the_same(name: list[str]) -> None:
    key = key_of("caller", *name)
    assert key == key_of("caller", *name)
    assert TimelineEntry(key, "caller", START).check().key == key


def test_odd_and_long_ids_have_different_keys() -> None:
    odd = ["a b", "a  b", "ä", "ö", "a\n", "x" * 255, "x" * 256]
    assert len({key_of("caller", each) for each in odd}) == len(odd)


# -- bodies --------------------------------------------------------------------------------------------------------


def test_a_long_text_is_cut_and_what_is_left_says_so() -> None:
    entry = entry_of("caller", START, "item_1", text="x" * (LONGEST_TEXT + 1), short="y" * LONGEST_TEXT)
    assert entry.body["text"] == "x" * LONGEST_TEXT + "…"
    assert entry.body["short"] == "y" * LONGEST_TEXT


def test_an_entry_travels_as_json_in_utc() -> None:
    berlin = START.astimezone(timezone(timedelta(hours=1)))
    entry = entry_of("note", berlin, "x", what="x")
    value = json.loads(json.dumps(entry.to_dict()))
    assert value["at"] == "2026-11-22T08:00:00+00:00"
    assert TimelineEntry.from_dict(value) == entry


@pytest.mark.parametrize(
    ("value", "small"),
    [
        ({"agreed": True}, True),
        ("x" * (4 * LONGEST_TEXT - 2), True),
        ("x" * (4 * LONGEST_TEXT - 1), False),
        (float("nan"), False),
        (object(), False),
    ],
)
def test_a_value_is_fit_for_an_entry_or_not(value: object, small: bool) -> None:
    assert is_small(value) is small


def test_a_value_that_is_nested_too_deeply_for_an_entry_is_not_fit() -> None:
    def nested(levels: int) -> Any:
        value: Any = 1
        for _ in range(levels):
            value = [value]
        return value

    assert is_small(nested(DEEPEST_RECORD))
    assert not is_small(nested(DEEPEST_RECORD + 1))


def test_bytes_are_counted_and_not_characters() -> None:
    assert as_json("ä", field="note", most_bytes=4) == '"ä"'
    with pytest.raises(InvalidInput, match="note is 4 bytes long as JSON; at most 3"):
        as_json("ä", field="note", most_bytes=3)


# -- requests ------------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.lists(st.integers(0, 60_000), max_size=30))
def test_requests_hold_all_entries_in_order_and_none_is_too_large(sizes: list[int]) -> None:
    entries = [TimelineEntry(str(place), "note", START, {"text": "x" * size}) for place, size in enumerate(sizes)]
    groups = in_requests(entries)
    assert [entry for group in groups for entry in group] == entries
    assert all(groups) == bool(entries)
    for group in groups:
        assert len(group) <= MOST_ENTRIES_AT_ONCE
        assert sum(map(sent_bytes, group)) <= MOST_BYTES_AT_ONCE


# -- made from the events of a sideband --------------------------------------------------------------------------------


QUIET = ConversationPlan(end_call=False, silence_seconds=None)
USAGE = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15, "input_token_details": {"text_tokens": 10}}


def test_a_late_transcript_stands_where_the_caller_spoke() -> None:
    talk = Talk(QUIET)
    talk.hear(events.CallerSpeaking("item_1"))
    talk.now += timedelta(seconds=2)
    talk.hear(events.CallerSilent("item_1"))
    talk.speak("Of course.")
    talk.now += timedelta(seconds=5)
    talk.hear(events.CallerSaid("item_1", "Can you help me?", None))
    ordered = sorted(talk.kept("caller") + talk.kept("agent"), key=lambda entry: entry.at)
    assert [entry.body["text"] for entry in ordered] == ["Can you help me?", "Of course."]
    assert ordered[0].at == START


def test_what_the_model_says_stands_where_it_began_to_be_heard() -> None:
    talk = Talk(QUIET)
    response = talk.begin()
    talk.now += timedelta(seconds=1)
    talk.hear(events.AudioStarted(response))
    talk.now += timedelta(seconds=1)
    talk.hear(events.AgentSaid("item_1", response, "Hello"))
    assert talk.kept("agent")[0].at == START + timedelta(seconds=1)


def test_words_that_nobody_understood_are_a_turn_without_text() -> None:
    talk = Talk(QUIET)
    talk.hear(events.CallerTranscriptFailed("item_1", "audio too short"))
    (entry,) = talk.kept("caller")
    assert (entry.body["text"], entry.body["problem"]) == (None, "audio too short")
    assert talk.rules.summary.caller_turns == 1


def test_noise_is_no_turn_but_costs() -> None:
    talk = Talk(QUIET)
    talk.hear(events.CallerSaid("item_1", "  ", {"type": "duration", "seconds": 3}))
    assert talk.kept("caller") == []
    assert talk.rules.summary.usage.transcription_seconds == 3


def test_the_same_event_heard_by_two_holders_is_one_entry() -> None:
    first, second = Talk(QUIET), Talk(QUIET, generation=2)
    for talk in (first, second):
        talk.hear(events.CallerSaid("item_1", "Hello", USAGE), events.AgentSaid("item_2", "resp_1", "Hi"))
        talk.finish("resp_1", usage=USAGE)
        talk.hear(events.KeyPressed("1", START), events.KeyPressed("1", START))
    summary = Summary.of([*first.kept(), *second.kept()])
    assert (summary.caller_turns, summary.agent_turns, summary.pressed) == (1, 1, ["1", "1"])
    assert summary.usage.responses == 1


def test_a_key_pressed_twice_within_a_second_is_two_presses_also_after_a_move() -> None:
    first = Talk(QUIET)
    first.hear(events.KeyPressed("1", START), events.KeyPressed("1", START))
    second = Talk(QUIET, entries=first.kept(), generation=2)
    second.hear(events.KeyPressed("1", START), events.KeyPressed("2", None))
    assert second.rules.summary.pressed == ["1", "1", "1", "2"]


def test_what_was_interrupted_is_marked() -> None:
    talk = Talk(QUIET)
    talk.hear(events.AudioCleared("resp_1"))
    assert any(entry.body["what"] == "interrupted" for entry in talk.kept("note"))


def test_tools_of_servers_are_written_down() -> None:
    talk = Talk(QUIET)
    talk.hear(
        events.McpEvent("call", "crm", "find", None, "item_1"),
        events.McpEvent("call", "crm", "find", "timeout", "item_2"),
        events.McpEvent("call.in_progress", None, None, None, "item_3"),
        events.McpEvent("approval_request", "crm", "delete", None, "item_4"),
        events.McpEvent("list_tools.failed", None, None, None, "item_5"),
    )
    tools = talk.rules.summary.tools.values()
    assert [(tool.name, tool.status) for tool in tools] == [("crm.find", "ok"), ("crm.find", "failed")]
    codes = [error["code"] for error in talk.rules.summary.errors]
    assert codes == ["mcp_approval_needed", "mcp_list_tools_failed"]


def test_odd_ids_and_long_texts_make_entries_that_the_switchboard_takes() -> None:
    talk = Talk(QUIET)
    long = "😀\x00" * 40_000
    talk.hear(
        events.CallerSaid("ä b\n" * 300, long, {"x": "y" * 100_000}),
        events.CallerSaid("", "no id", None),
        events.CallerSaid("", "no id either", None),
        events.AgentSaid("", "", long),
        events.SessionError("c" * 1000, None, long, None, None),
        events.KeyPressed("1", None),
    )
    entries = talk.kept()
    assert all(entry.check() for entry in entries)
    assert len({entry.key for entry in entries}) == len(entries)
    assert talk.rules.summary.caller_turns == 3


def test_a_very_long_call_goes_on_counting_and_stops_keeping_words() -> None:
    talk = Talk(QUIET)
    for number in range(5_000):
        talk.hear(events.CallerSaid(f"item_{number}", "x", None))
    assert talk.rules.summary.caller_turns == 5_000
    assert len(talk.kept()) < 4_600
    talk.hear(events.SessionError("late", None, "", None, None))
    assert talk.kept("error")
