"""The page of recent calls, on both databases."""

from __future__ import annotations

from datetime import timedelta

from tests.unit.switchboard.support import START, a_call

from airflow_openai_realtime.calls import transitions as moves
from airflow_openai_realtime.calls.recent import Place, RecentPage
from airflow_openai_realtime.switchboard.server.store import Store


def ids(page: RecentPage) -> list[str]:
    return [each.call.call_id for each in page.calls]


def a_past(number: int, *, line: str = "support", minutes: int = 0) -> object:
    at = START - timedelta(minutes=minutes)
    return a_call(number, line=line, webhook_id=f"{line}{number}", at=at, state="missed", ended_at=at)


def test_live_calls_come_first_and_then_the_newest(store: Store) -> None:
    store.calls.add([a_past(1, minutes=1), a_past(2, minutes=2), a_past(3, minutes=3)])  # type: ignore[list-item]
    store.calls.add([a_call(8, at=START - timedelta(minutes=9)), a_call(9, at=START - timedelta(minutes=8))])
    page = store.recent.page(["support"], None, 2, START)
    assert ids(page) == ["rtc_9", "rtc_8", "rtc_1", "rtc_2"]
    older = store.recent.page(["support"], page.next, 2, START)
    assert (ids(older), older.next) == (["rtc_3"], None)


def test_calls_of_the_same_instant_are_neither_stepped_over_nor_told_twice(store: Store) -> None:
    store.calls.add([a_past(number, line=line) for number in range(5) for line in ("support", "sales")])  # type: ignore[misc]
    seen, place = [], None
    while True:
        page = store.recent.page(["support", "sales"], place, 3, START)
        seen += [(each.call.line, each.call.call_id) for each in page.calls]
        if page.next is None:
            break
        place = Place.parse(str(page.next))
    assert len(seen) == len(set(seen)) == 10


def test_other_lines_are_left_out(store: Store) -> None:
    store.calls.add([a_call(1), a_past(2), a_call(3, line="sales"), a_past(4, line="sales")])  # type: ignore[list-item]
    assert ids(store.recent.page(["sales"], None, 10, START)) == ["rtc_3", "rtc_4"]
    assert ids(store.recent.page([], None, 10, START)) == []
    assert store.recent.one("sales", "rtc_1") is None
    assert store.recent.one("support", "rtc_1") is not None


def test_a_call_comes_with_what_became_of_it(store: Store) -> None:
    store.calls.add([a_call(1), a_call(2)])
    store.conversations.open("support", "rtc_1", "dag/run/task/-1", START)
    store.conversations.finish("support", "rtc_1", 1, "completed", None, [], START + timedelta(seconds=9))
    store.calls.move("support", "rtc_1", lambda call: moves.ended(call, START, "ended"), START)
    with_it, without = store.recent.one("support", "rtc_1"), store.recent.one("support", "rtc_2")
    assert with_it is not None
    assert with_it.conversation is not None
    assert (with_it.conversation.outcome, with_it.conversation.holder) == ("completed", "dag/run/task/-1")
    assert with_it.conversation.finished_at == START + timedelta(seconds=9)
    assert with_it.call == store.calls.find("support", "rtc_1")
    assert without is not None
    assert without.conversation is None
