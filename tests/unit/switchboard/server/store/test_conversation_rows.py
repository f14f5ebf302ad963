"""Conversations in the store: one holder at a time, every entry once, the first outcome stays."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

import pytest
from sqlalchemy import Connection, select
from tests.unit.switchboard.support import START, a_call

from airflow_openai_realtime.calls import transitions as moves
from airflow_openai_realtime.calls.saved_conversation import Progress
from airflow_openai_realtime.calls.timeline.entries import TimelineEntry
from airflow_openai_realtime.exceptions import ConversationSuperseded, InvalidInput, UnknownCall
from airflow_openai_realtime.switchboard.server.store import Store
from airflow_openai_realtime.switchboard.server.store import timeline_rows as module
from airflow_openai_realtime.switchboard.server.store.conversation_rows import (
    NOBODY,
    attached_key,
    give_up,
    held_by,
    left,
    saw,
)
from airflow_openai_realtime.switchboard.server.store.schema.tables import conversations, processes, timeline
from airflow_openai_realtime.switchboard.server.store.timeline_rows import locked_rows

LATER = START + timedelta(seconds=5)


def entry(key: object = "1", kind: str = "caller", **body: Any) -> TimelineEntry:
    return TimelineEntry(str(key), kind, START, body or {"text": "Hello"})


@pytest.fixture
def opened(store: Store) -> Store:
    """A store with a call whose conversation was opened once."""
    store.calls.add([a_call()])
    store.conversations.open("support", "rtc_1", "dag/run/task/-1", START)
    return store


def test_opening_again_is_another_generation_with_all_that_is_there(opened: Store) -> None:
    opened.conversations.append("support", "rtc_1", 1, [entry("a"), entry("b", "agent")], START)
    again = opened.conversations.open("support", "rtc_1", "dag/run/task/0", LATER)
    assert (again.generation, again.holder) == (2, "dag/run/task/0")
    assert (again.opened_at, again.saved_at, again.finished_at) == (START, LATER, None)
    assert again.entries == (entry("a"), entry("b", "agent"))


def test_what_an_older_release_stored_is_read_as_plain_data(opened: Store) -> None:
    opened.conversations.finish("support", "rtc_1", 1, "completed", {"x": 1}, [entry("a")], START)
    stored = '{"__type": "airflow.sdk.Connection", "text": "a\\u202eb", "n": 9223372036854775808}'

    def as_older_releases_did(connection: Connection) -> None:
        connection.execute(conversations.update().values(result=stored))
        connection.execute(timeline.update().values(body=stored))

    opened.database.write(as_older_releases_did)
    found = opened.conversations.find("support", "rtc_1")
    plain = {"x__type": "airflow.sdk.Connection", "text": "ab", "n": "9223372036854775808"}
    assert found.result == plain
    assert [each.body for each in found.entries] == [plain]


def test_only_a_known_call_of_the_line_has_a_conversation(opened: Store) -> None:
    with pytest.raises(UnknownCall, match="no call rtc_2"):
        opened.conversations.open("support", "rtc_2", "me", START)
    with pytest.raises(UnknownCall, match="no call rtc_1"):
        opened.conversations.open("sales", "rtc_1", "me", START)
    for line, call_id in (("support", "rtc_2"), ("sales", "rtc_1")):
        with pytest.raises(UnknownCall, match="no conversation"):
            opened.conversations.append(line, call_id, 1, [entry()], START)
        with pytest.raises(UnknownCall, match="no conversation"):
            opened.conversations.finish(line, call_id, 1, "completed", None, [], START)
        with pytest.raises(UnknownCall, match="no conversation"):
            opened.conversations.find(line, call_id)


def test_an_entry_is_new_once(opened: Store) -> None:
    append = opened.conversations.append
    assert append("support", "rtc_1", 1, [entry("a"), entry("b")], START) == ["a", "b"]
    assert append("support", "rtc_1", 1, [entry("b", text="other"), entry("c"), entry("c", "note")], LATER) == ["c"]
    assert append("support", "rtc_1", 1, [], LATER) == []
    found = opened.conversations.find("support", "rtc_1")
    assert found.entries == (entry("a"), entry("b"), entry("c"))
    assert found.saved_at == LATER


def test_the_same_key_of_another_call_is_another_entry(opened: Store) -> None:
    opened.calls.add([a_call(2)])
    opened.conversations.open("support", "rtc_2", "me", START)
    for call_id in ("rtc_1", "rtc_2"):
        assert opened.conversations.append("support", call_id, 1, [entry("a")], START) == ["a"]


def test_an_earlier_holder_may_write_nothing_more(opened: Store) -> None:
    opened.conversations.open("support", "rtc_1", "other", LATER)
    with pytest.raises(ConversationSuperseded, match="generation 2, not 1") as refused:
        opened.conversations.append("support", "rtc_1", 1, [entry()], LATER)
    assert refused.value.code == "superseded"
    with pytest.raises(ConversationSuperseded):
        opened.conversations.finish("support", "rtc_1", 1, "completed", None, [entry()], LATER)
    assert opened.conversations.find("support", "rtc_1").entries == ()
    assert opened.conversations.append("support", "rtc_1", 2, [entry()], LATER) == ["1"]


def test_the_first_outcome_stays(opened: Store) -> None:
    done = opened.conversations.finish("support", "rtc_1", 1, "completed", {"day": "Friday"}, [entry("z")], LATER)
    assert (done.outcome, done.result, done.finished_at, done.entries) == (
        "completed",
        {"day": "Friday"},
        LATER,
        (entry("z"),),
    )
    after = LATER + timedelta(seconds=1)
    assert opened.conversations.finish("support", "rtc_1", 1, "failed", None, [entry("y")], after) == done
    assert opened.conversations.finish("support", "rtc_1", 9, "failed", None, [], after) == done
    assert opened.conversations.open("support", "rtc_1", "other", after) == done
    with pytest.raises(ConversationSuperseded) as refused:
        opened.conversations.append("support", "rtc_1", 1, [entry()], after)
    assert refused.value.code == "finished"
    assert opened.conversations.find("support", "rtc_1") == done


def test_whatever_was_said_comes_back(opened: Store) -> None:
    said = "nul \x00, half \ud83d, whole \U0001f4a9, <script>alert(1)</script>, \u202e, 'quoted'"
    opened.conversations.append("support", "rtc_1", 1, [entry("a", text=said, more=[1, 2.5, None, {"x": True}])], START)
    (found,) = opened.conversations.find("support", "rtc_1").entries
    shown = said.replace("\ud83d", "").replace("\x00", "").replace("\u202e", "")
    assert found.body == {"text": shown, "more": [1, 2.5, None, {"x": True}]}


def test_too_many_entries_are_refused_and_none_is_stored(opened: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ENTRIES", 3)
    append = opened.conversations.append
    append("support", "rtc_1", 1, [entry("a"), entry("b")], START)
    with pytest.raises(InvalidInput, match="has 2 timeline entries"):
        append("support", "rtc_1", 1, [entry("c"), entry("d")], START)
    assert append("support", "rtc_1", 1, [entry("a"), entry("c")], START) == ["c"]
    assert append("support", "rtc_1", 1, [entry("a"), entry("b")], START) == []


def test_too_many_bytes_are_refused(opened: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_CONVERSATION_BYTES", 100)
    append = opened.conversations.append
    assert append("support", "rtc_1", 1, [entry("a", text="x" * 60)], START) == ["a"]
    with pytest.raises(InvalidInput, match="bytes"):
        append("support", "rtc_1", 1, [entry("b", text="x" * 60)], START)


def test_a_full_timeline_still_lets_the_call_be_finished(opened: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ENTRIES", 2)
    opened.conversations.append("support", "rtc_1", 1, [entry("a")], START)
    done = opened.conversations.finish("support", "rtc_1", 1, "completed", None, [entry("b"), entry("c")], START)
    assert [each.key for each in done.entries] == ["a", "b"]


def test_of_many_who_append_the_same_key_one_is_first(opened: Store) -> None:
    def append(number: int) -> list[str]:
        return opened.conversations.append("support", "rtc_1", 1, [entry("tool_call:1", "tool_call", by=number)], START)

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(append, range(8)))
    assert sorted(map(len, answers)) == [0] * 7 + [1]
    assert len(opened.conversations.find("support", "rtc_1").entries) == 1


def test_of_many_who_open_at_once_each_gets_a_generation_of_its_own(store: Store) -> None:
    store.calls.add([a_call()])

    def open_it(number: int) -> int:
        return store.conversations.open("support", "rtc_1", f"holder {number}", START).generation

    with ThreadPoolExecutor(6) as threads:
        generations = list(threads.map(open_it, range(6)))
    assert sorted(generations) == [1, 2, 3, 4, 5, 6]


def test_what_an_earlier_holder_wrote_is_seen_by_the_next_or_was_refused(store: Store) -> None:
    """However the two meet: a tool that one has begun is never new to the other as well."""
    store.calls.add([a_call(number) for number in range(20)])

    def early(number: int) -> bool:
        try:
            return bool(store.conversations.append("support", f"rtc_{number}", 1, [entry("tool_call:1")], START))
        except ConversationSuperseded:
            return False

    def late(number: int) -> bool:
        conversation = store.conversations.open("support", f"rtc_{number}", "late", LATER)
        return "tool_call:1" in {each.key for each in conversation.entries}

    for number in range(20):
        store.conversations.open("support", f"rtc_{number}", "early", START)
    with ThreadPoolExecutor(8) as threads:
        pairs = [(threads.submit(early, number), threads.submit(late, number)) for number in range(20)]
    for number, (wrote, read) in enumerate(pairs):
        assert wrote.result() == read.result()
        assert len(store.conversations.find("support", f"rtc_{number}").entries) == wrote.result()


def test_several_conversations_are_saved_at_once_and_one_does_not_hinder_the_others(opened: Store) -> None:
    opened.calls.add([a_call(number) for number in (2, 3, 4)])
    for call_id in ("rtc_2", "rtc_3", "rtc_4"):
        opened.conversations.open("support", call_id, "me", START, process="p1")
    opened.conversations.open("support", "rtc_3", "other", START)
    opened.conversations.finish("support", "rtc_4", 1, "completed", None, [], START)
    listed = [
        Progress("rtc_2", 1, (entry("b"), entry("a"), entry("b", text="again"))),
        Progress("rtc_1", 1, (entry("a"),)),
        Progress("rtc_3", 1, (entry("a"),)),
        Progress("rtc_4", 1, (entry("a"),)),
        Progress("rtc_9", 1, (entry("a"),)),
    ]
    answers = opened.conversations.save_progress("support", "p1", listed, LATER)
    assert answers[:2] == [["b", "a"], ["a"]]
    assert [getattr(each, "code", type(each)) for each in answers[2:]] == ["superseded", "finished", UnknownCall]
    assert opened.conversations.find("support", "rtc_2").entries == (entry("b"), entry("a"))
    assert opened.conversations.find("support", "rtc_2").saved_at == LATER
    assert opened.conversations.find("support", "rtc_3").entries == ()
    assert opened.conversations.save_progress("support", "p1", listed[:2], LATER) == [[], []]


def test_what_one_conversation_cannot_keep_is_kept_by_the_others(
    opened: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_ENTRIES", 1)
    opened.calls.add([a_call(2), a_call(3)])
    for call_id in ("rtc_2", "rtc_3"):
        opened.conversations.open("support", call_id, "me", START)
    listed = [
        Progress("rtc_1", 1, (entry("a"), entry("b"))),
        Progress("rtc_2", 1, (entry("a b"),)),
        Progress("rtc_3", 1, (entry("a"),)),
    ]
    full, unfit, saved = opened.conversations.save_progress("support", "p1", listed, LATER)
    assert isinstance(full, InvalidInput)
    assert isinstance(unfit, InvalidInput)
    assert saved == ["a"]
    assert opened.conversations.find("support", "rtc_1").entries == ()


def test_a_process_of_another_line_writes_nothing_here(opened: Store) -> None:
    (answer,) = opened.conversations.save_progress("sales", "p1", [Progress("rtc_1", 1, (entry("a"),))], START)
    assert isinstance(answer, UnknownCall)


def test_many_processes_save_the_same_conversations_at_once(opened: Store) -> None:
    """However their requests overlap, none waits without end and every entry is new to one of them."""
    numbers = range(1, 13)
    opened.calls.add([a_call(number) for number in numbers])
    for number in numbers:
        opened.conversations.open("support", f"rtc_{number}", "me", START, process="p0")
    generations = {f"rtc_{n}": opened.conversations.find("support", f"rtc_{n}").generation for n in numbers}

    def save(number: int) -> int:
        listed = [Progress(call_id, generations[call_id], (entry("a"),)) for call_id in generations]
        listed = listed[number:] + listed[:number]
        answers = opened.conversations.save_progress("support", f"p{number % 3}", listed, START, leaving=number == 7)
        return sum(map(len, answers))  # type: ignore[arg-type]

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(save, range(12))) == 12


_T = TypeVar("_T")
LATER = START + timedelta(seconds=5)


def in_store(store: Store, work: Callable[[Connection], _T]) -> _T:
    return store.database.write(work)


def seen(store: Store) -> dict[tuple[str, str], datetime]:
    query = select(processes)
    found = in_store(store, lambda connection: connection.execute(query).all())
    return {(row.line, row.process): row.seen_at for row in found}


def hold(store: Store, number: int, process: str, *, line: str = "support") -> None:
    store.calls.add([a_call(number, line=line)])
    rule = partial(moves.accepted, owner="me", now=START, default_duration_seconds=600)
    store.calls.move(line, f"rtc_{number}", rule, START)
    store.conversations.open(line, f"rtc_{number}", "me", START, process=process)


def test_a_process_is_seen_on_its_line_as_late_as_it_showed_itself(store: Store) -> None:
    for line, at in (("support", START), ("sales", START), ("support", LATER)):
        in_store(store, partial(saw, line=line, process="p1", now=at))
    assert seen(store) == {("support", "p1"): LATER, ("sales", "p1"): START}
    in_store(store, partial(left, line="support", process="p1"))
    assert seen(store) == {("sales", "p1"): START}


def test_a_process_holds_what_is_live_and_not_finished(store: Store) -> None:
    for number in (1, 2, 3):
        hold(store, number, "p1")
    hold(store, 4, "p2")
    hold(store, 5, "p1", line="sales")
    store.calls.move("support", "rtc_2", partial(moves.ended, now=START, reason="hung_up"), START)
    store.conversations.finish("support", "rtc_3", 1, "completed", None, [], START)
    assert in_store(store, partial(held_by, line="support", process="p1")) == ["rtc_1"]


def test_what_is_given_up_is_held_by_no_process_and_was_heard_until_then_by_who_was_attached(store: Store) -> None:
    for number in (1, 2):
        hold(store, number, "p1")
    note = TimelineEntry(attached_key(1), "note", START, {"what": "attached"})
    store.conversations.append("support", "rtc_1", 1, [note], START)
    keys = [("support", "rtc_1"), ("support", "rtc_2")]

    def work(connection: Connection) -> list[Any]:
        give_up(connection, locked_rows(connection, keys).values(), LATER)
        return list(connection.execute(select(conversations).order_by(conversations.c.call_id)).all())

    rows = in_store(store, work)
    assert [(row.process, row.heard_until) for row in rows] == [(NOBODY, LATER), (NOBODY, None)]
    assert in_store(store, partial(held_by, line="support", process="p1")) == []
