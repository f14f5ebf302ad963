"""Adding to the timelines of several conversations in one transaction."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from sqlalchemy import Connection, event
from tests.unit.switchboard.support import START, a_call

from airflow_openai_realtime.calls.timeline.entries import TimelineEntry
from airflow_openai_realtime.switchboard.server.store import Store
from airflow_openai_realtime.switchboard.server.store import timeline_rows as module
from airflow_openai_realtime.switchboard.server.store.timeline_rows import (
    Addition,
    by_line,
    known_keys,
    locked_rows,
)

_T = TypeVar("_T")
LATER = START + timedelta(seconds=5)


def entry(key: str, text: str = "Hello") -> TimelineEntry:
    return TimelineEntry(key, "caller", START, {"text": text})


def opened(store: Store, *numbers: int, line: str = "support") -> list[tuple[str, str]]:
    store.calls.add([a_call(number, line=line) for number in numbers])
    for number in numbers:
        store.conversations.open(line, f"rtc_{number}", "me", START)
    return [(line, f"rtc_{number}") for number in numbers]


def said(store: Store, number: int, line: str = "support") -> list[str]:
    return [each.key for each in store.conversations.find(line, f"rtc_{number}").entries]


def in_store(store: Store, work: Callable[[Connection], _T]) -> _T:
    return store.database.write(work)


def add(store: Store, wanted: dict[tuple[str, str], list[TimelineEntry]], **values: Any) -> dict[str, list[str]]:
    """Add entries to conversations; by call id the keys that were new."""

    def work(connection: Connection) -> dict[str, list[str]]:
        rows = locked_rows(connection, wanted)
        additions = [Addition(rows[key], entries, values) for key, entries in wanted.items()]
        module.add(connection, additions, cut=True)
        return {each.row.call_id: [entry["key"] for entry in each.new] for each in additions}

    return in_store(store, work)


def test_several_conversations_get_what_is_new_to_each(store: Store) -> None:
    first, second = opened(store, 1, 2)
    assert add(store, {first: [entry("a")], second: [entry("a"), entry("b")]}) == {
        "rtc_1": ["a"],
        "rtc_2": ["a", "b"],
    }
    assert add(store, {first: [entry("a"), entry("b")], second: []}) == {"rtc_1": ["b"], "rtc_2": []}
    assert (said(store, 1), said(store, 2)) == (["a", "b"], ["a", "b"])


def test_however_many_conversations_there_are_it_takes_a_few_statements(sqlite_store: Store) -> None:
    keys = opened(sqlite_store, *range(40))
    statements: list[str] = []

    def noted(_: Any, __: Any, statement: str, *___: Any) -> None:
        statements.append(statement)

    def work(connection: Connection) -> None:
        event.listen(connection, "before_cursor_execute", noted)
        rows = locked_rows(connection, keys)
        additions = [Addition(rows[key], [entry("a"), entry("b")], {"saved_at": LATER}) for key in keys]
        module.add(connection, additions)

    in_store(sqlite_store, work)
    assert len(statements) <= 5, statements
    assert said(sqlite_store, 39) == ["a", "b"]


def test_what_else_changes_is_written_with_and_without_entries(store: Store) -> None:
    first, second = opened(store, 1, 2)
    add(store, {first: [entry("a")], second: []}, saved_at=LATER)
    assert [store.conversations.find("support", f"rtc_{number}").saved_at for number in (1, 2)] == [LATER, LATER]


def test_what_does_not_fit_is_left_out_from_the_end(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ENTRIES", 3)
    (key,) = opened(store, 1)
    assert add(store, {key: [entry("a"), entry("b")]}) == {"rtc_1": ["a", "b"]}
    assert add(store, {key: [entry("c"), entry("d"), entry("e")]}) == {"rtc_1": ["c"]}
    monkeypatch.setattr(module, "MOST_ENTRIES", 100)
    monkeypatch.setattr(module, "MOST_CONVERSATION_BYTES", 200)
    assert add(store, {key: [entry("f", "x" * 50), entry("g", "x" * 100)]}) == {"rtc_1": ["f"]}
    assert said(store, 1) == ["a", "b", "c", "f"]


def test_the_error_for_what_does_not_fit_says_how_much_there_is(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    (key,) = opened(store, 1)
    add(store, {key: [entry("a")]})
    monkeypatch.setattr(module, "MOST_ENTRIES", 1)

    def work(connection: Connection) -> Addition:
        addition = Addition(locked_rows(connection, [key])[key], [entry("b")])
        module.add(connection, [addition])
        return addition

    error = in_store(store, work).refused
    assert error is not None
    assert said(store, 1) == ["a"]
    assert (error.call_id, error.field) == ("rtc_1", "entries")
    assert "has 1 timeline entries" in str(error)


def test_known_keys_are_those_of_their_own_call_and_line(store: Store) -> None:
    (first, _), (sales,) = opened(store, 1, 2), opened(store, 1, line="sales")
    add(store, {first: [entry("a")], sales: [entry("b")]})
    wanted = [(*first, "a"), (*first, "b"), ("support", "rtc_2", "a"), (*sales, "b"), (*sales, "a")]
    assert in_store(store, lambda connection: known_keys(connection, wanted)) == {(*first, "a"), (*sales, "b")}


def test_calls_are_asked_for_by_line_in_one_order_and_so_many_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 2)
    keys = [("b", "2"), ("a", "3"), ("a", "1"), ("a", "2"), ("a", "1")]
    assert list(by_line(keys)) == [("a", ["1", "2"]), ("a", ["3"]), ("b", ["2"])]
