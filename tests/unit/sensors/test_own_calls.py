"""A mapped task whose place another contact takes gets that contact's call, whatever the task had before."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from airflow.sdk.exceptions import TaskDeferred
from airflow_world import FakeTask, World, context, run_task
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_openai_realtime.operators.accept import AcceptCallOperator
from airflow_openai_realtime.operators.claim import ClaimCallsOperator
from airflow_openai_realtime.sensors.incoming_call import IncomingCallSensor
from airflow_openai_realtime.simulator.phones import PhoneScript
from airflow_openai_realtime.triggers import pacing

FOR_EVER = PhoneScript.talks_for_ever()
CONTACTS = ("ann", "bob", "cem", "dee")
NUMBERS = itertools.count(1)


@pytest.fixture(autouse=True)
def _no_settling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pacing, "SETTLE_SECONDS", 0.0)


def ring(world: World, contact: str, run_id: str) -> str:
    headers = [("X-Contact", contact), ("X-Run", run_id)]
    return world.ring(f"+1415555{next(NUMBERS):04}", headers=headers, script=FOR_EVER)


def waiting(answer: bool, contact: str, run_id: str) -> IncomingCallSensor:
    return IncomingCallSensor(answer=answer, task_id="wait", headers={"X-Contact": contact, "X-Run": run_id})


def call_of(answer: bool, contact: str, run_id: str, map_index: int) -> dict[str, Any] | None:
    """What the mapped task in this place gets for a contact; None: it waits."""
    task = FakeTask(run_id=run_id, map_index=map_index)
    try:
        call: dict[str, Any] = run_task(waiting(answer, contact, run_id), context(task))
    except TaskDeferred:
        return None
    return call


LISTS = st.lists(st.sampled_from(CONTACTS), unique=True, max_size=4)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=LISTS, after=LISTS, answer=st.booleans())
def test_no_place_in_a_list_that_was_read_again_gets_the_call_of_another_contact(
    world: World, before: list[str], after: list[str], answer: bool
) -> None:
    run_id = f"run{next(NUMBERS)}"
    calls = {contact: ring(world, contact, run_id) for contact in before}
    for place, contact in enumerate(before):
        got = call_of(answer, contact, run_id, place)
        assert got is not None
        assert got["call_id"] == calls[contact]
    calls |= {contact: ring(world, contact, run_id) for contact in after if contact not in before}
    for place, contact in enumerate(after):
        got = call_of(answer, contact, run_id, place)
        if contact in before and before.index(contact) != place:
            # The task in another place has that call: it is neither doubled nor exchanged for another task's.
            assert got is None
        else:
            assert got is not None
            assert got["call_id"] == calls[contact]


@pytest.mark.parametrize("answer", [False, True])
def test_the_sensor_for_the_second_contact_does_not_return_the_first_ones_call(world: World, answer: bool) -> None:
    ring(world, "ann", "r")
    assert call_of(answer, "ann", "r", 0) is not None
    assert call_of(answer, "bob", "r", 0) is None
    bobs = ring(world, "bob", "r")
    got = call_of(answer, "bob", "r", 0)
    assert got is not None
    assert got["call_id"] == bobs


@pytest.mark.parametrize("answer", [False, True])
async def test_a_trigger_for_the_second_contact_does_not_return_the_first_ones_call(world: World, answer: bool) -> None:
    import asyncio

    task = context(FakeTask(run_id="r", map_index=0))
    await asyncio.to_thread(ring, world, "ann", "r")
    first = await asyncio.to_thread(run_task, waiting(answer, "ann", "r"), task)
    operator = waiting(answer, "bob", "r")
    with pytest.raises(TaskDeferred) as deferral:
        await asyncio.to_thread(run_task, operator, task)
    fired = asyncio.create_task(anext(deferral.value.trigger.run()))
    bobs = await asyncio.to_thread(ring, world, "bob", "r")
    event = (await asyncio.wait_for(fired, 60)).payload
    assert event["call_id"] == bobs != first["call_id"]


def test_a_task_whose_contact_changed_while_it_waited_does_not_return_the_old_ones_call(world: World) -> None:
    anns = ring(world, "ann", "r")
    task = context(FakeTask(run_id="r", map_index=0))
    run_task(waiting(False, "ann", "r"), task)
    event = {"status": "claimed", "call_id": anns}
    with pytest.raises(TaskDeferred):
        run_task(waiting(False, "bob", "r"), task, "execute_complete", event=event)
    bobs = ring(world, "bob", "r")
    got = run_task(waiting(False, "bob", "r"), task, "execute_complete", event=event)
    assert got["call_id"] == bobs


def test_claiming_all_that_rings_does_not_return_what_was_claimed_for_another_condition(world: World) -> None:
    ring(world, "ann", "r")
    bobs = ring(world, "bob", "r")
    for contact, calls in (("ann", 1), ("bob", 1)):
        claim = ClaimCallsOperator(task_id="claim", headers={"X-Contact": contact})
        assert len(run_task(claim)) == calls
    assert [call["call_id"] for call in run_task(claim)] == [bobs]


def test_the_accepted_call_of_the_first_contact_is_not_the_second_ones(world: World) -> None:
    ring(world, "ann", "r")
    call = call_of(False, "ann", "r", 0)
    run_task(AcceptCallOperator(task_id="accept", call=call))
    assert call_of(False, "bob", "r", 0) is None
    assert call_of(True, "bob", "r", 0) is None
