from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.simulator.support import PERSON, SESSION, TARGET, twiml

from airflow_openai_realtime.simulator import PhoneScript
from airflow_openai_realtime.simulator.calls import SimulatedCall
from airflow_openai_realtime.simulator.carrier import CarrierCall
from airflow_openai_realtime.simulator.carrier_orders import Order
from airflow_openai_realtime.simulator.refusals import Refusal
from airflow_openai_realtime.simulator.world import World


def at_openai(world: World, call: CarrierCall) -> SimulatedCall:
    found = world.calls.find(call.record.call_id or "")
    assert found is not None
    return found


def answered(world: World, order: Order, script: PhoneScript | None = None) -> CarrierCall:
    """A call whose person has answered and hears OpenAI ring."""
    world.phones.add(PERSON, script or PhoneScript())
    call = world.carrier.place(order)
    world.clock.advance(3)
    assert call.status == "in-progress"
    return call


def accepted(world: World, order: Order, script: PhoneScript | None = None) -> CarrierCall:
    """A call in which the person and the model talk."""
    call = answered(world, order, script)
    world.calls.accept(at_openai(world, call).call_id, SESSION)
    return call


def test_a_person_who_answers_and_hangs_up_completes_the_call(world: World, order: Order) -> None:
    call = accepted(world, order, PhoneScript.answers(talks_for_seconds=30))
    world.clock.advance(29)
    assert call.status == "in-progress"
    world.clock.advance(2)
    (row,) = world.log.calls
    assert (call.status, call.duration_seconds) == ("completed", 31)
    assert (row.fate, row.ended_by, row.rang, row.talked_seconds) == ("completed", "caller", 1, 30)
    assert (row.open, row.phone_up) == (False, False)


def test_statuses_follow_each_other_as_at_twilio(world: World, order: Order) -> None:
    call = world.carrier.place(order)
    seen = [call.status]
    for seconds in (0, 2):
        world.clock.advance(seconds)
        seen.append(call.status)
    assert seen == ["queued", "ringing", "in-progress"]


@pytest.mark.parametrize(
    ("script", "status", "fate", "rang"),
    [
        (PhoneScript.busy(), "busy", "busy", 0),
        (PhoneScript.no_answer(), "no-answer", "no_answer", 1),
        (PhoneScript.declines(), "busy", "busy", 1),
        (PhoneScript.invalid(), "failed", "failed", 0),
        (PhoneScript.answers(after_seconds=61), "no-answer", "no_answer", 1),
    ],
)
def test_a_person_who_cannot_be_reached_has_a_status_of_their_own(
    world: World, order: Order, script: PhoneScript, status: str, fate: str, rang: int
) -> None:
    world.phones.add(PERSON, script)
    call = world.carrier.place(order)
    world.clock.advance(120)
    (row,) = world.log.calls
    assert (call.status, call.duration_seconds, row.fate, row.rang, row.call_id) == (status, None, fate, rang, None)
    assert len(world.log.dials(PERSON)) == 1
    assert len(world.log.rings(PERSON)) == rang


def test_a_phone_rings_no_longer_than_asked_for(world: World, order: Order) -> None:
    world.phones.add(PERSON, PhoneScript.no_answer())
    call = world.carrier.place(replace(order, ring_seconds=15))
    world.clock.advance(14.9)
    assert call.status == "ringing"
    world.clock.advance(0.2)
    assert call.status == "no-answer"


def test_a_person_who_talks_for_ever_is_hung_up_by_the_app(world: World, order: Order) -> None:
    call = accepted(world, order, PhoneScript.talks_for_ever())
    world.clock.advance(600)
    world.calls.hang_up(at_openai(world, call).call_id)
    assert call.status == "completed"
    assert [row.talked_seconds for row in world.log.hangups()] == [600]


def test_the_time_limit_of_the_call_ends_it(world: World, order: Order) -> None:
    call = accepted(world, replace(order, time_limit_seconds=60), PhoneScript.talks_for_ever())
    world.clock.advance(60)
    assert (call.status, call.duration_seconds, world.log.calls[0].ended_by) == ("completed", 60, "carrier_limit")


def test_the_time_limit_of_the_bridge_ends_it(world: World, order: Order) -> None:
    limited = replace(order, twiml=twiml(attributes='timeLimit="45"'))
    call = accepted(world, limited, PhoneScript.talks_for_ever())
    world.clock.advance(44)
    assert call.status == "in-progress"
    world.clock.advance(2)
    assert (call.status, world.log.calls[0].ended_by) == ("completed", "carrier_limit")


def test_a_call_that_openai_refuses_is_completed_for_the_carrier(world: World, order: Order) -> None:
    call = answered(world, order)
    world.calls.reject(at_openai(world, call).call_id, 603)
    assert (call.status, world.log.calls[0].fate) == ("completed", "rejected")


def test_a_call_that_nobody_accepts_ends_with_openais_ring_limit(world: World, order: Order) -> None:
    call = answered(world, order)
    world.clock.advance(30)
    assert (call.status, world.log.calls[0].ended_by) == ("completed", "ring_limit")


