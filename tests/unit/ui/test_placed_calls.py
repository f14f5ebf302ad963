"""What the page shows of calls that were placed, and of people who were not reached."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from tests.unit.switchboard.support import a_call
from tests.unit.ui.support import ALL, DIALED, PageWorld, User, owner


@pytest.fixture(autouse=True)
def _logged_in(page: PageWorld) -> None:
    page.user = User({"campaign": ALL})


def shown(page: PageWorld) -> list[dict[str, Any]]:
    calls: list[dict[str, Any]] = page.calls()["calls"]
    return calls


def test_a_placed_call_shows_whom_it_called(page: PageWorld) -> None:
    attempt = page.dial("ann", attempt=2)
    page.clock.move(5)
    page.come_in(1, attempt)
    page.accept(1)
    (call,) = shown(page)
    assert (call["direction"], call["contact"], call["to"]) == ("outgoing", "ann", "+1***0144")
    assert (call["campaign"], call["attempt"], call["is_live"]) == ("spring", 2, True)
    assert page.call(1).json()["call"] == call


def test_it_shows_whom_it_called_after_the_ledger_row_has_ended(page: PageWorld) -> None:
    attempt = page.dial("ann")
    page.come_in(1, attempt)
    page.accept(1)
    page.end(1, "hung_up")
    assert page.store.attempts.find("support", attempt.attempt_id).state == "ended"
    (call,) = shown(page)
    assert (call["contact"], call["state"], call["outcome"]) == ("ann", "ended", "hung_up")


def test_a_phone_that_rings_has_a_row_among_the_live_calls(page: PageWorld) -> None:
    attempt = page.dial("ann")
    (row,) = shown(page)
    assert (row["call_id"], row["attempt_id"], row["is_live"]) == (None, attempt.attempt_id, True)
    assert (row["state"], row["to"], row["contact"]) == ("placed", "+1***0144", "ann")
    assert row["task"]["dag_id"] == "campaign"


@pytest.mark.parametrize("outcome", ["busy", "no_answer", "failed", "canceled", "gone"])
def test_a_person_who_was_not_reached_has_a_row(page: PageWorld, outcome: str) -> None:
    attempt = page.dial("ann")
    page.clock.move(30)
    page.settle(attempt, outcome)
    (row,) = shown(page)
    assert (row["is_live"], row["outcome"], row["state"]) == (False, outcome, "ended")
    assert (row["contact"], row["to"], row["campaign"], row["attempt"]) == ("ann", "+1***0144", "spring", 1)


def test_an_attempt_that_nobody_knows_about_is_not_live_for_ever(page: PageWorld) -> None:
    page.dial("ann")
    page.clock.move(timedelta(minutes=16).total_seconds())
    (row,) = shown(page)
    assert (row["is_live"], row["state"], row["outcome"]) == (False, "placed", None)


def test_calls_and_attempts_stand_in_one_order_and_none_is_left_out_between_pages(page: PageWorld) -> None:
    wanted = []
    for number in range(60):
        page.clock.move(1)
        if number % 2:
            page.settle(page.dial(f"contact-{number}"), "busy")
            wanted.append(f"contact-{number}")
        else:
            page.store.calls.add([a_call(number, at=page.clock(), state="missed", ended_at=page.clock())])
            wanted.append(f"rtc_{number}")
    page.user = User({"campaign": ALL}, {"support": ALL})
    first = page.calls()
    second = page.calls(before=first["next"])
    assert second["next"] is None
    rows = sorted([*first["calls"], *second["calls"]], key=lambda row: row["received_at"])
    assert [row["call_id"] or row["contact"] for row in rows] == wanted
    assert len(first["calls"]) == 50
    assert min(row["received_at"] for row in first["calls"]) > max(row["received_at"] for row in second["calls"])


def test_only_those_who_may_read_the_dag_that_dials_see_its_attempts(page: PageWorld) -> None:
    mine, other = page.dial("ann"), page.dial("bob", by=owner("other"))
    nobodys = page.store.attempts.reserve("support", "spring", "eve", 1, DIALED, page.clock())
    assert [row["contact"] for row in shown(page)] == ["ann"]
    assert page.attempt(mine.attempt_id).status_code == 200
    assert page.attempt(other.attempt_id).status_code == 404
    assert page.attempt(nobodys.attempt_id).status_code == 404
    page.user = User({}, {"support": ALL})
    assert [row["contact"] for row in shown(page)] == ["eve"]
    page.user = User()
    assert shown(page) == []


def test_a_placed_call_that_no_task_has_yet_belongs_to_the_task_that_placed_it(page: PageWorld) -> None:
    attempt = page.dial("ann")
    page.come_in(1, attempt)
    assert [row["state"] for row in shown(page)] == ["ringing"]
    page.user = User({"other": ALL}, {"support": ALL})
    assert shown(page) == []
    assert page.call(1).status_code == 404


def test_a_link_to_an_attempt_leads_to_the_call_once_it_has_come_in(page: PageWorld) -> None:
    attempt = page.dial("ann")
    before = page.attempt(attempt.attempt_id).json()["call"]
    assert (before["call_id"], before["state"], before["contact"]) == (None, "placed", "ann")
    page.come_in(1, attempt)
    assert page.attempt(attempt.attempt_id).json()["call"]["call_id"] == "rtc_1"
    assert page.attempt("no-such").status_code == 404


def test_a_contact_that_is_a_phone_number_is_masked(page: PageWorld) -> None:
    attempt = page.dial(DIALED)
    page.come_in(1, attempt)
    page.dial("+14155550166 home")
    texts = [page.http.get("/openai-realtime-calls/api/calls").text, page.attempt(attempt.attempt_id).text]
    assert all("4155550" not in text for text in texts)
    # Of a number that is nothing but the contact there is nothing more to say.
    assert {row["contact"] for row in shown(page)} == {None, "+1***0166 home"}


def test_a_stranger_who_makes_up_a_correlation_id_is_taken_for_no_contact(page: PageWorld) -> None:
    page.dial("ann")
    page.user = User({"campaign": ALL}, {"support": ALL})
    for number, forged in enumerate(["0" * 32, "", "x" * 32, "' or 1=1 --", "\x00" * 32]):
        page.store.calls.add([a_call(number, at=page.clock(), headers={"x-correlation-id": forged})])
    assert {row["direction"] for row in shown(page) if row["call_id"]} == {"incoming"}


def test_a_link_to_a_task_that_waits_leads_to_its_call_once_it_has_one(page: PageWorld) -> None:
    def claimed(by: str) -> Any:
        params = {"conn_id": "support", "claimant": by}
        answer = page.http.get("/openai-realtime-calls/api/claimed", params=params)
        assert answer.status_code == 200
        return answer.json()["call"]

    assert claimed(owner()) is None
    for number in (1, 2):
        page.clock.move(1)
        page.ring(number)
        page.accept(number)
        page.end(number)
    assert claimed(owner())["call_id"] == "rtc_2"
    page.ring(3)
    page.accept(3, owner("other"))
    assert claimed(owner("other")) is None  # the user may not read that DAG: the page hides that there is a call
