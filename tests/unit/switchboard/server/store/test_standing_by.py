"""Which conversations have no listener, who may listen, and what is written: with each kind of database."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from tests.unit.switchboard.support import START, a_call

from airflow_openai_realtime.calls import transitions as moves
from airflow_openai_realtime.calls.saved_conversation import Progress
from airflow_openai_realtime.calls.timeline.entries import TimelineEntry
from airflow_openai_realtime.calls.witnesses import Account
from airflow_openai_realtime.states import EndReason, Witness
from airflow_openai_realtime.switchboard.server.store import Store, timeline_rows
from airflow_openai_realtime.switchboard.server.store import conversation_rows as conversations
from airflow_openai_realtime.switchboard.server.store.standing_by import Heard, Lease, Leave, Standing
from airflow_openai_realtime.switchboard.server.store.timeline_rows import known_keys


def lease(worker: str = "w1", silent_after: float = 2.0) -> Lease:
    return Lease(worker, seconds=3.0, rest_seconds=30.0, silent_after=silent_after)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def key(number: int, line: str = "support") -> tuple[str, str]:
    return line, f"rtc_{number}"


def entry(name: str, kind: str = "caller", when: datetime = START, **body: Any) -> TimelineEntry:
    return TimelineEntry(name, kind, when, body or {"text": "Hello"})


def hold(
    store: Store, number: int = 1, *, line: str = "support", process: str | None = "p1", attach: bool = True
) -> None:
    """An accepted call whose holder is attached."""
    store.calls.add([a_call(number, line=line)])
    rule = partial(moves.accepted, owner="me", now=START, default_duration_seconds=600)
    store.calls.move(line, f"rtc_{number}", rule, START)
    store.conversations.open(line, f"rtc_{number}", "me", START, process=process)
    if attach:
        attached(store, number, line=line)


def attached(store: Store, number: int = 1, generation: int = 1, *, line: str = "support") -> None:
    note = entry(f"note:attached:{generation}:1", "note", what="attached")
    store.conversations.append(line, f"rtc_{number}", generation, [note], START)


def heard(number: int = 1, *entries: TimelineEntry, until: datetime | None = None, leave: Leave = Leave.KEEP) -> Heard:
    return Heard("support", f"rtc_{number}", entries, until, leave)


@pytest.mark.parametrize(("silent", "outcome"), [(8, "killed"), (3, None)])
def test_a_killed_call_s_result_is_written_with_its_end_unless_its_holder_is_there_to_write_it(
    store: Store, silent: float, outcome: str | None
) -> None:
    hold(store)
    killed = partial(moves.ended, now=at(silent), reason=Account(Witness.API, EndReason.KILLED, "me"))
    store.calls.move("support", "rtc_1", killed, at(silent))
    assert store.conversations.find("support", "rtc_1").outcome == outcome


def test_a_process_is_silent_after_its_time_and_not_a_moment_earlier(store: Store) -> None:
    hold(store)
    silent = store.standing_by.silent
    assert silent(lease(), at(1.99)) == []
    assert silent(lease(), at(2)) == [key(1)]
    store.conversations.save_progress("support", "p1", [], at(1.5))
    assert silent(lease(), at(3.4)) == []
    assert silent(lease(), at(3.5)) == [key(1)]
    assert silent(lease(silent_after=10), at(3.5)) == []
    store.conversations.save_progress("support", "p1", [], at(3.5), leaving=True)
    assert silent(lease(), at(3.5)) == [key(1)]
    store.conversations.save_progress("support", "p1", [], at(3.5))
    assert silent(lease(), at(3.5)) == [key(1)], "what was given up has no owner, whatever becomes of the process"
    store.conversations.open("support", "rtc_1", "me", at(3.5), process="p1")
    assert silent(lease(), at(3.5)) == []


def test_who_leaves_gives_up_nothing_that_another_has_opened_meanwhile(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold(store)
    store.conversations.open("support", "rtc_1", "me", at(1), process="p2")
    # What it held is read before the rows are locked: here as it was before the other one came.
    monkeypatch.setattr(conversations, "held_by", lambda *_: ["rtc_1"])
    store.conversations.save_progress("support", "p1", [], at(1.5), leaving=True)
    assert store.standing_by.silent(lease(), at(2)) == []
    assert store.standing_by.silent(lease(), at(3)) == [key(1)]


def test_a_process_of_another_line_is_another_process(store: Store) -> None:
    hold(store)
    hold(store, line="sales")
    store.conversations.save_progress("sales", "p1", [], at(5))
    assert store.standing_by.silent(lease(), at(5)) == [key(1)]


def test_only_live_conversations_with_a_process_are_stood_by_for(store: Store) -> None:
    for number in (1, 2, 3):
        hold(store, number)
    hold(store, 4, process=None)
    store.calls.add([a_call(5)])
    store.conversations.open("support", "rtc_5", "me", START, process="p1")
    store.calls.move("support", "rtc_1", partial(moves.ended, now=START, reason="hung_up"), START)
    store.conversations.finish("support", "rtc_2", 1, "completed", None, [], START)
    assert store.standing_by.silent(lease(), at(60)) == [key(3)]
    assert [each.key for each in store.standing_by.take([key(2), key(3), key(9)], lease(), at(60))] == [key(3)]


def test_what_is_taken_says_what_is_known_of_the_call(store: Store) -> None:
    hold(store, 1)
    hold(store, 2, attach=False)
    pressed = entry("key:1:5:1", "key", at(0.5), key="5")
    store.conversations.append("support", "rtc_1", 1, [pressed, entry("a", when=at(1))], at(1))
    first, second = store.standing_by.take([key(1), key(2)], lease(), at(10))
    assert (first.generation, first.was_attached, first.pressed) == (1, True, frozenset({"key:1:5:1"}))
    assert (second.generation, second.was_attached, second.pressed) == (1, False, frozenset())
    assert first.unheard_since == at(1), "the last that was said"
    assert second.unheard_since == START
    assert "key:1" not in repr(first)


def test_a_process_that_was_seen_has_heard_until_shortly_before(store: Store) -> None:
    hold(store)
    store.conversations.save_progress("support", "p1", [], at(20))
    (taken,) = store.standing_by.take([key(1)], lease(), at(23))
    assert taken.unheard_since == at(19)


def test_what_a_process_gives_up_it_has_heard_until_then(store: Store) -> None:
    hold(store, 1)
    hold(store, 2)
    store.conversations.save_progress("support", "p1", [Progress("rtc_1", 1, given_up=True)], at(20))
    (taken,) = store.standing_by.take([key(1), key(2)], lease(), at(21))
    assert (taken.key, taken.unheard_since) == (key(1), at(20))
    store.conversations.save_progress("support", "p1", [], at(30), leaving=True)
    (taken,) = store.standing_by.take([key(2)], lease(), at(31))
    assert taken.unheard_since == at(30)
    assert store.conversations.find("support", "rtc_2").heard_until == at(30)


@pytest.mark.parametrize("leaving", [True, False])
def test_a_holder_that_was_never_attached_has_heard_nothing(store: Store, leaving: bool) -> None:
    hold(store, 1, attach=False)
    listed = [] if leaving else [Progress("rtc_1", 1, given_up=True)]
    store.conversations.save_progress("support", "p1", listed, at(20), leaving=leaving)
    (taken,) = store.standing_by.take([key(1)], lease(), at(21))
    assert (taken.unheard_since, taken.was_attached) == (START, False)


def test_a_process_that_was_seen_but_not_attached_has_heard_nothing(store: Store) -> None:
    hold(store, attach=False)
    store.conversations.save_progress("support", "p1", [], at(20))
    (taken,) = store.standing_by.take([key(1)], lease(), at(23))
    assert taken.unheard_since == START


def test_who_was_superseded_gives_up_nothing(store: Store) -> None:
    hold(store)
    store.conversations.open("support", "rtc_1", "other", at(1), process="p2")
    store.conversations.save_progress("support", "p1", [Progress("rtc_1", 1, given_up=True)], at(1), leaving=True)
    assert store.standing_by.silent(lease(), at(2)) == []


def test_of_many_workers_one_gets_each_conversation(store: Store) -> None:
    for number in range(12):
        hold(store, number)
    keys = [key(number) for number in range(12)]

    def take(number: int) -> list[tuple[str, str]]:
        mine = keys[number:] + keys[:number]
        return [each.key for each in store.standing_by.take(mine, lease(f"w{number}"), at(5))]

    with ThreadPoolExecutor(6) as threads:
        taken = [each for some in threads.map(take, range(6)) for each in some]
    assert sorted(taken) == sorted(keys)


def test_a_lease_holds_its_time_and_is_renewed_by_writing(store: Store) -> None:
    hold(store)
    assert store.standing_by.take([key(1)], lease(), at(5))
    assert store.standing_by.take([key(1)], lease("w2"), at(7.9)) == []
    assert store.standing_by.hold([heard(1, entry("a"), until=at(7))], lease(), at(7.9)) == {
        key(1): (Standing.ALONE, 1)
    }
    assert store.standing_by.silent(lease("w2"), at(10.8)) == []
    # Past its time it is still the first one's, until another takes it.
    assert store.standing_by.hold([heard(1, until=at(20))], lease(), at(20))[key(1)] == (Standing.ALONE, 1)
    assert store.standing_by.take([key(1)], lease("w2"), at(23))
    assert store.standing_by.hold([heard(1, entry("b"), until=at(24))], lease(), at(24))[key(1)] == (Standing.LOST, 1)
    kept = store.conversations.find("support", "rtc_1")
    assert [each.key for each in kept.entries] == ["note:attached:1:1", "a"]
    assert (kept.heard_until, kept.saved_at) == (at(20), at(7.9))


def test_writing_needs_no_generation_and_superseeds_nobody(store: Store) -> None:
    hold(store)
    store.standing_by.take([key(1)], lease(), at(5))
    opened = store.conversations.open("support", "rtc_1", "other", at(6), process="p2")
    assert opened.generation == 2
    answer = store.standing_by.hold([heard(1, entry("a"), entry("a", text="again"), until=at(6))], lease(), at(6))
    assert answer == {key(1): (Standing.ALONE, 2)}
    assert store.conversations.append("support", "rtc_1", 2, [entry("a"), entry("b")], at(6)) == ["b"]
    assert store.standing_by.hold([heard(1, entry("b"))], lease(), at(6)) == {key(1): (Standing.ALONE, 2)}
    attached(store, 1, 2)
    assert store.standing_by.hold([heard(1)], lease(), at(6)) == {key(1): (Standing.HELD, 2)}
    kept = store.conversations.find("support", "rtc_1")
    assert [each.key for each in kept.entries] == ["note:attached:1:1", "a", "b", "note:attached:2:1"]
    assert kept.heard_until == at(6)


def test_how_a_conversation_is(store: Store) -> None:
    for number in range(1, 6):
        hold(store, number, process=f"p{number}")
    keys = [key(number) for number in range(1, 6)]
    assert len(store.standing_by.take(keys, lease(), at(5))) == 5
    # The holder of the third is alive, and has yet to write the result of its call, which is over.
    for process in ("p2", "p3"):
        store.conversations.save_progress("support", process, [], at(6))
    store.calls.move("support", "rtc_3", partial(moves.ended, now=at(6), reason="hung_up"), at(6))
    done = store.conversations.finish("support", "rtc_4", 1, "completed", None, [], at(6))
    store.standing_by.hold([heard(5, leave=Leave.RELEASE)], lease(), at(6))
    answers = store.standing_by.hold([heard(n, entry("a"), until=at(6)) for n in (5, 4, 3, 2, 1)], lease(), at(6))
    assert {number: answers[key(number)][0] for number in range(1, 6)} == {
        1: Standing.ALONE,
        2: Standing.HELD,
        3: Standing.OVER,
        4: Standing.FINISHED,
        5: Standing.LOST,
    }
    assert store.conversations.find("support", "rtc_4") == done
    assert "a" in {each.key for each in store.conversations.find("support", "rtc_3").entries}


def test_a_lease_that_is_given_up_is_another_workers_at_once_and_a_rest_is_nobodys(store: Store) -> None:
    hold(store, 1)
    hold(store, 2)
    store.standing_by.take([key(1), key(2)], lease(), at(5))
    store.standing_by.hold([heard(1, leave=Leave.RELEASE), heard(2, leave=Leave.REST)], lease(), at(6))
    assert store.standing_by.silent(lease("w2"), at(6)) == [key(1)]
    assert store.standing_by.take([key(2)], lease("w2"), at(35.9)) == []
    assert store.standing_by.take([key(2)], lease("w2"), at(36))


def test_opening_anew_keeps_what_is_known_of_the_listening(store: Store) -> None:
    hold(store)
    store.standing_by.take([key(1)], lease(), at(5))
    store.standing_by.hold([heard(1, until=at(6))], lease(), at(6))
    assert store.conversations.open("support", "rtc_1", "other", at(7), process="p2").heard_until == at(6)
    assert store.standing_by.hold([heard(1, until=at(7))], lease(), at(7))[key(1)] == (Standing.ALONE, 2)
    # What was listened to does not become less.
    store.standing_by.hold([heard(1, until=at(4))], lease(), at(7))
    assert store.conversations.find("support", "rtc_1").heard_until == at(7)


def test_a_full_timeline_takes_what_fits_and_the_lease_goes_on(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline_rows, "MOST_ENTRIES", 2)
    hold(store)
    store.standing_by.take([key(1)], lease(), at(5))
    assert store.standing_by.hold([heard(1, entry("a"), entry("b"))], lease(), at(6))[key(1)][0] is Standing.ALONE
    assert [each.key for each in store.conversations.find("support", "rtc_1").entries] == ["note:attached:1:1", "a"]


def test_many_conversations_are_written_with_few_statements(store: Store) -> None:
    for number in range(60):
        hold(store, number)
    keys = [key(number) for number in range(60)]
    assert len(store.standing_by.take(keys, lease(), at(5))) == 60
    listed = [heard(number, entry("a"), entry("b"), until=at(6)) for number in range(60)]
    statements = 0

    def count(*_: Any) -> None:
        nonlocal statements
        statements += 1

    from sqlalchemy import event

    engine = store.database._engine
    event.listen(engine, "before_cursor_execute", count)
    try:
        assert len(store.standing_by.hold(listed, lease(), at(6))) == 60
    finally:
        event.remove(engine, "before_cursor_execute", count)
    assert statements <= 12
    assert all(len(store.conversations.find("support", f"rtc_{number}").entries) == 3 for number in range(60))


def test_more_than_a_statement_takes_is_looked_for(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline_rows, "AT_ONCE", 2)
    monkeypatch.setattr(timeline_rows, "KEYS_AT_ONCE", 2)
    for line in ("support", "sales"):
        for number in range(5):
            hold(store, number, line=line)
    keys = [key(number, line) for line in ("support", "sales") for number in range(6)]
    taken = store.standing_by.take(keys, lease(), at(5))
    assert sorted(each.key for each in taken) == sorted(each for each in keys if each[1] != "rtc_5")
    assert all(each.was_attached for each in taken)
    store.conversations.append("support", "rtc_1", 1, [entry("a")], at(6))
    wanted = [(*each, name) for each in keys for name in ("note:attached:1:1", "a")]
    found = store.database.read(lambda connection: known_keys(connection, wanted))
    assert found == {(*each.key, "note:attached:1:1") for each in taken} | {(*key(1), "a")}


def test_no_table_is_read_from_end_to_end_on_sqlite(sqlite_store: Store) -> None:
    """Rows of calls that are over are many; the store's one writer must not wait for them."""
    from sqlalchemy import event

    store, plans = sqlite_store, []

    def explain(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        if statement.startswith("SELECT"):
            other = connection.connection.cursor()
            plans.extend(str(row[3]) for row in other.execute(f"EXPLAIN QUERY PLAN {statement}", parameters))

    for number in range(3):
        hold(store, number)
    keys = [key(number) for number in range(3)]
    event.listen(store.database._engine, "before_cursor_execute", explain)
    assert store.standing_by.silent(lease(), at(5)) == keys
    assert len(store.standing_by.take(keys, lease(), at(5))) == 3
    store.standing_by.hold([heard(number, entry("a")) for number in range(3)], lease(), at(5))
    listed = [Progress(f"rtc_{number}", 1, (entry("b"),)) for number in range(3)]
    store.conversations.save_progress("support", "p1", listed, at(5))
    store.conversations.save_progress("support", "p1", [], at(5), leaving=True)
    event.remove(store.database._engine, "before_cursor_execute", explain)
    assert len(plans) > 10
    assert not [plan for plan in plans if plan.startswith("SCAN openai")]
    of_timeline = [plan for plan in plans if "openai_realtime_timeline" in plan]
    assert all("line=? AND call_id=?" in plan for plan in of_timeline)


def test_several_workers_and_processes_write_at_once(store: Store) -> None:
    """However their transactions meet, none fails and every entry is written once."""
    for number in range(10):
        hold(store, number, process=f"p{number % 2}")
    keys = [key(number) for number in range(10)]
    assert len(store.standing_by.take(keys, lease(), at(5))) == 10

    def worker(turn: int) -> None:
        mine = [heard(number, entry(f"k{turn}"), until=at(6)) for number in (*range(turn, 10), *range(turn))]
        store.standing_by.hold(mine, lease(), at(6))

    def process(turn: int) -> None:
        listed = [Progress(f"rtc_{number}", 1, (entry(f"k{turn}"),)) for number in reversed(range(10))]
        store.conversations.save_progress("support", f"p{turn % 2}", listed, at(6), leaving=turn % 3 == 0)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda turn: (worker if turn % 2 else process)(turn), range(16)))
    for number in range(10):
        keys_of = [each.key for each in store.conversations.find("support", f"rtc_{number}").entries]
        assert sorted(keys_of) == sorted(["note:attached:1:1", *(f"k{turn}" for turn in range(16))])
