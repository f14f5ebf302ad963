"""What the end of a call ends with it."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from tests.unit.switchboard.support import START, a_call

from airflow_openai_realtime.api.sip import CORRELATION_HEADER
from airflow_openai_realtime.calls import transitions as moves
from airflow_openai_realtime.calls.call import Attempt, SwitchboardCall
from airflow_openai_realtime.calls.witnesses import Account
from airflow_openai_realtime.states import EndReason, Witness
from airflow_openai_realtime.switchboard.server.store import Store
from airflow_openai_realtime.switchboard.server.store.call_ends import ledger_outcome, restated_result


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def placed(store: Store, number: int = 1) -> Attempt:
    """An attempt whose call rings."""
    attempt = store.attempts.reserve("support", "spring", f"contact {number}", 1, "+14155550123", START)
    for before, after in (("reserved", "dialing"), ("dialing", "placed")):
        store.attempts.move("support", attempt.attempt_id, before, after, "task", {}, START)
    store.calls.add([a_call(number, headers={CORRELATION_HEADER.lower(): attempt.correlation_id})])
    return attempt


def accept(store: Store, number: int = 1) -> None:
    rule = partial(moves.accepted, owner="me", now=START, default_duration_seconds=600)
    store.calls.move("support", f"rtc_{number}", rule, START)


def end(store: Store, number: int = 1, reason: Any = "hung_up", seconds: float = 10) -> None:
    store.calls.move("support", f"rtc_{number}", partial(moves.ended, now=at(seconds), reason=reason), at(seconds))


def test_the_end_of_a_call_ends_its_attempt_in_the_same_transaction(store: Store) -> None:
    attempt = placed(store)
    accept(store)
    end(store)
    found = store.attempts.find("support", attempt.attempt_id)
    assert (found.state, found.outcome, found.call_id, found.updated_at) == ("ended", "answered", "rtc_1", at(10))


def test_a_call_of_another_line_ends_no_attempt_here(store: Store) -> None:
    attempt = placed(store)
    headers = {CORRELATION_HEADER.lower(): attempt.correlation_id}
    store.calls.add([a_call(9, line="sales", headers=headers)])
    store.calls.move("sales", "rtc_9", partial(moves.ended, now=at(1), reason="gone"), at(1))
    assert store.attempts.find("support", attempt.attempt_id).state == "placed"


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({"state": "ended", "end_reason": "hung_up", "accepted_at": START}, "answered"),
        ({"state": "ended", "end_reason": "killed", "accepted_at": START}, "killed"),
        ({"state": "ended", "end_reason": "killed"}, "killed"),
        ({"state": "rejected"}, "rejected"),
        ({"state": "ended", "end_reason": "accept_failed"}, "failed"),
        ({"state": "missed"}, "gone"),
        ({"state": "ended", "end_reason": "gone"}, "gone"),
    ],
)
def test_the_ledger_says_in_its_words_what_became_of_a_call(changes: dict[str, Any], outcome: str) -> None:
    call = SwitchboardCall(call_id="rtc_1", line="support", received_at=START, expires_at=START, **changes)
    assert ledger_outcome(call) == outcome


def test_a_result_that_is_written_first_is_corrected_when_a_stronger_witness_reports(store: Store) -> None:
    store.calls.add([a_call()])
    accept(store)
    store.conversations.open("support", "rtc_1", "me", START)
    end(store, reason=Account(Witness.SOCKET, EndReason.CALLER_HUNG_UP, "caller"))
    written = {"outcome": "caller_hung_up", "reason": "caller_hung_up", "call_id": "rtc_1"}
    result = {**a_result(store), **written}
    store.conversations.finish("support", "rtc_1", 1, "caller_hung_up", result, [], at(11))
    end(store, reason=Account(Witness.API, EndReason.KILLED, "task"), seconds=12)
    found = store.conversations.find("support", "rtc_1")
    assert (found.outcome, (found.result or {})["outcome"]) == ("killed", "killed")


def a_result(store: Store) -> dict[str, Any]:
    """A result of the shape that owners write."""
    from airflow_openai_realtime.calls.kept_result import result_without_end

    call = store.calls.find("support", "rtc_1")
    return result_without_end(call, store.conversations.find("support", "rtc_1"), at(10)).to_dict()


def test_what_is_not_the_result_of_a_call_stays_as_a_client_wrote_it() -> None:
    call = SwitchboardCall(
        call_id="rtc_1", line="support", state="ended", end_reason="killed", received_at=START, expires_at=START
    )
    for written in ({}, {"day": "Friday"}, {"outcome": 7}):
        assert restated_result(written, call) == written
