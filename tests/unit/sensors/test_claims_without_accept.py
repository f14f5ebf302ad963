"""What becomes of a caller whose call was claimed by a task that does not go on: its DAG is paused, or it is gone."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk.exceptions import TaskDeferred
from airflow_world import OUR_NUMBER, FakeTask, World, context, run_task

from airflow_openai_realtime.exceptions import ClaimLost
from airflow_openai_realtime.operators.accept import AcceptCallOperator
from airflow_openai_realtime.operators.line import OpenLineOperator
from airflow_openai_realtime.sensors.incoming_call import IncomingCallSensor
from airflow_openai_realtime.simulator.phones import PhoneScript
from airflow_openai_realtime.switchboard.client.switchboard_requests import announce_accept

FOR_EVER = PhoneScript.talks_for_ever()
OTHER = FakeTask(task_id="other")


def claimed(world: World) -> dict[str, Any]:
    """A call that the sensor of a DAG has claimed, which then was paused."""
    world.ring(script=FOR_EVER)
    call: dict[str, Any] = run_task(IncomingCallSensor(task_id="wait"))
    return call


def lapse(world: World, call: dict[str, Any]) -> None:
    world.let_pass(30)
    assert world.simulator.wait_for(lambda: world.row(call["call_id"]).state == "ringing")


def test_another_sensor_gets_a_call_that_the_first_does_not_hand_on(world: World) -> None:
    call = claimed(world)
    with pytest.raises(TaskDeferred):
        run_task(IncomingCallSensor(task_id="other"), context(OTHER))
    lapse(world, call)
    assert run_task(IncomingCallSensor(task_id="other"), context(OTHER))["call_id"] == call["call_id"]


async def test_a_waiting_trigger_answers_a_call_that_a_sensor_does_not_hand_on(world: World) -> None:
    import asyncio

    call = await asyncio.to_thread(claimed, world)
    with pytest.raises(TaskDeferred) as deferral:
        await asyncio.to_thread(run_task, IncomingCallSensor(answer=True, task_id="other"), context(OTHER))
    fired = asyncio.create_task(anext(deferral.value.trigger.run()))
    await asyncio.to_thread(lapse_or_answered, world, call)
    assert (await fired).payload["call_id"] == call["call_id"]
    assert world.is_open(call["call_id"])


def lapse_or_answered(world: World, call: dict[str, Any]) -> None:
    world.let_pass(30)
    assert world.simulator.wait_for(lambda: world.row(call["call_id"]).state == "accepted")


def test_a_fallback_answers_a_call_that_a_sensor_does_not_hand_on(world: World) -> None:
    call = claimed(world)
    run_task(
        OpenLineOperator(task_id="open", name="night", to=OUR_NUMBER, instructions="Hi", unclaimed_after_seconds=5)
    )
    world.let_pass(30)
    assert world.simulator.wait_for(lambda: world.row(call["call_id"]).claimed_by == "order:night")
    assert world.simulator.wait_for(lambda: world.is_open(call["call_id"]))


def test_a_slow_task_still_accepts_its_call_when_nobody_else_has_taken_it(world: World) -> None:
    call = claimed(world)
    lapse(world, call)
    assert run_task(AcceptCallOperator(task_id="accept", call=call))["state"] == "accepted"
    assert world.is_open(call["call_id"])


def test_a_slow_task_does_not_take_its_call_from_the_one_who_has_it_now(world: World) -> None:
    call = claimed(world)
    lapse(world, call)
    run_task(IncomingCallSensor(answer=True, task_id="other"), context(OTHER))
    with pytest.raises(ClaimLost):
        run_task(AcceptCallOperator(task_id="accept", call=call))
    assert world.is_open(call["call_id"])
    assert world.row(call["call_id"]).claimed_by.endswith("/other/-1")


def test_a_call_that_is_about_to_be_accepted_keeps_its_claim(world: World) -> None:
    call = claimed(world)
    with world.client() as client:
        client.send(announce_accept(call["call_id"], call["claimed_by"], 600))
    world.let_pass(30)
    world.ring("+14155550177")
    row = world.row(call["call_id"])
    assert (row.state, row.claimed_by) == ("claimed", call["claimed_by"])


def test_a_sensor_that_goes_on_after_hours_does_not_return_somebody_elses_call(world: World) -> None:
    call = claimed(world)
    event = {"status": "claimed", "call_id": call["call_id"]}
    lapse(world, call)
    run_task(IncomingCallSensor(answer=True, task_id="other"), context(OTHER))
    with pytest.raises(TaskDeferred):
        run_task(IncomingCallSensor(task_id="wait"), context(), "execute_complete", event=event)
    second = world.ring("+14155550177", script=FOR_EVER)
    got = run_task(IncomingCallSensor(task_id="wait"), context(), "execute_complete", event=event)
    assert got["call_id"] == second


def test_a_sensor_that_goes_on_after_hours_does_not_return_a_call_that_was_missed(world: World) -> None:
    call = claimed(world)
    lapse(world, call)
    world.let_pass(3600)
    assert world.simulator.wait_for(lambda: world.row(call["call_id"]).state == "missed")
    event = {"status": "claimed", "call_id": call["call_id"]}
    with pytest.raises(TaskDeferred):
        run_task(IncomingCallSensor(task_id="wait"), context(), "execute_complete", event=event)


def test_a_sensor_that_goes_on_late_claims_its_call_again_while_it_rings(world: World) -> None:
    call = claimed(world)
    lapse(world, call)
    event = {"status": "claimed", "call_id": call["call_id"]}
    got = run_task(IncomingCallSensor(task_id="wait"), context(), "execute_complete", event=event)
    assert (got["call_id"], got["state"], got["claimed_by"]) == (call["call_id"], "claimed", call["claimed_by"])
