from __future__ import annotations

import pytest
from tests.unit.simulator.support import CALLER, PERSON, SESSION, TARGET, twiml

from airflow_openai_realtime.simulator import CallRecord, PhoneScript
from airflow_openai_realtime.simulator.bridge import phone_of
from airflow_openai_realtime.simulator.carrier_orders import Order
from airflow_openai_realtime.simulator.world import World


def transfer(world: World, script: PhoneScript, target: PhoneScript) -> CallRecord:
    """A call that came in, was accepted and has just been handed over."""
    world.phones.add(TARGET, target)
    call_id = world.call_in(PERSON, CALLER, script=script)
    world.calls.accept(call_id, SESSION)
    world.clock.advance(10)
    world.calls.refer(call_id, f"tel:{TARGET}")
    world.clock.advance(0.5)
    return world.log.call(call_id=call_id)


def test_a_transferred_person_talks_with_the_target(world: World) -> None:
    row = transfer(world, PhoneScript.talks_for_ever(), PhoneScript.answers(after_seconds=3, talks_for_seconds=60))
    assert (row.fate, row.ended_by, row.open, row.phone_up) == ("transferred", "transfer", False, True)
    assert row.talked_seconds == 10.5
    assert len(world.log.rings(TARGET)) == 1
    world.clock.advance(62)
    assert world.log.calls[0].phone_up
    world.clock.advance(2)
    assert not world.log.calls[0].phone_up


def test_a_transferred_person_hangs_up_when_they_would_have(world: World) -> None:
    transfer(world, PhoneScript.answers(talks_for_seconds=30), PhoneScript.talks_for_ever())
    world.clock.advance(19)
    assert world.log.calls[0].phone_up
    world.clock.advance(1)
    row = world.log.calls[0]
    assert (row.phone_up, row.fate, row.ended_by) == (False, "transferred", "transfer")


@pytest.mark.parametrize("target", [PhoneScript.busy(), PhoneScript.invalid(), PhoneScript.declines()])
def test_a_transfer_to_somebody_who_cannot_talk_frees_the_phone(world: World, target: PhoneScript) -> None:
    transfer(world, PhoneScript.talks_for_ever(), target)
    world.clock.advance(3)
    row = world.log.calls[0]
    assert (row.fate, row.open, row.phone_up) == ("transferred", False, False)


def test_a_person_may_hang_up_while_the_target_rings(world: World) -> None:
    transfer(world, PhoneScript.talks_for_ever(), PhoneScript.no_answer())
    assert world.phones.hang_up(PERSON) == 1
    assert not world.log.calls[0].phone_up


REFER = 'referUrl="https://x"'


def test_a_carrier_call_is_completed_when_the_transferred_talk_is_over(world: World) -> None:
    world.phones.add(PERSON, PhoneScript.talks_for_ever())
    world.phones.add(TARGET, PhoneScript.answers(after_seconds=1, talks_for_seconds=5))
    call = world.carrier.place(Order(to=PERSON, from_number=CALLER, twiml=twiml(attributes=REFER)))
    world.clock.advance(3)
    world.calls.accept(call.record.call_id or "", SESSION)
    world.calls.refer(call.record.call_id or "", f"sip:{TARGET}@pbx.example.com")
    world.clock.advance(1)
    assert call.status == "in-progress"
    world.clock.advance(6)
    assert (call.status, call.record.fate) == ("completed", "transferred")


@pytest.mark.parametrize(
    ("settings", "attributes", "fate"),
    [
        ({}, "", "in_progress"),
        ({}, REFER, "transferred"),
        ({"transfers_need_refer_url": False}, "", "transferred"),
    ],
)
def test_the_carrier_transfers_only_with_a_refer_url_unless_it_is_told_otherwise(
    world: World, settings: dict[str, bool], attributes: str, fate: str
) -> None:
    world.reset(**settings)
    world.phones.add(PERSON, PhoneScript.talks_for_ever())
    call = world.carrier.place(Order(to=PERSON, from_number=CALLER, twiml=twiml(attributes=attributes)))
    world.clock.advance(3)
    world.calls.accept(call.record.call_id or "", SESSION)
    world.calls.refer(call.record.call_id or "", f"tel:{TARGET}")
    world.clock.advance(5)
    assert world.log.calls[0].fate == fate


def test_a_person_who_hangs_up_on_demand_ends_the_session(world: World) -> None:
    call_id = world.call_in(PERSON, CALLER)
    world.calls.accept(call_id, SESSION)
    assert world.phones.hang_up(PERSON) == 1
    assert world.phones.hang_up(PERSON) == 0
    assert (world.log.calls[0].fate, world.log.calls[0].ended_by) == ("completed", "caller")


@pytest.mark.parametrize(
    ("uri", "phone"),
    [
        ("tel:+14155550199", "+14155550199"),
        ("tel:+14155550199;ext=1", "+14155550199"),
        ("sip:+14155550199@pbx.example.com;user=phone", "+14155550199"),
        ("sip:%2B14155550199@pbx.example.com", "+14155550199"),
        ("sip:agent@example.com", "agent@example.com"),
    ],
)
def test_a_target_uri_leads_to_a_phone(uri: str, phone: str) -> None:
    assert phone_of(uri) == phone
