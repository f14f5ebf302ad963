from __future__ import annotations

import pytest
from tests.unit.simulator.support import CALLER, PERSON, SESSION

from airflow_openai_realtime.simulator import Dialogue
from airflow_openai_realtime.simulator.calls import SimulatedCall
from airflow_openai_realtime.simulator.refusals import Refusal
from airflow_openai_realtime.simulator.world import World


class Leg:
    """Remembers what happened to the call."""

    def __init__(self, *, can_transfer: bool = True) -> None:
        self.told: list[object] = []
        self.can_transfer = can_transfer

    def on_accepted(self) -> None:
        self.told.append("accepted")

    def on_refused(self, sip_status: int) -> None:
        self.told.append(("refused", sip_status))

    def on_ended(self, ended_by: str) -> None:
        self.told.append(("ended", ended_by))

    def on_referred(self, target_uri: str) -> bool:
        self.told.append(("referred", target_uri))
        return self.can_transfer


@pytest.fixture
def leg() -> Leg:
    return Leg()


@pytest.fixture
def call(world: World, leg: Leg) -> SimulatedCall:
    return world.calls.invite(world.log.open_record("inbound", PERSON, CALLER), (), leg, Dialogue())


def refused(operation: object, *arguments: object) -> tuple[int, object]:
    with pytest.raises(Refusal) as caught:
        operation(*arguments)  # type: ignore[operator]
    return caught.value.status, caught.value.code


GONE = (404, "call_id_not_found")
DECIDED = (400, "decision_already_made")


def test_an_accepted_call_is_open_until_it_is_hung_up(world: World, call: SimulatedCall, leg: Leg) -> None:
    world.calls.accept(call.call_id, SESSION)
    assert [row.call_id for row in world.log.open_calls()] == [call.call_id]
    world.clock.advance(12)
    world.calls.hang_up(call.call_id)
    (row,) = world.log.calls
    assert (row.fate, row.ended_by, row.accepted, row.talked_seconds, row.open) == (
        "completed",
        "api_hangup",
        1,
        12,
        False,
    )
    assert leg.told == ["accepted", ("ended", "api_hangup")]


def test_a_second_decision_comes_too_late(world: World, call: SimulatedCall) -> None:
    world.calls.accept(call.call_id, SESSION)
    assert refused(world.calls.accept, call.call_id, SESSION) == DECIDED
    assert refused(world.calls.reject, call.call_id, 603) == DECIDED


def test_a_call_that_is_over_is_gone_for_every_decision(world: World, call: SimulatedCall) -> None:
    world.calls.accept(call.call_id, SESSION)
    world.calls.hang_up(call.call_id)
    assert refused(world.calls.accept, call.call_id, SESSION) == GONE
    assert refused(world.calls.reject, call.call_id, 603) == GONE


def test_a_rejected_call_tells_its_sip_status_to_the_caller(world: World, call: SimulatedCall, leg: Leg) -> None:
    world.calls.reject(call.call_id, 486)
    (row,) = world.log.calls
    assert (row.fate, row.ended_by, row.sip_status, row.accepted) == ("rejected", "api_reject", 486, 0)
    assert leg.told == [("refused", 486)]
    assert refused(world.calls.accept, call.call_id, SESSION) == DECIDED


def test_a_call_nobody_decides_about_is_missed_after_the_ring_limit(
    world: World, call: SimulatedCall, leg: Leg
) -> None:
    world.clock.advance(19.9)
    assert call.state == "ringing"
    world.clock.advance(0.2)
    (row,) = world.log.calls
    assert (row.fate, row.ended_by, row.sip_status) == ("missed", "ring_limit", 400)
    assert leg.told == [("refused", 400)]
    assert refused(world.calls.accept, call.call_id, SESSION) == GONE


def test_a_call_whose_caller_left_is_gone(world: World, call: SimulatedCall) -> None:
    world.calls.caller_left(call, "caller")
    assert refused(world.calls.accept, call.call_id, SESSION) == GONE
    assert refused(world.calls.reject, call.call_id, 603) == GONE
    assert world.log.calls[0].fate == "missed"


@pytest.mark.parametrize("operation", ["hang_up", "refer"])
def test_a_call_that_is_not_live_can_be_neither_hung_up_nor_transferred(
    world: World, call: SimulatedCall, operation: str
) -> None:
    arguments = ("tel:+14155550199",) if operation == "refer" else ()
    run = getattr(world.calls, operation)
    assert refused(run, call.call_id, *arguments) == GONE
    world.calls.accept(call.call_id, SESSION)
    world.calls.hang_up(call.call_id)
    assert refused(run, call.call_id, *arguments) == GONE
    assert refused(run, "rtc_unknown", *arguments) == GONE


def test_a_transfer_ends_the_session_a_little_later(world: World, call: SimulatedCall, leg: Leg) -> None:
    world.calls.accept(call.call_id, SESSION)
    world.calls.refer(call.call_id, "tel:+14155550199")
    assert call.state == "accepted"
    world.clock.advance(1)
    (row,) = world.log.calls
    assert (row.fate, row.ended_by, row.transferred_to) == ("transferred", "transfer", "tel:+14155550199")
    assert leg.told == ["accepted", ("referred", "tel:+14155550199")]


def test_a_transfer_that_the_carrier_ignores_leaves_the_call_as_it_is(world: World) -> None:
    record = world.log.open_record("inbound", PERSON, CALLER)
    call = world.calls.invite(record, (), Leg(can_transfer=False), Dialogue())
    world.calls.accept(call.call_id, SESSION)
    world.calls.refer(call.call_id, "tel:+14155550199")
    world.clock.advance(5)
    assert call.state == "accepted"
    assert (record.fate, record.transferred_to) == ("in_progress", None)


def test_a_transfer_after_a_session_error_says_yes_and_does_nothing(
    world: World, call: SimulatedCall, leg: Leg
) -> None:
    world.calls.accept(call.call_id, SESSION)
    call.refer_is_lost = True
    world.calls.refer(call.call_id, "tel:+14155550199")
    world.clock.advance(5)
    assert leg.told == ["accepted"]
    assert len(world.log.of_kind("openai.refer_lost")) == 1


def test_a_session_ends_after_its_longest_time(world: World, call: SimulatedCall) -> None:
    world.calls.accept(call.call_id, SESSION)
    world.clock.advance(3600)
    assert world.log.calls[0].ended_by == "session_limit"


def test_a_dead_session_was_accepted_and_is_gone(world: World, call: SimulatedCall, leg: Leg) -> None:
    world.calls.accept(call.call_id, SESSION, dies=True)
    (row,) = world.log.calls
    assert (row.accepted, row.fate, row.ended_by, row.open) == (1, "failed", "dead_session", False)
    assert leg.told == [("refused", 400)]
    assert refused(world.calls.hang_up, call.call_id) == GONE


def test_those_who_watch_a_call_are_told_once_that_it_ended(world: World, call: SimulatedCall) -> None:
    told: list[str] = []
    call.on_end.append(told.append)
    world.calls.accept(call.call_id, SESSION)
    world.calls.hang_up(call.call_id)
    world.calls.reset()
    assert told == ["api_hangup"]
