"""All parts of a simulator know each other, and a reset leaves nothing of an earlier life."""

from __future__ import annotations

import pytest
from tests.unit.simulator.support import CALLER, PERSON, SESSION

from airflow_openai_realtime.exceptions import InvalidInput
from airflow_openai_realtime.simulator import PhoneScript, SimulatorSettings
from airflow_openai_realtime.simulator.carrier_orders import Order
from airflow_openai_realtime.simulator.world import World


def test_a_call_goes_from_the_phone_to_a_live_session(world: World) -> None:
    call_id = world.call_in(PERSON, CALLER, (("X-Queue", "sales"),), PhoneScript.talks_for_ever())
    world.calls.accept(call_id, SESSION)
    call = world.calls.find(call_id)
    assert call is not None
    world.clock.advance(5)
    assert world.log.call(call_id=call_id).open
    assert ("X-Queue", "sales") in call.sip_headers
    world.phones.hang_up(PERSON)
    world.clock.advance(5)
    assert not world.log.call(call_id=call_id).open


def test_a_call_may_have_an_id_of_its_own(world: World) -> None:
    assert world.call_in(PERSON, CALLER, call_id="rtc_mine") == "rtc_mine"


def test_a_reset_forgets_calls_scripts_faults_targets_and_time(world: World, order: Order) -> None:
    world.phones.add(PERSON, PhoneScript.busy())
    world.webhooks.add("http://127.0.0.1:9/webhook")
    world.faults.status("place", 429)
    call_id = world.call_in(PERSON, CALLER)
    world.clock.advance(3600)
    world.reset(speed=0)
    assert world.calls.find(call_id) is None
    assert (world.phones.scripts(), world.faults.pending, list(world.webhooks.targets)) == ({}, [], [])
    assert (list(world.log.calls), list(world.log.entries)) == ([], [])
    assert not world.clock.has_timers


def test_changes_of_a_reset_hold_until_the_next_one(world: World) -> None:
    world.reset(ring_seconds=7, speed=3)
    assert (world.settings.ring_seconds, world.clock.speed) == (7, 3)
    world.reset()
    first = SimulatorSettings(speed=0, settle_seconds=0)
    assert (world.settings.ring_seconds, world.clock.speed) == (first.ring_seconds, 0)


def test_a_reset_that_cannot_be_carried_out_changes_nothing(world: World) -> None:
    call_id = world.call_in(PERSON, CALLER)
    for wrong in ({"speed": -1}, {"no_such_setting": 1}):
        with pytest.raises(InvalidInput):
            world.reset(**wrong)
    assert world.calls.find(call_id) is not None


def test_parts_see_a_changed_setting_at_once(world: World) -> None:
    world.reset(project_id="proj_other", speed=0)
    call_id = world.call_in(PERSON, CALLER)
    call = world.calls.find(call_id)
    assert call is not None
    assert any("proj_other" in value for _, value in call.sip_headers)
