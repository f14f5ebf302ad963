"""What becomes of a caller, and of the task, when OpenAI does not accept a ringing call for a reason of ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from airflow_world import CALLER, OUR_NUMBER, FakeTask, World, context, run_task

from airflow_openai_realtime.exceptions import (
    AuthenticationError,
    CallError,
    OutcomeUnknown,
    RequestRefused,
)
from airflow_openai_realtime.operators.accept import AcceptCallOperator
from airflow_openai_realtime.operators.claim import ClaimCallsOperator
from airflow_openai_realtime.operators.line import OpenLineOperator
from airflow_openai_realtime.sensors.incoming_call import IncomingCallSensor
from airflow_openai_realtime.simulator.phones import PhoneScript

FOR_EVER = PhoneScript.talks_for_ever()


def accepting(call: Any, **kwargs: Any) -> AcceptCallOperator:
    return AcceptCallOperator(task_id="accept", call=call, **kwargs)


def the_sensors_call(world: World) -> dict[str, Any]:
    """A call that rings, and that the sensor of this run has."""
    world.ring(script=FOR_EVER)
    call: dict[str, Any] = run_task(IncomingCallSensor(task_id="wait"))
    return call


def refused(world: World, call: Any, *, status: int = 401, **kwargs: Any) -> None:
    """Let the accept task fail once."""
    world.simulator.faults.status("accept", status)
    with pytest.raises((AuthenticationError, RequestRefused)):
        run_task(accepting(call, **kwargs))


@pytest.mark.parametrize("wait_for_end", [False, True])
@pytest.mark.parametrize("status", [401, 403, 400, 422])
def test_after_a_refused_accept_the_phone_rings_on_and_anybody_may_take_the_call(
    world: World, status: int, wait_for_end: bool
) -> None:
    call = the_sensors_call(world)
    refused(world, call, status=status, wait_for_end=wait_for_end)
    row = world.row(call["call_id"])
    assert (row.state, row.claimed_by, row.hangup_at, row.ended_at) == ("ringing", None, None, None)
    other = run_task(IncomingCallSensor(answer=True, task_id="other"), context(FakeTask(task_id="other")))
    assert (other["call_id"], other["state"], other["end_reason"]) == (call["call_id"], "accepted", None)
    assert world.is_open(call["call_id"])


def test_after_a_refused_accept_the_retry_accepts_the_call(world: World) -> None:
    call = the_sensors_call(world)
    refused(world, call)
    assert run_task(accepting(call), context(FakeTask(task_id="accept", try_number=2)))["state"] == "accepted"
    assert world.is_open(call["call_id"])


def test_after_a_refused_accept_a_fallback_answers(world: World) -> None:
    call = the_sensors_call(world)
    world.let_pass(5)
    fallback = OpenLineOperator(
        task_id="open", name="fallback", to=OUR_NUMBER, instructions="Sorry.", unclaimed_after_seconds=5
    )
    run_task(fallback)
    refused(world, call)
    assert world.simulator.wait_for(lambda: world.row(call["call_id"]).state == "accepted")
    assert world.row(call["call_id"]).claimed_by == "order:fallback"
    assert world.is_open(call["call_id"])


def test_a_call_that_rang_out_after_a_refused_accept_is_red_and_not_skipped(world: World) -> None:
    call = the_sensors_call(world)
    refused(world, call)
    world.let_pass(3600)
    assert world.simulator.wait_for(lambda: world.row(call["call_id"]).state == "missed")
    assert world.row(call["call_id"]).end_reason == "accept_failed"
    for wait_for_end in (False, True):
        with pytest.raises(AirflowFailException, match="could not be accepted while it rang"):
            run_task(accepting(call, wait_for_end=wait_for_end))


def test_a_caller_who_gave_up_after_a_refused_accept_is_red_and_not_skipped(world: World) -> None:
    call = the_sensors_call(world)
    refused(world, call)
    world.simulator.phones.hang_up(CALLER)
    with pytest.raises(AirflowFailException, match="could not be accepted while it rang"):
        run_task(accepting(call))
    row = world.row(call["call_id"])
    assert (row.state, row.end_reason) == ("ended", "accept_failed")


@pytest.mark.parametrize(("status", "times"), [(429, 7), (503, 7), (500, 7)])
def test_an_accept_that_openai_has_no_time_for_is_tried_again_as_long_as_it_rings(
    world: World, status: int, times: int
) -> None:
    call = the_sensors_call(world)
    world.simulator.faults.status("accept", status, times=times)
    assert run_task(accepting(call))["state"] == "accepted"
    assert world.is_open(call["call_id"])


@pytest.mark.parametrize(
    "fault",
    [
        lambda faults: faults.status("accept", 500, carried_out=True),
        lambda faults: faults.status("accept", 503, carried_out=True),
        lambda faults: faults.reset("accept", carried_out=True),
        lambda faults: faults.time_out("accept", carried_out=True),
        lambda faults: (faults.status("accept", 500, carried_out=True), faults.status("accept", 401)),
    ],
)
def test_a_call_that_was_accepted_without_a_clear_answer_is_not_hung_up(
    world: World, fault: Callable[[Any], object]
) -> None:
    world.connect(timeout_seconds=3)
    call = the_sensors_call(world)
    fault(world.simulator.faults)
    assert run_task(accepting(call))["state"] == "accepted"
    assert world.is_open(call["call_id"])
    assert world.record(call["call_id"]).accepted == 1
    assert world.row(call["call_id"]).state == "accepted"


def test_an_accept_that_was_lost_on_its_way_is_sent_again(world: World) -> None:
    call = the_sensors_call(world)
    world.simulator.faults.reset("accept", carried_out=False)
    assert run_task(accepting(call))["state"] == "accepted"
    assert world.record(call["call_id"]).accepted == 1


def test_while_nobody_can_tell_whether_it_was_accepted_the_call_is_kept_for_the_retry(world: World) -> None:
    call = the_sensors_call(world)
    world.simulator.faults.reset("accept", carried_out=True)
    world.simulator.faults.status("sideband", 401, times=1)
    with pytest.raises(OutcomeUnknown):
        run_task(accepting(call))
    assert world.is_open(call["call_id"])
    assert world.row(call["call_id"]).hangup_at is not None
    assert run_task(accepting(call))["state"] == "accepted"
    assert world.is_open(call["call_id"])


def test_an_answer_task_that_is_refused_fails_and_its_retry_answers_the_same_caller(world: World) -> None:
    call_id = world.ring(script=FOR_EVER)
    world.simulator.faults.status("accept", 401)
    with pytest.raises(AuthenticationError):
        run_task(IncomingCallSensor(answer=True, task_id="wait"))
    assert world.row(call_id).state == "ringing"
    assert run_task(IncomingCallSensor(answer=True, task_id="wait"))["call_id"] == call_id


def test_a_killed_task_that_has_asked_for_nothing_leaves_the_phone_ringing(world: World) -> None:
    call = the_sensors_call(world)
    operator = accepting(call)
    operator.on_kill()
    with pytest.raises(CallError, match="stopped"):
        run_task(operator)
    assert world.row(call["call_id"]).state == "ringing"
    assert run_task(ClaimCallsOperator(task_id="all"))[0]["call_id"] == call["call_id"]


def test_a_caller_who_hung_up_without_a_failure_of_ours_is_skipped(world: World) -> None:
    call = the_sensors_call(world)
    world.simulator.phones.hang_up(CALLER)
    with pytest.raises(AirflowSkipException):
        run_task(accepting(call))
    assert world.row(call["call_id"]).end_reason == "gone"
