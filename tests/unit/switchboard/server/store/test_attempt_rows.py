"""The ledger, on both databases."""

from __future__ import annotations

from functools import partial
from threading import Barrier, Thread

import pytest
from tests.unit.switchboard.support import START, a_call

from airflow_openai_realtime.calls.call import Attempt
from airflow_openai_realtime.exceptions import InvalidInput, MoveRefused, UnknownCall
from airflow_openai_realtime.switchboard.server.store import Store
from airflow_openai_realtime.switchboard.server.store import attempt_rows as attempts_module


def reserve(store: Store, contact: str = "ann", attempt: int = 1, line: str = "support") -> Attempt:
    return store.attempts.reserve(line, "spring", contact, attempt, "+14155550123", START)


def test_a_reservation_is_made_once_and_then_returned_as_it_is(store: Store) -> None:
    first, again = reserve(store), reserve(store)
    assert (first.created, again.created) == (True, False)
    assert again.attempt_id == first.attempt_id
    assert again.correlation_id == first.correlation_id
    assert store.attempts.find("support", first.attempt_id).state == "reserved"


def test_each_attempt_has_its_own_unguessable_correlation_id(store: Store) -> None:
    ids = {reserve(store, contact).correlation_id for contact in "abcdef"}
    assert len(ids) == 6
    assert {len(value) for value in ids} == {32}


