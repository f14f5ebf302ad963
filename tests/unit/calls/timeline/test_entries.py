"""Timeline entries: what can be kept, under which key, and in how many requests."""

from __future__ import annotations

import json
from datetime import timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.switchboard.support import START

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
