"""
Each layer that ends a call, killed in turn: the next one acts.

The order is that of the table in ``docs/call_life.md``. What people and model do is the same in all tests: neither
hangs up.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from airflow_world import FakeTask, World, run_task, until
from whole_calls import deferred, fire

from airflow_openai_realtime.conversation.rules import decisions as conversation_rules
from airflow_openai_realtime.operators.accept import AcceptCallOperator
from airflow_openai_realtime.operators.hang_up import HangupCallOperator
from airflow_openai_realtime.operators.place import PlaceCallOperator
from airflow_openai_realtime.simulator.dialogue import Dialogue, Reply
from airflow_openai_realtime.simulator.moves import Move
from airflow_openai_realtime.simulator.phones import PhoneScript
from airflow_openai_realtime.switchboard.client.conversation_requests import get_conversation
from airflow_openai_realtime.triggers import pacing

PHONE = "+14155550142"
ENDS_IT = Dialogue(
    (Reply("Hello?", thinks_seconds=0.05), Reply.calls("end_call", {}, text="Goodbye.", thinks_seconds=0.05)),
    (Move.says("No.", after_seconds=0.1),),
)
SILENT = Dialogue((Reply("Hello?", thinks_seconds=0.05),))


@pytest.fixture(autouse=True)
def _no_settling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pacing, "SETTLE_SECONDS", 0.0)


@pytest.fixture
def no_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """The trigger's deadline is dead: it would act long after the switchboard."""
    monkeypatch.setattr(conversation_rules, "LEAD_SECONDS", -60.0)


async def accepted(world: World, dialogue: Dialogue, **kwargs: Any) -> tuple[str, Any]:
    """Let a person call who never hangs up; returns the call and the trigger that runs it."""
    call_id = await asyncio.to_thread(world.ring, script=PhoneScript.talks_for_ever(dialogue=dialogue))
    given = {"greeting": "Hello?", "silence_seconds": None, "end_call": False, **kwargs}
    operator = AcceptCallOperator(task_id="talk", call=call_id, wait_for_end=True, **given)
    return call_id, await asyncio.to_thread(deferred, operator)


def outcome_in(world: World, call_id: str) -> Any:
    with world.client() as client:
        kept = client.send(get_conversation(call_id))
    return kept and kept.outcome


async def test_first_the_model_ends_the_call(world: World) -> None:
    call_id, deferral = await accepted(world, ENDS_IT, end_call=True, silence_seconds=30)
    await fire(deferral)
    assert (outcome_in(world, call_id), world.is_open(call_id)) == ("completed", False)


async def test_a_model_that_does_not_is_ended_by_the_silence(world: World) -> None:
    call_id, deferral = await accepted(world, SILENT, end_call=True, silence_seconds=1)
    await fire(deferral)
    assert (outcome_in(world, call_id), world.is_open(call_id)) == ("silence", False)


async def test_without_a_silence_limit_the_trigger_s_deadline_ends_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Long before the switchboard would, so that it is certainly the trigger.
    monkeypatch.setattr(conversation_rules, "LEAD_SECONDS", 57.0)
    call_id, deferral = await accepted(world, SILENT, max_duration_seconds=60)
    await fire(deferral)
    assert (outcome_in(world, call_id), world.is_open(call_id)) == ("max_duration", False)
    row = world.row(call_id)
    assert row.ended_at < row.hangup_at


@pytest.mark.usefixtures("no_deadline")
async def test_without_a_deadline_a_killed_task_ends_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    states = {FakeTask().run_id: {"wait": "failed"}}
    monkeypatch.setattr(RuntimeTaskInstance, "get_task_states", staticmethod(lambda **_: states))
    call_id, deferral = await accepted(world, SILENT)
    deferral.trigger.task_instance = FakeTask()
    await cut_off(world, deferral)
    await deferral.trigger.on_kill()
    await until(world, lambda: world.row(call_id).is_over)
    assert (world.row(call_id).end_reason, world.is_open(call_id)) == ("killed", False)


async def test_without_the_trigger_the_teardown_ends_it(world: World) -> None:
    call_id, deferral = await accepted(world, SILENT)
    await cut_off(world, deferral)
    assert world.is_open(call_id)
    await asyncio.to_thread(run_task, HangupCallOperator(task_id="hang_up", call=call_id))
    assert (world.row(call_id).end_reason, world.is_open(call_id)) == ("hung_up", False)


async def test_without_a_teardown_the_switchboard_ends_it(world: World) -> None:
    call_id, deferral = await accepted(world, SILENT, max_duration_seconds=600)
    await cut_off(world, deferral)
    assert world.is_open(call_id)
    world.let_pass(600)
    await until(world, lambda: world.row(call_id).is_over)
    assert (world.row(call_id).end_reason, world.is_open(call_id)) == ("max_duration", False)


async def test_without_the_switchboard_the_carrier_ends_a_placed_call(world: World) -> None:
    world.simulator.phones.add(PHONE, PhoneScript.talks_for_ever(after_seconds=0.1, dialogue=SILENT))
    operator = PlaceCallOperator(
        task_id="talk", to=PHONE, campaign="c", wait_for_end=True, silence_seconds=None, max_duration_seconds=1800
    )
    deferral = await asyncio.to_thread(deferred, operator)
    await cut_off(world, deferral)
    with world.switchboard_away():
        await asyncio.to_thread(world.simulator.clock.advance, 1800 + 130)
        (record,) = world.simulator.log.calls_with(PHONE)
        assert (record.ended_by, record.open) == ("carrier_limit", False)


async def test_and_last_openai_ends_it_after_an_hour(world: World) -> None:
    call_id, deferral = await accepted(world, SILENT, max_duration_seconds=3600)
    await cut_off(world, deferral)
    with world.switchboard_away():
        await asyncio.to_thread(world.simulator.clock.advance, 3700)
        record = world.record(call_id)
        assert (record.ended_by, record.open) == ("session_limit", False)


async def cut_off(world: World, deferral: Any) -> None:
    """The trigger dies in the middle of the call."""
    running = asyncio.create_task(fire(deferral))
    await until(world, world.attachments)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
