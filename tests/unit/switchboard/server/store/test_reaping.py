"""What the reaper asks of the store: which calls are due, and whose they are to end."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial

from tests.unit.switchboard.support import START, a_call

from airflow_openai_realtime.calls import transitions as moves
from airflow_openai_realtime.calls.witnesses import Account
from airflow_openai_realtime.states import EndReason, Witness
from airflow_openai_realtime.switchboard.server.store import OverdueCall, Store

LEASE = 3.0


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def announce(store: Store, number: int = 1, seconds: float = 100) -> None:
    store.calls.add([a_call(number)])
    rule = partial(moves.accepting, owner="me", now=START, max_duration_seconds=seconds)
    store.calls.move("support", f"rtc_{number}", rule, START)


def accept(store: Store, number: int = 1, seconds: float = 100) -> None:
    announce(store, number, seconds)
    rule = partial(moves.accepted, owner="me", now=START, default_duration_seconds=600)
    store.calls.move("support", f"rtc_{number}", rule, START)


def want_end(store: Store, number: int = 1, after_seconds: float = 0.0) -> None:
    rule = partial(moves.want_end, now=START, reason="killed", by="task", after_seconds=after_seconds)
    store.calls.move("support", f"rtc_{number}", rule, START)


def due(store: Store, seconds: float) -> list[str]:
    return [call.call_id for call in store.reaping.overdue(at(seconds))]


def take(store: Store, call: OverdueCall, seconds: float) -> OverdueCall | None:
    return store.reaping.take(call, at(seconds), LEASE)


def test_a_call_is_due_at_its_time_and_the_longest_overdue_comes_first(store: Store) -> None:
    accept(store, 1, seconds=100)
    accept(store, 2, seconds=50)
    announce(store, 3, seconds=70)
    store.calls.add([a_call(4)])
    assert due(store, 49.9) == []
    assert due(store, 50) == ["rtc_2"]
    assert due(store, 100) == ["rtc_2", "rtc_3", "rtc_1"]


def test_a_call_whose_end_is_wanted_is_due_then_and_says_why(store: Store) -> None:
    accept(store)
    want_end(store, after_seconds=60)
    assert due(store, 59) == []
    (call,) = store.reaping.overdue(at(60))
    assert (call.reason, call.by, call.due_at) == ("killed", "task", at(60))
    assert call.account == Account(Witness.API, "killed", "task")


def test_a_call_past_its_time_says_so(store: Store) -> None:
    accept(store)
    (call,) = store.reaping.overdue(at(100))
    assert (call.reason, call.by, call.tries) == (EndReason.MAX_DURATION, "limit", 0)
    assert (call.may_be_accepted, call.maybe_hung_up) == (True, False)


def test_one_worker_has_a_call_until_its_lease_runs_out(store: Store) -> None:
    accept(store)
    (call,) = store.reaping.overdue(at(100))
    assert take(store, call, 100) is not None
    assert take(store, call, 102.9) is None
    assert due(store, 102.9) == []
    again = take(store, call, 103)
    assert again is not None
    assert again.maybe_hung_up  # the worker that is gone may have asked


def test_of_many_workers_one_takes_a_call(store: Store) -> None:
    accept(store)
    (call,) = store.reaping.overdue(at(100))
    with ThreadPoolExecutor(6) as threads:
        taken = list(threads.map(lambda _: take(store, call, 100), range(6)))
    assert sum(each is not None for each in taken) == 1


def test_a_call_that_ended_meanwhile_is_not_taken(store: Store) -> None:
    accept(store)
    (call,) = store.reaping.overdue(at(100))
    store.calls.move("support", "rtc_1", partial(moves.ended, now=at(100), reason="hung_up"), at(100))
    assert take(store, call, 100) is None


def test_after_a_failure_a_call_is_left_alone_for_the_pause_and_its_tries_count(store: Store) -> None:
    accept(store)
    (call,) = store.reaping.overdue(at(100))
    taken = take(store, call, 100)
    assert taken is not None
    store.reaping.postpone(taken, at(100), 8, maybe_hung_up=False)
    assert due(store, 107.9) == []
    (again,) = store.reaping.overdue(at(108))
    assert (again.tries, again.maybe_hung_up) == (1, False)
    taken = take(store, again, 108)
    assert taken is not None
    store.reaping.postpone(taken, at(108), 8)
    (third,) = store.reaping.overdue(at(116))
    assert (third.tries, third.maybe_hung_up) == (2, True)


def test_a_hang_up_that_may_have_been_carried_out_stays_possible(store: Store) -> None:
    accept(store)
    (call,) = store.reaping.overdue(at(100))
    store.reaping.take(call, at(100), LEASE)
    (again,) = store.reaping.overdue(at(103))
    store.reaping.postpone(again, at(103), 1, maybe_hung_up=False)
    assert [each.maybe_hung_up for each in store.reaping.overdue(at(104))] == [True]


def test_a_claim_lapses_when_no_accept_is_announced(store: Store) -> None:
    store.calls.add([a_call(1)])
    announce(store, 2)
    store.calls.move("support", "rtc_1", partial(moves.claim, owner="me", now=START), START)
    assert store.reaping.lapsed(at(9.9), 10) == []
    assert store.reaping.lapsed(at(10), 10) == [("support", "rtc_1")]
    assert store.reaping.lapsed(at(60), 10) == []  # it has rung out


def test_what_rang_out_is_found_and_a_claimed_call_after_a_grace(store: Store) -> None:
    store.calls.add([a_call(1), a_call(2)])
    announce(store, 3)
    store.calls.move("support", "rtc_2", partial(moves.claim, owner="me", now=START), START)
    assert store.reaping.rung_out(at(59.9), 30) == []
    assert store.reaping.rung_out(at(60), 30) == [("support", "rtc_1")]
    assert store.reaping.rung_out(at(90), 30) == [("support", "rtc_1"), ("support", "rtc_2")]


def test_the_result_of_a_call_whose_owner_is_gone_is_written_once_it_is_late(store: Store) -> None:
    accept(store)
    store.conversations.open("support", "rtc_1", "me", START, process="p1")
    store.calls.move("support", "rtc_1", partial(moves.ended, now=at(10), reason="hung_up"), at(10))
    assert store.reaping.write_late_results(at(129)) == []
    assert store.reaping.write_late_results(at(130)) == [("support", "rtc_1")]
    assert store.conversations.find("support", "rtc_1").is_finished
    assert store.reaping.write_late_results(at(131)) == []
