"""Calls in the store, on both databases."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from threading import Barrier, Thread

import pytest
from tests.unit.switchboard.support import START, a_call

from airflow_openai_realtime.api.sip import CORRELATION_HEADER
from airflow_openai_realtime.calls import transitions as moves
from airflow_openai_realtime.exceptions import MoveRefused, StoreUnavailable, UnknownCall
from airflow_openai_realtime.states import CallState
from airflow_openai_realtime.switchboard.server.store import CallFilter, NewCall, Store
from airflow_openai_realtime.switchboard.server.store.feed_rows import Cursor

RINGING = CallFilter(("ringing",))


def feed_of(store: Store) -> list[tuple[str, str]]:
    return list(store.feed.since(Cursor(), START).changes)


def test_a_stored_call_comes_back_as_it_was(store: Store) -> None:
    call = a_call(headers={"from": 'hostile \x00 \ud800 "; DROP TABLE', "x-name": "Zoë ☎"}, media_security="srtp")
    store.calls.add([call])
    found = store.calls.find("support", "rtc_1")
    assert found.headers == call.headers
    assert (found.from_number, found.to_number) == ("+14155550123", "+14155550199")
    assert (found.received_at, found.expires_at) == (START, START + timedelta(seconds=60))
    assert (found.state, found.media_security, found.claimed_by) == ("ringing", "srtp", None)


def test_instants_keep_their_microseconds(store: Store) -> None:
    at = START.replace(microsecond=123457)
    store.calls.add([a_call(at=at)])
    assert store.calls.find("support", "rtc_1").received_at == at


def test_the_same_call_again_is_not_new_and_leaves_no_second_row_in_the_feed(store: Store) -> None:
    assert store.calls.add([a_call(1), a_call(2), a_call(1)]) == {("support", "rtc_1"), ("support", "rtc_2")}
    assert store.calls.add([a_call(2), a_call(3)]) == {("support", "rtc_3")}
    assert feed_of(store) == [("support", "rtc_1"), ("support", "rtc_2"), ("support", "rtc_3")]


def test_a_webhook_id_that_was_seen_is_a_duplicate_whatever_the_call(store: Store) -> None:
    store.calls.add([a_call(1)])
    assert store.calls.add([a_call(2, webhook_id="wh_1")]) == set()
    with pytest.raises(UnknownCall):
        store.calls.find("support", "rtc_2")


@pytest.mark.parametrize("ends_first", [False, True])
def test_a_webhook_that_comes_after_the_accept_completes_the_call_and_its_ledger_row(
    store: Store, *, ends_first: bool
) -> None:
    attempt = store.attempts.reserve("support", "spring", "ann", 1, "+14155550123", START)
    for before, after in [("reserved", "dialing"), ("dialing", "placed")]:
        store.attempts.move("support", attempt.attempt_id, before, after, "task", {}, START)
    unheard_of = NewCall(line="support", call_id="rtc_1", received_at=START, expires_at=START)
    accept = partial(moves.accepted, owner="task", now=START, default_duration_seconds=60)
    end = partial(moves.ended, now=START, reason="killed")
    store.calls.move("support", "rtc_1", accept, START, unheard_of)
    if ends_first:
        store.calls.move("support", "rtc_1", end, START)
    headers = {CORRELATION_HEADER.lower(): attempt.correlation_id}
    assert store.calls.add([a_call(1, headers=headers)]) == set()
    if not ends_first:
        assert store.attempts.find("support", attempt.attempt_id).call_id == "rtc_1"
        store.calls.move("support", "rtc_1", end, START)
    call = store.calls.find("support", "rtc_1")
    assert (call.headers, call.from_number, call.claimed_by) == (headers, "+14155550123", "task")
    kept = store.attempts.find("support", attempt.attempt_id)
    assert (kept.state, kept.outcome, kept.call_id) == ("ended", "killed", "rtc_1")


def test_a_second_webhook_changes_nothing_of_a_call(store: Store) -> None:
    store.calls.add([a_call(1)])
    store.calls.add([a_call(1, webhook_id="wh_other", from_number="+14155550777")])
    assert store.calls.find("support", "rtc_1").from_number == "+14155550123"


def test_the_same_call_id_on_another_line_is_another_call(store: Store) -> None:
    store.calls.add([a_call(1)])
    assert store.calls.add([a_call(1, line="sales")]) == {("sales", "rtc_1")}


def test_a_call_of_another_line_is_not_there(store: Store) -> None:
    store.calls.add([a_call(1, line="sales")])
    with pytest.raises(UnknownCall):
        store.calls.find("support", "rtc_1")
    with pytest.raises(UnknownCall):
        store.calls.move("support", "rtc_1", partial(moves.claim, owner="me", now=START), START)
    assert store.calls.select("support", CallFilter(), 10, START) == []


def test_selected_calls_come_oldest_first_and_the_newest_when_there_are_too_many(store: Store) -> None:
    store.calls.add([a_call(number, at=START + timedelta(seconds=number)) for number in range(5)])
    found = store.calls.select("support", RINGING, 3, START)
    assert [call.call_id for call in found] == ["rtc_2", "rtc_3", "rtc_4"]


def test_a_call_that_rang_out_is_not_among_the_ringing_ones(store: Store) -> None:
    store.calls.add([a_call(1)])
    late = START + timedelta(seconds=60)
    assert store.calls.select("support", RINGING, 10, late) == []
    assert len(store.calls.select("support", CallFilter(CallState), 10, late)) == 1


def test_calls_can_be_selected_by_owner(store: Store) -> None:
    store.calls.add([a_call(1), a_call(2)])
    store.calls.move("support", "rtc_2", partial(moves.claim, owner="me", now=START), START)
    assert [call.call_id for call in store.calls.select("support", CallFilter(claimed_by="me"), 10, START)] == ["rtc_2"]


def test_a_move_changes_the_row_and_tells_the_feed_once(store: Store) -> None:
    store.calls.add([a_call(1)])
    for _ in range(2):
        moved = store.calls.move("support", "rtc_1", partial(moves.claim, owner="me", now=START), START)
        assert moved == store.calls.find("support", "rtc_1")
        assert (moved.state, moved.claimed_by) == ("claimed", "me")
    assert len(feed_of(store)) == 2


def test_a_refused_move_changes_nothing(store: Store) -> None:
    store.calls.add([a_call(1)])
    before = store.calls.move("support", "rtc_1", partial(moves.claim, owner="me", now=START), START)
    with pytest.raises(MoveRefused):
        store.calls.move("support", "rtc_1", partial(moves.claim, owner="you", now=START), START)
    assert store.calls.find("support", "rtc_1") == before
    assert len(feed_of(store)) == 2


def test_an_unknown_call_is_registered_when_the_move_says_so(store: Store) -> None:
    rule = partial(moves.accepting, owner="me", now=START, max_duration_seconds=60)
    unheard = a_call("new", webhook_id=None, expires_at=START)
    moved = store.calls.move("support", "rtc_new", rule, START, unheard)
    assert (moved.state, moved.hangup_at) == ("claimed", START + timedelta(seconds=60))
    assert store.calls.find("support", "rtc_new") == moved


def test_of_many_who_claim_at_once_one_wins(store: Store) -> None:
    store.calls.add([a_call(1)])
    together, won, lost = Barrier(8), [], []

    def claim(name: str) -> None:
        together.wait()
        try:
            won.append(store.calls.move("support", "rtc_1", partial(moves.claim, owner=name, now=START), START))
        except MoveRefused as error:
            lost.append(error.code)

    threads = [Thread(target=claim, args=(f"claimant-{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert lost == ["claimed_by_other"] * 7
    assert store.calls.find("support", "rtc_1").claimed_by == won[0].claimed_by


def test_a_rule_is_asked_again_when_the_call_changed_meanwhile(store: Store) -> None:
    """Another worker claims between this one's look and its move; on SQLite, where writers take turns, it cannot."""
    store.calls.add([a_call(1)])
    other, looks = Store(str(store.database.url.render_as_string(hide_password=False))), []
    other.prepare()

    def rule(call: moves.SwitchboardCall) -> moves.Change:
        looks.append(call.state)
        if len(looks) == 1 and not store.database.is_sqlite:
            other.calls.move("support", "rtc_1", partial(moves.claim, owner="other", now=START), START)
        return moves.claim(call, "me", START)

    if store.database.is_sqlite:
        assert store.calls.move("support", "rtc_1", rule, START).claimed_by == "me"
    else:
        with pytest.raises(MoveRefused):
            store.calls.move("support", "rtc_1", rule, START)
        assert looks == ["ringing", "claimed"]
    other.close()


