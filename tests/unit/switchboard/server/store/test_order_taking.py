"""Standing orders take calls: never one call twice, never beyond an order's uses, whichever processes race."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from tests.unit.switchboard.server.store.test_order_rows import draft
from tests.unit.switchboard.support import START, a_call

from airflow_openai_realtime.calls import transitions as moves
from airflow_openai_realtime.calls.call import CallKey
from airflow_openai_realtime.calls.matching import CallMatch
from airflow_openai_realtime.calls.order import OrderAnswer
from airflow_openai_realtime.exceptions import MoveRefused
from airflow_openai_realtime.switchboard.server.store import CallFilter, Store
from airflow_openai_realtime.switchboard.server.store.feed_rows import Cursor
from airflow_openai_realtime.switchboard.server.store.order_taking import Stored, TakenCall
from airflow_openai_realtime.switchboard.server.store.schema.tables import orders

LEASE = 2.0


def ring(store: Store, *numbers: int, **changes: Any) -> list[CallKey]:
    store.calls.add([a_call(number, **changes) for number in numbers])
    return [("support", f"rtc_{number}") for number in numbers]


def take(store: Store, keys: list[CallKey], after_seconds: float = 0) -> list[TakenCall]:
    return store.order_taking.take(keys, START + timedelta(seconds=after_seconds), LEASE)


def test_a_taken_call_is_claimed_has_its_end_and_is_in_the_feed(store: Store) -> None:
    put = store.orders.put("support", draft(uses=2), START)
    (taken,) = take(store, ring(store, 1))
    stored = store.calls.find("support", "rtc_1")
    assert taken.call == stored
    assert (stored.state, stored.claimed_by, stored.claimed_at) == ("claimed", "order:day", START)
    assert stored.hangup_at == START + timedelta(seconds=60)
    assert taken.order == put
    assert taken.answer == OrderAnswer({"instructions": "Hi"}, "Say hello")
    assert store.orders.find("support", "day").uses_left == 1
    page = store.feed.since(Cursor(), START)
    assert page.changes == (("support", "rtc_1"), ("support", "rtc_1"))
    assert take(store, [("support", "rtc_1")]) == []


def test_only_the_answer_of_the_order_that_takes_is_read(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    store.orders.put("support", draft("spoiled", priority=-1), START)
    store.orders.put("support", draft("day"), START)
    broken = orders.update().where(orders.c.name == "spoiled").values({"answer": "[1]"})
    store.database.write(lambda connection: connection.execute(broken).rowcount)
    (taken,) = take(store, ring(store, 1))
    assert taken.answer == OrderAnswer({"instructions": "Hi"}, "Say hello")
    assert len(store_and_take(store, 2).taken) == 1
    assert "order.unreadable" not in caplog.text
    store.orders.remove("support", "day")
    assert take(store, ring(store, 3)) == []
    assert "order.unreadable" in caplog.text


def test_a_call_to_be_declined_gets_no_end(store: Store) -> None:
    store.orders.put("support", draft(action="reject", status_code=486, max_duration_seconds=None), START)
    (taken,) = take(store, ring(store, 1))
    assert (taken.call.state, taken.call.hangup_at) == ("claimed", None)


def test_what_no_order_fits_rings_on(store: Store) -> None:
    store.orders.put("support", draft(match=CallMatch(to="+1800*")), START)
    store.orders.put("sales", draft(), START)
    assert take(store, [*ring(store, 1), ("support", "rtc_nobody_knows")]) == []
    assert store.calls.find("support", "rtc_1").state == "ringing"
    assert take(store, []) == []


def test_a_call_that_rang_out_or_is_somebodys_is_left_alone(store: Store) -> None:
    store.orders.put("support", draft(uses=5), START)
    keys = ring(store, 1, 2)
    store.calls.move("support", "rtc_1", partial(moves.claim, owner="me", now=START), START)
    assert take(store, keys, after_seconds=60) == []
    assert [taken.call.call_id for taken in take(store, keys)] == ["rtc_2"]
    assert store.orders.find("support", "day").uses_left == 4


def test_nobody_else_gets_a_taken_call(store: Store) -> None:
    store.orders.put("support", draft(), START)
    take(store, ring(store, 1))
    with pytest.raises(MoveRefused) as refused:
        store.calls.move("support", "rtc_1", partial(moves.claim, owner="me", now=START), START)
    assert refused.value.code == "claimed_by_other"


def test_when_an_order_is_used_up_the_next_one_answers(store: Store) -> None:
    store.orders.put("support", draft("vip", uses=2, priority=5), START)
    store.orders.put("support", draft("rest", uses=1), START)
    by_order = Counter(taken.call.claimed_by for taken in take(store, ring(store, 1, 2, 3, 4)))
    assert by_order == {"order:vip": 2, "order:rest": 1}


def test_many_workers_take_each_call_once_and_each_use_once(store: Store) -> None:
    store.orders.put("support", draft("few", uses=25, priority=5), START)
    store.orders.put("support", draft("some", uses=10), START)
    keys = ring(store, *range(50))
    together = threading.Barrier(6)

    def worker(number: int) -> list[TakenCall]:
        together.wait()
        mine = keys[number:] + keys[:number]
        return [taken for at in range(0, 50, 5) for taken in take(store, mine[at : at + 5])]

    with ThreadPoolExecutor(6) as threads:
        taken = [each for found in threads.map(worker, range(6)) for each in found]
    assert len({each.call.call_id for each in taken}) == len(taken) == 35
    assert Counter(each.call.claimed_by for each in taken) == {"order:few": 25, "order:some": 10}
    assert [order.uses_left for order in store.orders.all("support")] == [0, 0]


def test_owners_and_orders_that_race_leave_each_call_with_one(store: Store) -> None:
    store.orders.put("support", draft(uses=100), START)
    keys = ring(store, *range(40))
    together = threading.Barrier(4)

    def claim(name: str) -> int:
        together.wait()
        won = 0
        for line, call_id in keys:
            try:
                store.calls.move(line, call_id, partial(moves.claim, owner=name, now=START), START)
            except MoveRefused:
                continue
            won += 1
        return won

    def answer(_: str) -> int:
        together.wait()
        return sum(len(take(store, [key])) for key in keys)

    with ThreadPoolExecutor(4) as threads:
        racing = [threads.submit(work, name) for work, name in ((claim, "a"), (claim, "b"), (answer, ""), (answer, ""))]
        claimed_a, claimed_b, answered, also_answered = (each.result() for each in racing)
    assert claimed_a + claimed_b + answered + also_answered == 40
    assert store.orders.find("support", "day").uses_left == 100 - answered - also_answered


def test_after_its_removal_an_order_takes_nothing(store: Store) -> None:
    store.orders.put("support", draft(), START)
    keys = ring(store, *range(60))
    removed = threading.Event()
    after: list[TakenCall] = []

    def worker() -> None:
        for key in keys:
            was_removed = removed.is_set()
            taken = take(store, [key])
            if was_removed:
                after.extend(taken)

    with ThreadPoolExecutor(2) as threads:
        work = [threads.submit(worker) for _ in range(2)]
        store.orders.remove("support", "day")
        removed.set()
        for each in work:
            each.result()
    assert after == []


def test_ringing_calls_of_some_lines_oldest_first(store: Store) -> None:
    ring(store, 2, at=START + timedelta(seconds=1))
    ring(store, 1)
    ring(store, 3, at=START + timedelta(seconds=2))
    ring(store, 4)
    store.calls.move("support", "rtc_4", partial(moves.claim, owner="me", now=START), START)
    store.calls.add([a_call(5, line="sales")])
    before = START + timedelta(seconds=1)
    assert [call.call_id for call in store.order_taking.ringing(["support"], before, START)] == ["rtc_1", "rtc_2"]
    assert store.order_taking.ringing(["support"], before, START + timedelta(seconds=70)) == []


def test_a_call_whose_worker_fell_silent_is_resumed_by_one(store: Store) -> None:
    store.orders.put("support", draft(), START)
    keys = ring(store, 1)
    take(store, keys)
    later = START + timedelta(seconds=LEASE)
    assert store.order_taking.abandoned(later - timedelta(seconds=0.1)) == []
    assert store.order_taking.abandoned(later) == keys
    with ThreadPoolExecutor(4) as threads:
        resumed = list(threads.map(lambda _: store.order_taking.resume(keys[0], later, LEASE), range(4)))
    (taken,) = [each for each in resumed if each is not None]
    assert taken.order is not None
    assert (taken.order.name, taken.call.claimed_at) == ("day", later)
    assert taken.answer == OrderAnswer({"instructions": "Hi"}, "Say hello")
    assert store.order_taking.abandoned(later) == []


def test_a_renewed_lease_holds(store: Store) -> None:
    store.orders.put("support", draft(), START)
    keys = ring(store, 1, 2)
    take(store, keys)
    store.order_taking.renew(keys[:1], START + timedelta(seconds=1.5), LEASE)
    assert store.order_taking.abandoned(START + timedelta(seconds=3)) == keys[1:]


def test_a_call_of_an_order_that_is_gone_is_resumed_without_it(store: Store) -> None:
    store.orders.put("support", draft(), START)
    (key,) = ring(store, 1)
    take(store, [key])
    store.orders.remove("support", "day")
    taken = store.order_taking.resume(key, START + timedelta(seconds=LEASE), LEASE)
    assert taken is not None
    assert (taken.order, taken.call.claimed_by) == (None, "order:day")


def test_what_was_answered_released_or_claimed_by_a_task_is_not_resumed(store: Store) -> None:
    store.orders.put("support", draft(), START)
    keys = ring(store, 1, 2)
    take(store, keys)
    rule = partial(moves.accepted, owner="order:day", now=START, default_duration_seconds=600)
    store.calls.move("support", "rtc_1", rule, START)
    store.order_taking.release(keys[1])
    (task,) = ring(store, 3)
    store.calls.move(*task, partial(moves.claim, owner="me", now=START), START)
    store.order_taking.renew([task], START, LEASE)
    later = START + timedelta(seconds=100)
    assert store.order_taking.abandoned(later) == []
    assert [store.order_taking.resume(key, later, LEASE) for key in (*keys, task)] == [None, None, None]


def store_and_take(store: Store, *numbers: int, **changes: Any) -> Stored:
    new = [a_call(number, **changes) for number in numbers]
    return store.order_taking.store_and_take(new, {"support", "sales"}, START, LEASE)


def test_a_new_call_is_stored_and_taken_together(store: Store) -> None:
    put = store.orders.put("support", draft(), START)
    stored = store_and_take(store, 1, 2)
    assert stored.added == {("support", "rtc_1"), ("support", "rtc_2")}
    assert (stored.taken.keys(), stored.limited) == (stored.added, set())
    taken = stored.taken["support", "rtc_1"]
    assert taken.call == store.calls.find("support", "rtc_1")
    assert (taken.call.claimed_by, taken.call.hangup_at) == ("order:day", START + timedelta(seconds=60))
    assert (taken.order, taken.answer) == (put, OrderAnswer({"instructions": "Hi"}, "Say hello"))
    assert len(store.feed.since(Cursor(), START).changes) == 2
    assert set(store.order_taking.abandoned(START + timedelta(seconds=LEASE))) == stored.added
    rule = partial(moves.accepted, owner="order:day", now=START, default_duration_seconds=600)
    assert store.calls.move("support", "rtc_1", rule, START).state == "accepted"


def test_only_what_is_new_rings_and_fits_is_taken_as_it_is_stored(store: Store) -> None:
    store.orders.put("support", draft(match=CallMatch(to="+14155550199", headers={"X-Correlation-Id": "*"})), START)
    ring(store, 1)
    fits_not = a_call(2, to_number="+18005550100")
    late = a_call(3, state="missed", ended_at=START)
    other_line = a_call(4, line="sales")
    new = [a_call(1), fits_not, late, other_line]
    stored = store.order_taking.store_and_take(new, {"support", "sales"}, START, LEASE)
    assert len(stored.added) == 3
    assert (stored.taken, stored.limited) == ({}, set())
    assert store.calls.find("support", "rtc_1").claimed_by is None
    assert [call.state for call in store.calls.select("support", CallFilter(), 9, START)] == [
        "ringing",
        "ringing",
        "missed",
    ]


def test_calls_of_lines_that_this_worker_cannot_answer_for_are_only_stored(store: Store) -> None:
    store.orders.put("support", draft(), START)
    store.orders.put("sales", draft(), START)
    stored = store.order_taking.store_and_take([a_call(1), a_call(2, line="sales")], {"support"}, START, LEASE)
    assert len(stored.added) == 2
    assert stored.taken.keys() == {("support", "rtc_1")}
    assert store.calls.find("sales", "rtc_2").state == "ringing"


@pytest.mark.parametrize("action", ["accept", "reject"])
def test_a_call_that_rang_out_before_it_was_stored_is_not_taken(store: Store, action: str) -> None:
    if action == "accept":
        store.orders.put("support", draft(), START)
    else:
        store.orders.put("support", draft(action="reject", status_code=486, max_duration_seconds=None), START)
    late = START + timedelta(seconds=60)
    stored = store.order_taking.store_and_take([a_call(1)], {"support"}, late, LEASE)
    assert (len(stored.added), stored.taken, stored.limited) == (1, {}, set())


@pytest.mark.parametrize("spoiled", [{"conditions": "no JSON"}, {"conditions": '{"unknown": 1}'}, {"answer": "[1]"}])
def test_an_order_that_cannot_be_read_stands_in_nobodys_way(
    store: Store, spoiled: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    store.orders.put("support", draft("spoiled", priority=9), START)
    store.orders.put("support", draft("day"), START)
    (first,) = store_and_take(store, 1).taken.values()
    assert first.call.claimed_by == "order:spoiled"
    broken = orders.update().where(orders.c.name == "spoiled").values(spoiled)
    store.database.write(lambda connection: connection.execute(broken).rowcount)
    assert [each.call.claimed_by for each in store_and_take(store, 2).taken.values()] == ["order:day"]
    assert [each.call.claimed_by for each in take(store, ring(store, 3))] == ["order:day"]
    assert "day" in [order.name for order in store.orders.open(START)["support"]]
    resumed = store.order_taking.resume(("support", "rtc_1"), START + timedelta(seconds=LEASE), LEASE)
    assert resumed is not None
    assert resumed.order is None
    assert "order.unreadable line=support order=spoiled" in caplog.text
    assert "no JSON" not in caplog.text


def test_an_order_with_limited_uses_is_left_to_the_next_transaction(store: Store) -> None:
    store.orders.put("support", draft("few", uses=1, priority=1), START)
    store.orders.put("support", draft("rest"), START)
    stored = store_and_take(store, 1, 2)
    assert (stored.taken, stored.limited) == ({}, stored.added)
    assert store.calls.find("support", "rtc_1").state == "ringing"
    assert store.orders.find("support", "few").uses_left == 1


def test_workers_that_store_the_same_calls_take_each_once(store: Store) -> None:
    store.orders.put("support", draft(), START)
    together = threading.Barrier(4)

    def worker(_: int) -> list[CallKey]:
        together.wait()
        return [key for at in range(0, 40, 4) for key in store_and_take(store, *range(at, at + 4)).taken]

    with ThreadPoolExecutor(4) as threads:
        taken = [key for found in threads.map(worker, range(4)) for key in found]
    assert len(taken) == len(set(taken)) == 40


@pytest.mark.postgres
def test_a_delivery_waits_for_nobody_who_changes_orders(postgres_store: Store) -> None:
    store = postgres_store
    store.orders.put("support", draft(), START)
    with store.database._engine.connect() as other, other.begin():
        other.execute(orders.update().values(priority=1, uses_left=None))
        assert len(store_and_take(store, 1).taken) == 1
    with store.database._engine.connect() as other, other.begin():
        other.execute(orders.delete())
        stored = store_and_take(store, 2)
        assert (len(stored.added), stored.taken) == (1, {})


@pytest.mark.postgres
def test_whoever_removes_an_order_waits_for_calls_that_are_being_taken(postgres_store: Store) -> None:
    store = postgres_store
    store.orders.put("support", draft(), START)
    ring(store, 1)
    with store.database._engine.connect() as other, ThreadPoolExecutor(1) as threads:
        transaction = other.begin()
        store.order_taking._take(other, [("support", "rtc_1")], START, LEASE, {})
        removal = threads.submit(store.orders.remove, "support", "day")
        with pytest.raises(FutureTimeout):
            removal.result(timeout=0.3)
        transaction.commit()
        assert removal.result(timeout=60)
    assert store.calls.find("support", "rtc_1").claimed_by == "order:day"