def test_the_carrier_stops_ringing_openai_after_its_own_limit(world: World, order: Order) -> None:
    call = answered(world, replace(order, twiml=twiml(attributes='timeout="5"')))
    world.clock.advance(5)
    assert (call.status, world.log.calls[0].ended_by) == ("completed", "carrier_timeout")


def test_a_person_who_loses_patience_while_openai_rings_is_missed(world: World, order: Order) -> None:
    call = answered(world, order, PhoneScript.hangs_up_while_ringing(4))
    world.clock.advance(4)
    (row,) = world.log.calls
    assert (call.status, row.fate, row.ended_by) == ("completed", "missed", "caller")


def test_patience_ends_when_somebody_talks(world: World, order: Order) -> None:
    call = accepted(world, order, PhoneScript.hangs_up_while_ringing(4, talks_for_seconds=20))
    world.clock.advance(19)
    assert call.status == "in-progress"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (twiml(params=""), "udp"),
        (twiml(params=";transport=tcp"), "tcp"),
        (twiml(project="proj_other"), "no project proj_other"),
        (twiml(host="sip-eu.api.openai.com"), "sip-eu"),
        ("<Response><Say>Hello</Say></Response>", "exactly one <Dial>"),
    ],
)
def test_a_bridge_that_would_fail_at_openai_fails_here(world: World, order: Order, text: str, why: str) -> None:
    world.phones.add(PERSON, PhoneScript())
    call = world.carrier.place(replace(order, twiml=text))
    world.clock.advance(3)
    (row,) = world.log.calls
    assert (call.status, row.fate, row.rang, row.call_id) == ("completed", "failed", 1, None)
    assert why in world.log.of_kind("carrier.bridge_failed")[0].detail["why"]


def test_headers_of_the_bridge_reach_openai(world: World, order: Order) -> None:
    call = answered(world, order)
    headers = dict(at_openai(world, call).sip_headers)
    assert headers["X-Correlation-Id"] == "abc"
    assert headers["To"] == "<sip:proj_simulator@sip.api.openai.com;transport=tls>"
    assert "+14155550100" in headers["From"]
    assert headers["X-Twilio-CallSid"] != call.sid


def test_one_call_a_second_is_started_and_the_rest_is_queued(world: World, order: Order) -> None:
    calls = [world.carrier.place(replace(order, to=f"+1415555020{n}")) for n in range(3)]
    world.clock.advance(0)
    assert [call.status for call in calls] == ["ringing", "queued", "queued"]
    world.clock.advance(1)
    assert [call.status for call in calls] == ["ringing", "ringing", "queued"]


def test_the_pace_can_be_switched_off(world: World, order: Order) -> None:
    world.reset(calls_per_second=None)
    calls = [world.carrier.place(replace(order, to=f"+1415555020{n}")) for n in range(3)]
    world.clock.advance(0)
    assert {call.status for call in calls} == {"ringing"}


@pytest.mark.parametrize("status", ["canceled", "completed"])
def test_a_call_that_is_ended_before_the_answer_is_canceled(world: World, order: Order, status: str) -> None:
    call = world.carrier.place(order)
    world.clock.advance(1)
    world.carrier.end(call.sid, status)
    world.clock.advance(60)
    assert (call.status, world.log.calls[0].fate, world.log.calls[0].ended_by) == (
        "canceled",
        "canceled",
        "carrier_api",
    )


def test_a_call_that_is_canceled_in_the_queue_never_rings(world: World, order: Order) -> None:
    world.carrier.place(replace(order, to=TARGET))
    call = world.carrier.place(order)
    world.carrier.end(call.sid, "canceled")
    world.clock.advance(60)
    assert world.log.dials(PERSON) == []


def test_a_call_in_progress_ends_when_it_is_completed_but_not_when_canceled(world: World, order: Order) -> None:
    call = accepted(world, order, PhoneScript.talks_for_ever())
    assert world.carrier.end(call.sid, "canceled").status == "in-progress"
    assert world.carrier.end(call.sid, "completed").status == "completed"
    assert world.log.calls[0].ended_by == "carrier_api"
    assert world.log.open_calls() == []


def test_a_call_that_is_over_cannot_be_ended(world: World, order: Order) -> None:
    world.phones.add(PERSON, PhoneScript.busy())
    call = world.carrier.place(order)
    world.clock.advance(1)
    with pytest.raises(Refusal) as caught:
        world.carrier.end(call.sid, "completed")
    assert (caught.value.status, caught.value.code) == (400, 21220)


def test_machine_detection_tells_what_answered_only_when_asked_for(world: World, order: Order) -> None:
    script = PhoneScript.answers(answered_by="machine_start")
    assert answered(world, order, script).answered_by is None
    assert answered(world, replace(order, detects_machines=True), script).answered_by == "machine_start"


def test_a_reset_forgets_calls_and_stops_their_timers(world: World, order: Order) -> None:
    world.carrier.place(order)
    world.reset()
    world.clock.advance(60)
    assert world.carrier.calls() == world.log.entries == []