def test_counts_name_every_state_and_the_oldest_ringing_call(store: Store) -> None:
    store.calls.add([a_call(1), a_call(2, at=START + timedelta(seconds=5)), a_call(3, line="sales")])
    store.calls.move("support", "rtc_1", partial(moves.claim, owner="me", now=START), START)
    counts, oldest = store.calls.counts("support")
    assert counts == {**dict.fromkeys(CallState, 0), "ringing": 1, "claimed": 1}
    assert oldest == START + timedelta(seconds=5)


def test_changes_give_each_call_once_as_it_is_now(store: Store) -> None:
    start = Cursor.parse(store.calls.select_with_cursor("support", RINGING, 10, START).cursor)
    store.calls.add([a_call(1), a_call(2), a_call(3, line="sales")])
    store.calls.move("support", "rtc_1", partial(moves.claim, owner="me", now=START), START)
    changes = store.calls.changes("support", CallFilter(), start, START)
    assert {call.call_id: call.state for call in changes.calls} == {"rtc_1": "claimed", "rtc_2": "ringing"}
    assert store.calls.changes("support", CallFilter(), changes.cursor, START).calls == ()


def test_changes_that_are_not_wanted_move_the_cursor_all_the_same(store: Store) -> None:
    store.calls.add([a_call(1, line="sales")])
    changes = store.calls.changes("support", CallFilter(), Cursor(), START)
    assert changes.calls == ()
    assert changes.cursor.high == 1


def test_a_cursor_of_a_store_that_was_deleted_starts_anew(store: Store) -> None:
    store.calls.add([a_call(1)])
    changes = store.calls.changes("support", RINGING, Cursor(5000), START)
    assert [call.call_id for call in changes.calls] == ["rtc_1"]
    assert changes.cursor.high == 1


def test_a_store_that_is_not_prepared_is_unavailable(store_url: str) -> None:
    with pytest.raises(StoreUnavailable):
        Store(store_url).calls.find("support", "rtc_1")
