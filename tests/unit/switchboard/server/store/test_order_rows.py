"""Standing orders in the store: made, replaced, found, removed."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from tests.unit.switchboard.support import START, a_call

from airflow_openai_realtime.calls.matching import CallMatch
from airflow_openai_realtime.calls.order import MOST_ORDERS, OrderAnswer, OrderDraft
from airflow_openai_realtime.exceptions import InvalidInput, UnknownCall
from airflow_openai_realtime.switchboard.server.store import Store

LATER = START + timedelta(seconds=5)
ANY = {"X-Correlation-Id": "*"}


def draft(name: str = "day", **changes: Any) -> OrderDraft:
    fields: dict[str, Any] = {
        "match": CallMatch(headers=ANY),
        "action": "accept",
        "edition": "e1",
        "answer": OrderAnswer({"instructions": "Hi"}, "Say hello"),
        "max_duration_seconds": 60.0,
    }
    return OrderDraft(name, **{**fields, **changes})


Use = Callable[[], int]


@pytest.fixture
def use(store: Store) -> Use:
    """Lets another call ring; returns how many calls were taken for it."""
    numbers = iter(range(100, 1000))

    def ring() -> int:
        number = next(numbers)
        store.calls.add([a_call(number)])
        return len(store.order_taking.take([("support", f"rtc_{number}")], START, 2.0))

    return ring


def test_an_order_is_found_as_it_was_put(store: Store) -> None:
    put = store.orders.put("support", draft(uses=3, expires_at=LATER, priority=2), START)
    assert store.orders.find("support", "day") == put
    assert (put.uses_left, put.expires_at, put.match, put.created_at) == (3, LATER, CallMatch(headers=ANY), START)
    assert store.orders.answer("support", "day") == (put.revision, OrderAnswer({"instructions": "Hi"}, "Say hello"))


def test_an_order_of_another_line_is_not_there(store: Store) -> None:
    store.orders.put("support", draft(), START)
    with pytest.raises(UnknownCall):
        store.orders.find("sales", "day")
    assert store.orders.all("sales") == []
    assert store.orders.answer("sales", "day") is None
    assert not store.orders.remove("sales", "day")
    assert store.orders.remove("support", "day")
    assert not store.orders.remove("support", "day")


def test_a_replaced_order_keeps_its_age_and_nothing_else(store: Store) -> None:
    first = store.orders.put("support", draft(priority=1, expires_at=LATER), START)
    second = store.orders.put("support", draft(priority=2, answer=OrderAnswer({"instructions": "Ho"})), LATER)
    assert (second.created_at, second.updated_at, second.priority, second.expires_at) == (START, LATER, 2, None)
    assert second.revision != first.revision
    assert [each.name for each in store.orders.all("support")] == ["day"]


def test_the_same_edition_goes_on_counting_uses(store: Store, use: Use) -> None:
    store.orders.put("support", draft(uses=3), START)
    assert use() == 1
    assert store.orders.put("support", draft(uses=3), START).uses_left == 2
    assert store.orders.put("support", draft(uses=5), START).uses_left == 4
    assert store.orders.put("support", draft(uses=1), START).uses_left == 0
    assert use() == 0


def test_another_edition_has_all_its_uses(store: Store, use: Use) -> None:
    store.orders.put("support", draft(uses=1), START)
    assert use() == 1
    assert use() == 0
    assert store.orders.put("support", draft(uses=1, edition="e2"), START).uses_left == 1
    assert use() == 1


def test_open_orders_are_those_that_answer_something(store: Store, use: Use) -> None:
    store.orders.put("support", draft("used", uses=1, priority=9), START)
    use()
    store.orders.put("support", draft("over", expires_at=START), START)
    store.orders.put("support", draft("day"), START)
    store.orders.put("sales", draft("night"), START)
    names = {line: [each.name for each in found] for line, found in store.orders.open(START).items()}
    assert names == {"support": ["day"], "sales": ["night"]}
    assert list(store.orders.open(START, ["sales"])) == ["sales"]
    assert store.orders.open(START, ["other"]) == {}
    assert len(store.orders.all("support")) == 3


def test_a_line_has_so_many_orders_and_no_more(store: Store) -> None:
    for number in range(MOST_ORDERS):
        store.orders.put("support", draft(f"order-{number}"), START)
    with pytest.raises(InvalidInput, match="remove some first"):
        store.orders.put("support", draft("one-more"), START)
    store.orders.put("support", draft("order-0"), START)
    store.orders.put("sales", draft("one-more"), START)


def test_orders_that_expired_long_ago_are_deleted(store: Store) -> None:
    store.orders.put("support", draft("old", expires_at=START), START)
    store.orders.put("support", draft("young", expires_at=LATER), START)
    store.orders.put("support", draft("for-ever"), START)
    assert store.orders.forget_expired(LATER) == 1
    assert [each.name for each in store.orders.all("support")] == ["for-ever", "young"]


def test_many_who_make_the_same_order_at_once_make_one(store: Store) -> None:
    with ThreadPoolExecutor(8) as threads:
        put = list(threads.map(lambda number: store.orders.put("support", draft(priority=number), START), range(8)))
    assert len(put) == 8
    assert len(store.orders.all("support")) == 1
