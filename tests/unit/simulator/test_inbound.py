from __future__ import annotations

import pytest
from tests.unit.simulator.support import CALLER, PERSON, SESSION

from airflow_openai_realtime.exceptions import InvalidInput
from airflow_openai_realtime.simulator import PhoneScript
from airflow_openai_realtime.simulator.world import World


def headers_of(world: World, call_id: str) -> list[tuple[str, str]]:
    call = world.calls.find(call_id)
    assert call is not None
    return list(call.sip_headers)


def test_a_call_through_a_trunk_names_the_dialled_number_in_diversion(world: World) -> None:
    headers = dict(headers_of(world, world.call_in(PERSON, CALLER)))
    assert PERSON in headers["From"]
    assert headers["To"].startswith("<sip:proj_simulator@sip.api.openai.com")
    assert CALLER in headers["Diversion"]


def test_given_headers_are_added_and_take_the_place_of_usual_ones(world: World) -> None:
    given = [("to", f"<sip:{CALLER}@trunk>"), ("X-A", "1"), ("X-A", "2")]
    headers = headers_of(world, world.call_in(PERSON, CALLER, given))
    assert [name for name, _ in headers] == ["From", "Call-ID", "Contact", "Diversion", "to", "X-A", "X-A"]


def test_a_caller_who_gives_up_while_it_rings_is_missed(world: World) -> None:
    world.call_in(PERSON, CALLER, script=PhoneScript.hangs_up_while_ringing(5))
    world.clock.advance(5)
    row = world.log.calls[0]
    assert (row.direction, row.fate, row.ended_by, row.phone_up) == ("inbound", "missed", "caller", False)


def test_a_caller_talks_as_long_as_their_script_says(world: World) -> None:
    call_id = world.call_in(PERSON, CALLER, script=PhoneScript.answers(talks_for_seconds=7))
    world.clock.advance(3)
    world.calls.accept(call_id, SESSION)
    world.clock.advance(10)
    row = world.log.call(call_id=call_id)
    assert (row.fate, row.ended_by, row.talked_seconds) == ("completed", "caller", 7)


def test_a_call_without_a_number_is_refused(world: World) -> None:
    with pytest.raises(InvalidInput, match="both numbers"):
        world.call_in("", CALLER)


def test_a_call_can_have_an_id_that_was_given_before(world: World) -> None:
    assert world.call_in(PERSON, CALLER, call_id="rtc_u1_before") == "rtc_u1_before"
    world.calls.accept("rtc_u1_before", SESSION)
    assert world.log.call(call_id="rtc_u1_before").open


def test_two_calls_cannot_have_one_id(world: World) -> None:
    world.call_in(PERSON, CALLER, call_id="rtc_u1_before")
    with pytest.raises(InvalidInput, match="another id"):
        world.call_in(PERSON, CALLER, call_id="rtc_u1_before")
    assert len(world.log.calls) == 1
