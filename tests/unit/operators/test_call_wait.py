"""A task's wait for one call: it looks, defers, wakes up, and returns what the task returns."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from airflow.sdk.exceptions import TaskDeferred
from airflow_world import CALLER, FakeTask, World, context, run_task

from airflow_openai_realtime.calls.matching import CallMatch
from airflow_openai_realtime.calls.owner import owner_name
from airflow_openai_realtime.exceptions import SwitchboardRefused
from airflow_openai_realtime.operators.call_wait import BACKSTOP_SECONDS, CallWait
from airflow_openai_realtime.operators.hang_up import HangupCallOperator
from airflow_openai_realtime.operators.task_acceptance import TaskAcceptance
from airflow_openai_realtime.outbound.placed import PlacedReference
from airflow_openai_realtime.sensors.incoming_call import IncomingCallSensor
from airflow_openai_realtime.simulator.phones import PhoneScript
from airflow_openai_realtime.switchboard.client.switchboard_requests import (
    claim_call,
    get_attempt,
    list_calls,
    move_attempt,
    reserve_attempt,
)

ME = owner_name(FakeTask())
OTHER_CALLER = "+14155550177"


def not_expected(wait: CallWait, outcome: str) -> dict[str, Any]:
    raise AssertionError(f"the placed call does not come in: {outcome}")


def waiting(**given: Any) -> CallWait:
    """A wait for any call, only to claim it; arguments replace single fields."""
    task = IncomingCallSensor(task_id="wait")
    wait = CallWait(
        task=task,
        context=context(),  # type: ignore[arg-type]
        match=CallMatch(),
        timeout_seconds=300,
        acceptance=TaskAcceptance(),
        answer=False,
        wait_for_end=False,
        unanswered=not_expected,
    )
    return replace(wait, **given)


def ring(world: World, from_number: str = CALLER) -> str:
    return world.ring(from_number, script=PhoneScript.talks_for_ever())


def placed_attempt(world: World) -> PlacedReference:
    with world.client() as client:
        row = client.send(reserve_attempt("spring", "ann", 1, "+14155550142"))
        for before, after in (("reserved", "dialing"), ("dialing", "placed")):
            row = client.send(move_attempt(row.attempt_id, before, after))
    return PlacedReference(row.attempt_id, row.correlation_id, about={"attempt_id": row.attempt_id})


def outcome_of(world: World, placed: PlacedReference) -> tuple[str, str | None]:
    with world.client() as client:
        row = client.send(get_attempt(placed.attempt_id))
    return row.state, row.outcome


def test_a_call_that_rings_is_claimed_and_returned_at_once(world: World) -> None:
    call_id = ring(world)
    wait = waiting()
    found = wait.begin()
    assert (found["call_id"], found["claimed_by"], found["state"]) == (call_id, ME, "claimed")
    assert wait.task.shown_call_id == call_id
    assert not wait.task.waits_for_call


def test_without_a_call_the_task_waits_on_in_the_triggerer(world: World) -> None:
    wait = waiting(match=CallMatch(from_number=CALLER))
    assert wait.now() is None
    with pytest.raises(TaskDeferred) as deferred:
        wait.begin()
    assert wait.task.waits_for_call
    assert deferred.value.timeout is not None
    assert deferred.value.timeout.total_seconds() == 300 + BACKSTOP_SECONDS
    _, kwargs = deferred.value.trigger.serialize()
    assert kwargs["match"] == {"from_number": CALLER}
    assert (kwargs["claimant"], kwargs["answer"], kwargs["conversation"]) == (ME, None, None)
    assert world.simulator.api_key not in str(kwargs)


def test_a_look_finds_the_call_that_came_in_since(world: World) -> None:
    wait = waiting()
    assert wait.now() is None
    call_id = ring(world)
    found = wait.now()
    assert found is not None
    assert found["call_id"] == call_id


def test_a_woken_task_returns_the_call_that_its_trigger_has_claimed(world: World) -> None:
    call_id = ring(world)
    with world.client() as client:
        client.send(claim_call(call_id, ME))
    assert waiting().resume({"status": "claimed", "call_id": call_id})["call_id"] == call_id


def test_a_claim_that_lapsed_meanwhile_is_not_returned_and_the_task_waits_on(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    call_id = ring(world)
    with world.client() as client:
        client.send(claim_call(call_id, "another task"))
    wait = waiting()
    with pytest.raises(TaskDeferred):
        wait.resume({"status": "claimed", "call_id": call_id})
    assert "was claimed, but not accepted in time; waiting for another one" in capsys.readouterr().out
    assert world.row(call_id).claimed_by == "another task"


def test_a_call_that_is_not_wanted_any_more_is_left_and_the_wanted_one_taken(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    first, wanted = ring(world), ring(world, OTHER_CALLER)
    found = waiting(match=CallMatch(from_number=OTHER_CALLER)).resume({"status": "claimed", "call_id": first})
    assert found["call_id"] == wanted
    assert world.row(first).state == "ringing"
    assert f"Call {first} is not the one that this task waits for now" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("event", "said"),
    [({"status": "error", "message": "the token was refused"}, "the token was refused"), ({}, "without a result")],
)
def test_an_error_of_the_trigger_fails_the_task(world: World, event: dict[str, Any], said: str) -> None:
    with pytest.raises(SwitchboardRefused, match=said):
        waiting().resume(event)


def test_a_task_without_a_placed_call_writes_nothing_into_the_ledger(world: World) -> None:
    ring(world)
    wait = waiting()
    wait.begin()
    wait.note_not_answered("busy")
    assert wait.about == {}


def test_a_placed_call_that_comes_in_is_answered_in_the_ledger(world: World) -> None:
    placed = placed_attempt(world)
    ring(world)
    found = waiting(placed=placed).begin()
    assert found["attempt_id"] == placed.attempt_id
    assert outcome_of(world, placed) == ("ended", "answered")


def test_a_placed_call_that_did_not_come_in_is_settled_by_the_operator(world: World) -> None:
    placed = placed_attempt(world)
    waiting(placed=placed).note_not_answered("busy")
    assert outcome_of(world, placed) == ("ended", "busy")
    told: list[tuple[CallWait, str]] = []

    def unanswered(wait: CallWait, outcome: str) -> dict[str, Any]:
        told.append((wait, outcome))
        return {"outcome": outcome}

    wait = waiting(placed=placed, unanswered=unanswered)
    assert wait.begin() == {"outcome": "busy"}
    assert wait.now() == {"outcome": "busy"}
    assert told == [(wait, "busy")] * 2


def test_an_own_call_of_an_earlier_try_is_returned_and_no_second_one_taken(world: World) -> None:
    first = ring(world)
    assert waiting().begin()["call_id"] == first
    ring(world, OTHER_CALLER)
    assert waiting().begin()["call_id"] == first
    with world.client() as client:
        assert [call.call_id for call in client.send(list_calls(claimed_by=ME)).calls] == [first]


def test_a_call_that_is_over_counts_no_more(world: World) -> None:
    first = ring(world)
    waiting().begin()
    run_task(HangupCallOperator(task_id="hang_up", call=first))
    assert waiting().now() is None
