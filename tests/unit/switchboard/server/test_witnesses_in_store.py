"""Which account of a call's end counts: the same in every order of its witnesses."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from tests.unit.switchboard.support import START, a_call

from airflow_openai_realtime.calls import transitions as moves
from airflow_openai_realtime.calls.call import SwitchboardCall
from airflow_openai_realtime.calls.outcome import account_of, outcome_of
from airflow_openai_realtime.calls.result import CallResult
from airflow_openai_realtime.calls.transitions import Change
from airflow_openai_realtime.calls.witnesses import Account
from airflow_openai_realtime.states import Outcome, Witness
from airflow_openai_realtime.switchboard.server.store import Store

CORRELATION = "c1"
TASK = "dag/run/hang_up/-1"


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


# -- races ----------------------------------------------------------------------------------------------------

Act = Callable[[Store], object]


def move(store: Store, rule: Callable[[SwitchboardCall], Change]) -> SwitchboardCall:
    return store.calls.move("support", "rtc_1", rule, at(100))


def ends(told: Account, ended_at: float, too_late_for: str | None = None) -> Act:
    rule = partial(moves.ended, now=at(100), reason=told, ended_at=at(ended_at), too_late_for=too_late_for)
    return lambda store: move(store, rule)


def wants_end(seconds: float, reason: str, by: str) -> Act:
    return lambda store: move(store, partial(moves.want_end, now=at(seconds), reason=reason, by=by))


def finishes(outcome: Outcome, reason: str, ended_at: float) -> Act:
    """The holder writes its result, as it saw the end; first it tells the switchboard, as holders do."""

    def finish(store: Store) -> None:
        ends(account_of(outcome, reason), ended_at)(store)
        result = CallResult(
            "rtc_1", "support", outcome.value, reason, ended_at=at(ended_at), accepted_at=START, talk_seconds=9.0
        )
        store.conversations.finish("support", "rtc_1", 1, outcome.value, result.to_dict(), (), at(100))

    return finish


@dataclass(frozen=True)
class Truth:
    """What all places report once all witnesses have come."""

    outcome: str
    reason: str
    row_reason: str
    witness: str
    by: str | None
    talk_seconds: float | None
    ledger: str


def told(store: Store) -> Truth:
    call = store.calls.find("support", "rtc_1")
    conversation = store.conversations.find("support", "rtc_1")
    (attempt,), _ = store.attempts.page("support", "c", None, 0)
    result: Any = conversation.result
    assert conversation.outcome == result["outcome"]
    assert (call.state, attempt.state, attempt.call_id) == ("ended", "ended", "rtc_1")
    return Truth(
        outcome=result["outcome"],
        reason=result["reason"],
        row_reason=str(call.end_reason),
        witness=str(call.end_witness),
        by=call.ended_by,
        talk_seconds=result["talk_seconds"],
        ledger=str(attempt.outcome),
    )


def live(store: Store) -> None:
    """A placed call with an owner."""
    attempt = store.attempts.reserve("support", "c", "ann", 1, "+14155550123", START)
    for before, after in (("reserved", "dialing"), ("dialing", "placed")):
        store.attempts.move("support", attempt.attempt_id, before, after, f"me-{after}", {}, START)
    store.calls.add([a_call(1, headers={"x-correlation-id": attempt.correlation_id})])
    move(store, partial(moves.accepting, owner="me", now=START, max_duration_seconds=600))
    move(store, partial(moves.accepted, owner="me", now=START, default_duration_seconds=600))
    store.conversations.open("support", "rtc_1", "me", START)


CALLER_LEFT = finishes(Outcome.CALLER_HUNG_UP, "socket_closed", 10)
GONE = Account(Witness.FOUND_GONE, "gone")
HUNG_UP = Account(Witness.API, "hung_up", TASK)
COUNTED = ends(Account(Witness.FOUND_GONE, "gone", talk_seconds=6.0), 100)


def _truths() -> list[Any]:
    hung_up = Truth("completed", "hung_up", "hung_up", "api", TASK, 9.0, "answered")
    killed = Truth("killed", "killed", "killed", "api", "kill", 9.0, "killed")
    caller = Truth("caller_hung_up", "socket_closed", "caller_hung_up", "socket", "caller", 9.0, "answered")
    transferred = Truth(
        "transfer_requested", "transfer_requested", "transfer_requested", "transfer", None, 9.0, "answered"
    )
    ended = finishes(Outcome.CALLER_HUNG_UP, "socket_closed", 12)
    gone = finishes(Outcome.GONE, "no_session", 12)
    no_session = replace(caller, outcome="gone", reason="no_session", row_reason="gone", witness="found_gone", by=None)
    return [
        pytest.param([wants_end(11, "hung_up", TASK)], [ends(HUNG_UP, 12), ended], hung_up, id="a task hangs up"),
        pytest.param([wants_end(11, "hung_up", TASK)], [ends(GONE, 100), ended], hung_up, id="and others find it gone"),
        pytest.param(
            [wants_end(11, "hung_up", TASK)], [ends(HUNG_UP, 12), gone], hung_up, id="before any process listened"
        ),
        pytest.param([wants_end(11, "killed", "kill")], [ended, ends(GONE, 100)], killed, id="a kill"),
        pytest.param(
            [wants_end(11, "killed", "kill"), wants_end(11.5, "hung_up", TASK)],
            [ends(Account(Witness.API, "killed", "kill"), 12), ends(GONE, 100, TASK), ended],
            killed,
            id="a kill, and the teardown a moment later",
        ),
        pytest.param([], [CALLER_LEFT, ends(GONE, 100)], caller, id="the caller hangs up"),
        pytest.param([], [wants_end(50, "hung_up", TASK), CALLER_LEFT], caller, id="and a task wants to, later"),
        pytest.param(
            [wants_end(50, "hung_up", TASK)], [CALLER_LEFT, ends(GONE, 100, TASK)], caller, id="and finds it gone"
        ),
        pytest.param(
            [lambda store: move(store, partial(moves.want_transfer, target_uri="tel:+14155550177"))],
            [ended, ends(GONE, 100)],
            transferred,
            id="a transfer",
        ),
        pytest.param(
            [lambda store: move(store, partial(moves.referred, target_uri="tel:+14155550177"))],
            [gone, ends(GONE, 100)],
            transferred,
            id="a transfer before any process listened",
        ),
        pytest.param([], [CALLER_LEFT, COUNTED], replace(caller, talk_seconds=6.0), id="the carrier counted"),
        pytest.param([], [gone, COUNTED], replace(no_session, talk_seconds=6.0), id="the carrier counted, unheard"),
        pytest.param(
            [],
            [ends(Account(Witness.CARRIER, "carrier_failed", "carrier", 2.0), 100), ended],
            Truth("failed", "carrier_failed", "carrier_failed", "carrier", "carrier", 2.0, "answered"),
            id="the carrier failed",
        ),
    ]


@pytest.mark.parametrize(("first", "acts", "truth"), _truths())
def test_in_whatever_order_the_witnesses_come_the_same_is_told(
    sqlite_store: Store, first: list[Act], acts: list[Act], truth: Truth
) -> None:
    for order in itertools.permutations(acts):
        sqlite_store.database.write(_forget_all)
        live(sqlite_store)
        for act in (*first, *order):
            act(sqlite_store)
        assert told(sqlite_store) == truth


def test_outcomes_and_accounts_agree() -> None:
    for outcome in Outcome:
        account = account_of(outcome, "socket_closed")
        assert account.witness in Witness
    assert outcome_of.__module__ == account_of.__module__


def _forget_all(connection: Any) -> None:
    from airflow_openai_realtime.switchboard.server.store.schema.tables import metadata

    for table in reversed(metadata.sorted_tables):
        connection.execute(table.delete())