def test_many_who_reserve_at_once_get_the_same_row(store: Store) -> None:
    together, rows = Barrier(8), []

    def work() -> None:
        together.wait()
        rows.append(reserve(store))

    threads = [Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({row.attempt_id for row in rows}) == 1
    assert sum(row.created for row in rows) == 1


def test_only_one_owner_may_dial(store: Store) -> None:
    row = reserve(store)
    moved = store.attempts.move("support", row.attempt_id, "reserved", "dialing", "one", {}, START)
    assert moved.state == "dialing"
    with pytest.raises(MoveRefused) as refused:
        store.attempts.move("support", row.attempt_id, "reserved", "dialing", "two", {}, START)
    assert refused.value.code == "attempt_moved"


def test_the_same_owner_asking_again_is_told_yes(store: Store) -> None:
    row = reserve(store)
    for _ in range(2):
        moved = store.attempts.move("support", row.attempt_id, "reserved", "dialing", "one", {}, START)
        assert moved.state == "dialing"


def test_an_owner_is_not_told_yes_once_the_attempt_has_moved_on(store: Store) -> None:
    row = reserve(store)
    store.attempts.move("support", row.attempt_id, "reserved", "dialing", "one", {}, START)
    store.attempts.move("support", row.attempt_id, "dialing", "unknown", "two", {"detail": "no answer"}, START)
    with pytest.raises(MoveRefused):
        store.attempts.move("support", row.attempt_id, "reserved", "dialing", "one", {}, START)


def test_what_is_given_with_a_move_is_stored_and_the_rest_is_kept(store: Store) -> None:
    row = reserve(store)
    store.attempts.move("support", row.attempt_id, "reserved", "dialing", "a", {}, START)
    store.attempts.move("support", row.attempt_id, "dialing", "placed", "b", {"carrier_call_id": "CA1"}, START)
    ended = store.attempts.move("support", row.attempt_id, "placed", "ended", "c", {"outcome": "busy"}, START)
    assert (ended.carrier_call_id, ended.outcome, ended.to_number) == ("CA1", "busy", "+14155550123")


@pytest.mark.parametrize(("start", "end"), [("unknown", "dialing"), ("placed", "dialing"), ("ended", "reserved")])
def test_no_move_leads_back_to_dialing(sqlite_store: Store, start: str, end: str) -> None:
    row = reserve(sqlite_store)
    with pytest.raises(InvalidInput):
        sqlite_store.attempts.move("support", row.attempt_id, start, end, "a", {}, START)


REFUSED, OTHER_NUMBER = {"outcome": "failed"}, "+14155550124"


@pytest.mark.parametrize(
    ("ended_with", "to_number", "may"),
    [
        (REFUSED, OTHER_NUMBER, True),
        (REFUSED, "+14155550123", False),
        (REFUSED | {"carrier_call_id": "CA1"}, OTHER_NUMBER, False),
        (REFUSED | {"call_id": "rtc_1"}, OTHER_NUMBER, False),
        ({"outcome": "busy"}, OTHER_NUMBER, False),
    ],
)
def test_after_a_refusal_only_another_number_is_dialled(
    store: Store, ended_with: dict[str, str], to_number: str, may: bool
) -> None:
    row = reserve(store)
    store.attempts.move("support", row.attempt_id, "reserved", "dialing", "a", {}, START)
    store.attempts.move("support", row.attempt_id, "dialing", "ended", "b", ended_with, START)
    again = partial(
        store.attempts.move, "support", row.attempt_id, "ended", "dialing", "c", {"to_number": to_number}, START
    )
    if may:
        assert (again().state, again().to_number, again().outcome) == ("dialing", to_number, None)
    else:
        with pytest.raises(MoveRefused):
            again()


def test_an_attempt_of_another_line_is_not_there(store: Store) -> None:
    row = reserve(store, line="sales")
    with pytest.raises(UnknownCall):
        store.attempts.find("support", row.attempt_id)
    with pytest.raises(UnknownCall):
        store.attempts.move("support", row.attempt_id, "reserved", "dialing", "a", {}, START)
    assert store.attempts.page("support", "spring", None, 0) == ([], None)
    assert reserve(store).attempt_id != row.attempt_id


def test_attempts_come_in_pages_in_the_order_they_were_reserved(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts_module, "PAGE", 2)
    for contact in "cab":
        reserve(store, contact)
    first, following = store.attempts.page("support", "spring", None, 0)
    assert following is not None
    second, end = store.attempts.page("support", "spring", None, following)
    assert [row.contact for row in first + second] == ["c", "a", "b"]
    assert end is None
    assert [row.contact for row in store.attempts.page("support", "spring", "a", 0)[0]] == ["a"]


def ringing(store: Store, number: int, correlation_id: str, line: str = "support") -> None:
    headers = {"x-correlation-id": correlation_id}
    store.calls.add([a_call(number, line=line, webhook_id=f"{line}{number}", headers=headers)])


def test_an_attempt_knows_its_call_as_soon_as_that_rings(store: Store) -> None:
    row, other = reserve(store), reserve(store, "bob")
    ringing(store, 1, row.correlation_id)
    found = store.attempts.find("support", row.attempt_id)
    assert (found.call_id, found.state, found.updated_at) == ("rtc_1", "reserved", row.updated_at)
    assert store.attempts.find("support", other.attempt_id).call_id is None


def test_an_attempt_keeps_the_first_call_that_came_of_it_and_takes_none_of_another_line(store: Store) -> None:
    row = reserve(store)
    ringing(store, 9, row.correlation_id, "sales")
    assert store.attempts.find("support", row.attempt_id).call_id is None
    for number in (1, 2):
        ringing(store, number, row.correlation_id)
    assert store.attempts.find("support", row.attempt_id).call_id == "rtc_1"


def test_a_reserved_attempt_goes_over_to_the_task_that_asks_for_it_last_and_then_stays(store: Store) -> None:
    def asked(owner: str | None) -> str | None:
        return store.attempts.reserve("support", "spring", "ann", 1, "+14155550123", START, owner).claimant

    assert [asked("a/r/t/-1"), asked(None), asked("b/r/t/-1")] == ["a/r/t/-1", "a/r/t/-1", "b/r/t/-1"]
    row = reserve(store)
    store.attempts.move("support", row.attempt_id, "reserved", "dialing", "me", {}, START)
    assert asked("c/r/t/-1") == "b/r/t/-1"
    assert store.attempts.find("support", row.attempt_id).claimant == "b/r/t/-1"
