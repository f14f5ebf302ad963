"""Deleting old rows, on both databases."""

from __future__ import annotations

from datetime import datetime, timedelta
from threading import Event, Thread

import pytest
from sqlalchemy import Table, func, select, text
from tests.unit.switchboard.support import START, a_call

from airflow_openai_realtime.calls import transitions as moves
from airflow_openai_realtime.calls.call import SwitchboardCall
from airflow_openai_realtime.calls.timeline.entries import TimelineEntry
from airflow_openai_realtime.switchboard.server.store import CallFilter, Store
from airflow_openai_realtime.switchboard.server.store import old_rows as module
from airflow_openai_realtime.switchboard.server.store.feed_rows import WIDEST_LOOK_BACK, Cursor
from airflow_openai_realtime.switchboard.server.store.schema.tables import attempts, conversations, feed, timeline

LATER = START + timedelta(days=40)
BEFORE = LATER - timedelta(days=30)


def ended(store: Store, number: int, at: datetime) -> None:
    def rule(call: SwitchboardCall) -> moves.Change:
        return moves.ended(call, at, "hung_up")

    store.calls.move("support", f"rtc_{number}", rule, at)


def stored(store: Store) -> list[str]:
    return [call.call_id for call in store.calls.select("support", CallFilter(), 1000, LATER)]


def test_only_calls_that_were_over_long_ago_are_deleted(store: Store) -> None:
    store.calls.add([a_call(number) for number in range(6)])
    store.calls.move("support", "rtc_0", lambda call: moves.missed(call, LATER, 0), LATER)
    ended(store, 1, BEFORE + timedelta(seconds=1))
    ended(store, 2, BEFORE)
    ended(store, 3, START)
    store.calls.move("support", "rtc_4", lambda call: moves.accepted(call, "me", START, 600), START)
    assert store.old_rows.delete_calls(BEFORE, 100) == 2
    assert stored(store) == ["rtc_0", "rtc_1", "rtc_4", "rtc_5"]


def said(store: Store, number: int, at: datetime, amount: int = 3) -> None:
    store.conversations.open("support", f"rtc_{number}", "me", at)
    entries = [TimelineEntry(str(each), "caller", at, {"text": "Hello"}) for each in range(amount)]
    store.conversations.finish("support", f"rtc_{number}", 1, "completed", {"day": "Friday"}, entries, at)


def amount_of(store: Store, table: Table) -> int:
    query = select(func.count()).select_from(table)
    return int(store.database.read(lambda connection: connection.execute(query).scalar()) or 0)


def test_a_call_goes_with_its_conversation(store: Store) -> None:
    store.calls.add([a_call(number) for number in range(2)])
    for number in range(2):
        said(store, number, START)
        ended(store, number, START + number * (LATER - START))
    assert store.old_rows.delete_calls(BEFORE, 100) == 1
    assert (amount_of(store, conversations), amount_of(store, timeline)) == (1, 3)
    assert store.conversations.find("support", "rtc_1").outcome == "completed"


def test_what_was_said_long_ago_is_forgotten_and_its_outcome_stays(store: Store) -> None:
    store.calls.add([a_call(number) for number in range(4)])
    for number in range(3):
        said(store, number, START)
    said(store, 3, LATER)
    assert [store.old_rows.blank_conversations(BEFORE, 5) for _ in range(4)] == [1, 1, 1, 0]
    assert amount_of(store, timeline) == 3
    old, young = store.conversations.find("support", "rtc_0"), store.conversations.find("support", "rtc_3")
    assert (old.outcome, old.result, old.entries) == ("completed", None, ())
    assert (young.result, len(young.entries)) == ({"day": "Friday"}, 3)


def test_several_short_conversations_are_forgotten_in_one_batch(store: Store) -> None:
    store.calls.add([a_call(number) for number in range(4)])
    for number in range(4):
        said(store, number, START, amount=number)
    assert [store.old_rows.blank_conversations(BEFORE, 4) for _ in range(3)] == [3, 1, 0]


def test_a_batch_is_no_larger_than_asked_for_and_the_rest_follows(store: Store) -> None:
    store.calls.add([a_call(number, state="missed", ended_at=START) for number in range(5)])
    assert [store.old_rows.delete_calls(BEFORE, 2) for _ in range(4)] == [2, 2, 1, 0]


def test_the_end_of_the_feed_stays_so_that_no_reader_is_sent_back(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WIDEST_LOOK_BACK", 10)
    store.calls.add([a_call(number) for number in range(25)])
    end = store.feed.end(START)
    assert [store.old_rows.delete_feed(BEFORE, 10) for _ in range(3)] == [10, 5, 0]
    assert store.feed.end(START).high == end.high == 25
    assert store.feed.since(Cursor(high=25), LATER).changes == ()
    changes = store.calls.changes("support", CallFilter(), Cursor(high=25), LATER)
    assert (changes.calls, changes.cursor.high) == ((), 25)


def test_young_rows_of_the_feed_stay(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WIDEST_LOOK_BACK", 0)
    store.calls.add([a_call(1)])
    store.calls.add([a_call(2, at=LATER)])
    assert store.old_rows.delete_feed(BEFORE, 10) == 1
    seqs = store.database.read(lambda connection: connection.execute(select(feed.c.call_id)).scalars().all())
    assert seqs == ["rtc_2"]
    assert WIDEST_LOOK_BACK > 10


def test_the_number_of_an_old_attempt_is_forgotten_and_its_phone_stays_guarded(store: Store) -> None:
    old = store.attempts.reserve("support", "spring", "ann", 1, "+14155550123", START)
    store.attempts.reserve("support", "spring", "bob", 1, "+14155550124", LATER)
    assert store.old_rows.blank_numbers(BEFORE, 10) == 1
    assert store.old_rows.blank_numbers(BEFORE, 10) == 0
    again = store.attempts.reserve("support", "spring", "ann", 1, "+14155550123", LATER)
    assert (again.created, again.to_number, again.attempt_id) == (False, None, old.attempt_id)
    assert store.attempts.reserve("support", "spring", "bob", 1, "x", LATER).to_number == "+14155550124"


def test_attempts_are_deleted_only_when_they_have_not_changed_for_long(store: Store) -> None:
    moved = store.attempts.reserve("support", "spring", "ann", 1, "+14155550123", START)
    store.attempts.move("support", moved.attempt_id, "reserved", "dialing", "me", {}, LATER)
    for contact in "bc":
        store.attempts.reserve("support", "spring", contact, 1, "+14155550123", START)
    assert [store.old_rows.delete_attempts(BEFORE, 1) for _ in range(3)] == [1, 1, 0]
    assert store.database.read(lambda c: c.execute(select(func.count()).select_from(attempts)).scalar()) == 1


@pytest.mark.postgres
def test_while_one_process_deletes_another_does_not(postgres_store: Store) -> None:
    postgres_store.calls.add([a_call(number, state="missed", ended_at=START) for number in range(5)])
    other = Store(postgres_store.database.url.render_as_string(hide_password=False))
    other.prepare()
    locked, done = Event(), Event()

    def hold() -> None:
        def work(connection: object) -> None:
            connection.execute(text(f"SELECT pg_advisory_xact_lock({module._LOCK_NUMBER})"))  # type: ignore[attr-defined]
            locked.set()
            assert done.wait(60)

        other.database.write(work)

    thread = Thread(target=hold)
    thread.start()
    assert locked.wait(60)
    try:
        assert postgres_store.old_rows.delete_calls(BEFORE, 10) == 0
    finally:
        done.set()
        thread.join()
    assert postgres_store.old_rows.delete_calls(BEFORE, 10) == 5
    other.close()
