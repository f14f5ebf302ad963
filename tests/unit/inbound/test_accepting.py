"""Accepting a call from a task, at the simulator and through a switchboard."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from airflow_world import CALLER, FakeTask, World

from airflow_openai_realtime.api.client import CallsClient
from airflow_openai_realtime.api.session.realtime_session import RealtimeSession
from airflow_openai_realtime.calls.call import SwitchboardCall
from airflow_openai_realtime.calls.line_settings import line_from_fields
from airflow_openai_realtime.calls.owner import owner_name
from airflow_openai_realtime.calls.parameters import CallReference
from airflow_openai_realtime.exceptions import CallGone, ClaimLost, MoveRefused
from airflow_openai_realtime.inbound.accepting import Acceptance, accepting_owner
from airflow_openai_realtime.switchboard.client.switchboard_requests import claim_call

SESSION = RealtimeSession(instructions="Hi")
TASK = FakeTask("campaign", "run", "accept")


@pytest.fixture
def calls(world: World) -> Iterator[CallsClient]:
    fields = {"webhook_secret": world.simulator.webhook_secret, "timeout_seconds": 30}
    line = line_from_fields("support", world.simulator.api_key, world.simulator.openai_base_url, fields)
    with CallsClient(line.api) as client:
        yield client


Begin = Callable[..., Acceptance]


@pytest.fixture
def begin(world: World, calls: CallsClient) -> Iterator[Begin]:
    """Begins attempts to accept a call."""
    with world.client() as switchboard:

        def begun(call_id: str, *, is_sole: bool = False) -> Acceptance:
            return Acceptance(calls, switchboard, call_id, "me", said.append, is_sole=is_sole)

        yield begun


said: list[str] = []


def test_an_accepted_call_is_the_owner_s_and_has_its_end(world: World, begin: Begin) -> None:
    call_id = world.ring()
    acceptance = begin(call_id)
    call = acceptance.accept(SESSION, 60)
    assert (call.state, call.claimed_by, acceptance.is_ours) == ("accepted", "me", True)
    assert world.row(call_id).hangup_at is not None
    assert world.is_open(call_id)


def test_the_same_owner_accepts_nothing_twice(world: World, begin: Begin) -> None:
    call_id = world.ring()
    for _ in range(2):
        assert begin(call_id).accept(SESSION, 60).state == "accepted"
    assert world.count("openai.accept") == 1


def test_the_session_can_be_made_for_the_call(world: World, begin: Begin) -> None:
    call_id, made_for = world.ring(), list[str | None]()

    def session_for(call: SwitchboardCall) -> RealtimeSession:
        made_for.append(call.from_number)
        return SESSION

    assert begin(call_id).accept(session_for, 60).state == "accepted"
    assert made_for == [CALLER]


def test_another_owner_s_call_is_not_accepted(world: World, begin: Begin) -> None:
    call_id = world.ring()
    with world.client() as client:
        client.send(claim_call(call_id, "somebody else"))
    acceptance = begin(call_id)
    with pytest.raises(ClaimLost):
        acceptance.accept(SESSION, 60)
    assert (acceptance.is_ours, world.count("openai.accept")) == (False, 0)


def test_an_owner_that_may_have_one_call_gets_no_second(world: World, begin: Begin) -> None:
    first, second = world.ring(), world.ring()
    begin(first, is_sole=True).accept(SESSION, 60)
    with pytest.raises(MoveRefused):
        begin(second, is_sole=True).accept(SESSION, 60)
    assert world.row(second).state == "ringing"


def test_a_caller_who_has_left_is_told_so(world: World, begin: Begin) -> None:
    call_id = world.ring()
    world.simulator.phones.hang_up(CALLER)
    with pytest.raises(CallGone):
        begin(call_id).accept(SESSION, 60)
    assert world.row(call_id).is_over


def test_who_accepts_is_who_claimed_it_for_this_run_else_the_task(world: World) -> None:
    call_id = world.ring()
    with world.client() as client:
        assert accepting_owner(CallReference(call_id), TASK, client) == owner_name(TASK)
        waiting = owner_name(FakeTask("campaign", "run", "wait"))
        client.send(claim_call(call_id, waiting))
        assert accepting_owner(CallReference(call_id), TASK, client) == waiting
        other_run = FakeTask("campaign", "another run", "accept")
        assert accepting_owner(CallReference(call_id), other_run, client) == owner_name(other_run)
        assert accepting_owner(CallReference(call_id, claimed_by="told"), TASK, client) == "told"
        assert accepting_owner(CallReference("rtc_unknown"), TASK, client) == owner_name(TASK)
