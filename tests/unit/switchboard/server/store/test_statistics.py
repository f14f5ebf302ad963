"""Figures of a line, on both databases."""

from __future__ import annotations

from datetime import timedelta

from tests.unit.switchboard.support import START, a_call

from airflow_openai_realtime.calls import transitions as moves
from airflow_openai_realtime.switchboard.server.store import Store
from airflow_openai_realtime.switchboard.server.store.statistics import ANSWER_BUCKETS, OTHER

NOW = START + timedelta(seconds=50)


def accept(store: Store, number: int | str, after_seconds: float, line: str = "support") -> None:
    at = START + timedelta(seconds=after_seconds)
    store.calls.move(line, f"rtc_{number}", lambda call: moves.accepted(call, "me", at, 600), at)


def test_an_empty_line_has_zeros(store: Store) -> None:
    found = store.statistics.of_line("support", NOW)
    assert set(found.by_state.values()) == {0}
    assert set(found.over.values()) == {0}
    assert (found.oldest_ringing, found.answered, found.answer_seconds) == (None, 0, 0.0)
    assert found.answered_within == (0,) * len(ANSWER_BUCKETS)


def test_calls_are_counted_by_state_and_only_those_of_the_line(store: Store) -> None:
    store.calls.add([a_call(1), a_call(2), a_call(3), a_call(4, line="sales")])
    accept(store, 1, 1)
    found = store.statistics.of_line("support", NOW)
    assert found.by_state == {"ringing": 2, "claimed": 0, "accepted": 1, "rejected": 0, "ended": 0, "missed": 0}


def test_the_oldest_ringing_call_is_one_that_still_rings(store: Store) -> None:
    rung_out = a_call(1, at=START - timedelta(seconds=100))
    store.calls.add([rung_out, a_call(2), a_call(3, at=START + timedelta(seconds=5))])
    assert store.statistics.of_line("support", NOW).oldest_ringing == START


def test_seconds_from_ring_to_answer_fall_into_buckets(store: Store) -> None:
    store.calls.add([a_call(number) for number in range(4)])
    for number, seconds in enumerate((0.01, 0.2, 45, 59.5)):
        accept(store, number, seconds)
    store.calls.move("support", "rtc_0", lambda call: moves.ended(call, NOW, "hung_up"), NOW)
    found = store.statistics.of_line("support", NOW)
    assert found.answered == 4
    assert dict(zip(ANSWER_BUCKETS, found.answered_within, strict=True)) == {
        **dict.fromkeys((0.025, 0.05, 0.1), 1),
        **dict.fromkeys((0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0), 2),
        60.0: 4,
    }
    assert abs(found.answer_seconds - 104.71) < 0.001


def test_calls_without_a_webhook_or_older_than_an_hour_say_nothing_about_answering(store: Store) -> None:
    store.calls.add([a_call(1, webhook_id=None), a_call(2)])
    accept(store, 1, 1)
    accept(store, 2, 1)
    assert store.statistics.of_line("support", NOW).answered == 1
    assert store.statistics.of_line("support", START + timedelta(seconds=3601)).answered == 0


def test_calls_that_came_to_an_end_are_counted_by_reason_and_free_text_is_not_shown(store: Store) -> None:
    store.calls.add([a_call(number) for number in range(5)])
    reasons = ("max_duration", "max_duration", "call +14155550123 back", "hang_up_failed")
    for number, reason in enumerate(reasons):
        store.calls.move("support", f"rtc_{number}", lambda call, why=reason: moves.ended(call, NOW, why), NOW)
    store.calls.move("support", "rtc_4", lambda call: moves.rejected(call, NOW, 603), NOW)
    over = store.statistics.of_line("support", NOW + timedelta(seconds=3599)).over
    assert {key: amount for key, amount in over.items() if amount} == {
        ("ended", "max_duration"): 2,
        ("ended", OTHER): 1,
        ("ended", "hang_up_failed"): 1,
        ("rejected", ""): 1,
    }
    assert not any(store.statistics.of_line("support", NOW + timedelta(seconds=3601)).over.values())
