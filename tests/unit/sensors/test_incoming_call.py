from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowRescheduleException,
    AirflowSensorTimeout,
    AirflowSkipException,
    TaskDeferred,
)
from airflow_world import CALLER, CONN_ID, OUR_NUMBER, FakeTask, World, context, run_task

from airflow_openai_realtime.calls.owner import owner_name
from airflow_openai_realtime.exceptions import InvalidInput, SwitchboardRefused, SwitchboardUnreachable
from airflow_openai_realtime.operators.accept import AcceptCallOperator
from airflow_openai_realtime.operators.hang_up import HangupCallOperator
from airflow_openai_realtime.operators.place import PlaceCallOperator
from airflow_openai_realtime.outbound import placed as placed_calls
from airflow_openai_realtime.sensors.incoming_call import IncomingCallSensor
from airflow_openai_realtime.simulator.phones import PhoneScript
from airflow_openai_realtime.switchboard.client.switchboard_requests import list_attempts
from airflow_openai_realtime.triggers import pacing

PHONE = "+14155550142"


@pytest.fixture(autouse=True)
def _no_settling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pacing, "SETTLE_SECONDS", 0.0)


def waiting(**kwargs: Any) -> IncomingCallSensor:
    return IncomingCallSensor(task_id="wait", **kwargs)


def poking(**kwargs: Any) -> IncomingCallSensor:
    return waiting(**{"deferrable": False, "poke_interval": 0.02, "timeout": 60, **kwargs})


async def deferred(
    sensor: IncomingCallSensor, given: dict[str, Any] | None = None, *, meanwhile: Callable[[], object] | None = None
) -> Any:
    """Run a sensor over its deferral: the trigger in this event loop, while something happens, then the task again."""
    given = given or context()
    with pytest.raises(TaskDeferred) as deferral:
        run_task(sensor, given)
    path, kwargs = deferral.value.trigger.serialize()
    assert json.loads(json.dumps(kwargs)) == kwargs
    again = type(deferral.value.trigger)(**kwargs)
    assert path == f"{type(again).__module__}.{type(again).__name__}"
    happening = threading.Timer(0.3, meanwhile or (lambda: None))
    happening.start()
    events = [event async for event in again.run()]
    happening.join()
    assert len(events) == 1
    return run_task(sensor, given, deferral.value.method_name, event=events[0].payload)


def test_a_call_that_came_shortly_before_is_found_without_waiting(world: World) -> None:
    call_id = world.ring()
    call = run_task(waiting())
    assert (call["call_id"], call["state"], call["from_number"]) == (call_id, "claimed", CALLER)
    assert call["claimed_by"] == owner_name(FakeTask())
    assert json.loads(json.dumps(call)) == call


async def test_a_call_that_comes_later_is_found_by_the_trigger(world: World) -> None:
    call = await deferred(waiting(to=OUR_NUMBER), meanwhile=world.ring)
    assert (call["state"], call["to_number"]) == ("claimed", OUR_NUMBER)


async def test_the_deferral_lasts_a_little_longer_than_the_wait(world: World) -> None:
    with pytest.raises(TaskDeferred) as deferral:
        run_task(waiting(timeout=timedelta(seconds=100)))
    assert deferral.value.timeout == timedelta(seconds=160)


@pytest.mark.parametrize(
    ("condition", "fits"),
    [
        ({"to": OUR_NUMBER}, True),
        ({"to": "+1415*"}, True),
        ({"to": "+49*"}, False),
        ({"from_number": CALLER}, True),
        ({"from_number": "+1415555012?"}, True),
        ({"from_number": "+14155550000"}, False),
        ({"headers": {"X-Queue": "sales"}}, True),
        ({"headers": {"x-queue": "s*"}}, True),
        ({"headers": {"X-Queue": "support"}}, False),
        ({"headers": {"X-Missing": "*"}}, False),
        ({"to": OUR_NUMBER, "headers": {"X-Queue": "support"}}, False),
    ],
)
def test_only_a_call_that_matches_is_taken(world: World, condition: dict[str, Any], fits: bool) -> None:
    world.ring(headers=[("X-Queue", "sales")])
    if fits:
        assert run_task(waiting(**condition))["state"] == "claimed"
    else:
        with pytest.raises(TaskDeferred):
            run_task(waiting(**condition))


def test_two_sensors_never_get_the_same_call(world: World) -> None:
    world.ring()
    run_task(waiting(), context(FakeTask(task_id="one")))
    with pytest.raises(TaskDeferred):
        run_task(waiting(), context(FakeTask(task_id="other")))


def test_mapped_sensors_are_different_owners(world: World) -> None:
    calls = {world.ring(), world.ring()}
    got = {run_task(waiting(), context(FakeTask(map_index=index)))["call_id"] for index in range(2)}
    assert got == calls


def test_a_retried_sensor_gets_its_own_call_again(world: World) -> None:
    first = world.ring()
    run_task(waiting(), context(FakeTask(try_number=1)))
    world.ring()
    assert run_task(waiting(), context(FakeTask(try_number=2)))["call_id"] == first


def test_a_retried_sensor_gets_its_accepted_call_again(world: World) -> None:
    call_id = world.ring(script=PhoneScript.talks_for_ever())
    call = run_task(waiting())
    run_task(AcceptCallOperator(task_id="accept", call=call))
    assert run_task(waiting())["call_id"] == call_id


def test_a_cleared_sensor_does_not_get_a_call_that_is_over(world: World) -> None:
    world.ring()
    call = run_task(waiting())
    run_task(AcceptCallOperator(task_id="accept", call=call))
    run_task(HangupCallOperator(task_id="hang_up", call=call))
    with pytest.raises(TaskDeferred):
        run_task(waiting())


async def test_when_no_call_comes_in_time_the_task_fails(world: World) -> None:
    with pytest.raises(AirflowSensorTimeout, match=r"0\.2 s"):
        await deferred(waiting(timeout=0.2))


def test_when_no_call_comes_in_time_soft_fail_skips() -> None:
    sensor = waiting(timeout=0.2, soft_fail=True)
    with pytest.raises(AirflowSkipException):
        sensor.resume_execution("execute_complete", {"event": {"status": "timeout"}}, context())


def test_a_trigger_that_tells_an_error_fails_the_task_with_it() -> None:
    with pytest.raises(SwitchboardRefused, match="wrong token"):
        run_task(waiting(), None, "execute_complete", event={"status": "error", "message": "wrong token"})


@pytest.mark.parametrize("event", [None, {}])
def test_a_trigger_without_a_result_fails_the_task(event: object) -> None:
    with pytest.raises(SwitchboardRefused, match="without a result"):
        run_task(waiting(), None, "execute_complete", event=event)


def test_a_wrong_token_fails_before_anything_waits(world: World) -> None:
    world.connect(switchboard_token="wrong")
    with pytest.raises(SwitchboardRefused):
        run_task(waiting())


def test_a_switchboard_that_cannot_be_reached_fails_before_anything_waits(world: World) -> None:
    world.connect(switchboard_url="http://127.0.0.1:9")
    with pytest.raises(SwitchboardUnreachable):
        run_task(waiting())


# -- in the worker ----------------------------------------------------------------------------------------------------


def test_in_the_worker_a_later_call_is_found(world: World) -> None:
    ringing = threading.Timer(0.2, world.ring)
    ringing.start()
    assert run_task(poking())["state"] == "claimed"
    ringing.join()


@pytest.mark.parametrize(("soft_fail", "expected"), [(False, AirflowSensorTimeout), (True, AirflowSkipException)])
def test_in_the_worker_the_wait_ends(world: World, soft_fail: bool, expected: type[Exception]) -> None:
    with pytest.raises(expected):
        run_task(poking(timeout=0.1, soft_fail=soft_fail))


def test_rescheduled_it_never_defers(world: World) -> None:
    class Task(FakeTask):
        def get_first_reschedule_date(self, given: object) -> None:
            return None

    with pytest.raises(AirflowRescheduleException):
        run_task(waiting(mode="reschedule"), context(Task()))


# -- calls that were placed -------------------------------------------------------------------------------------------

#: The phone rings, and is answered or not, while the sensor waits: not before, however slow the machine is.
TIME_STANDS = pytest.mark.realtime_simulator(calls_per_second=None, speed=0, settle_seconds=30)
#: And OpenAI gives up a call whose webhook never comes.
UNHEARD = pytest.mark.realtime_simulator(calls_per_second=None, speed=0, settle_seconds=30, ring_seconds=20)


def place(world: World, script: PhoneScript) -> dict[str, Any]:
    world.simulator.phones.add(PHONE, script)
    placed: dict[str, Any] = run_task(PlaceCallOperator(task_id="place", to=PHONE, campaign="c", contact="ann"))
    return placed


async def awaited(world: World, sensor: IncomingCallSensor, given: dict[str, Any] | None = None) -> Any:
    """Run a sensor, in the triggerer or in the worker, while a minute passes for the phone."""

    def minute() -> None:
        world.simulator.clock.advance(60)

    if sensor.deferrable:
        return await deferred(sensor, given, meanwhile=minute)
    passing = threading.Timer(0.3, minute)
    passing.start()
    try:
        return run_task(sensor, given)
    finally:
        passing.join()


def attempt_of(world: World, placed: dict[str, Any]) -> Any:
    with world.client() as client:
        return next(row for row in client.send(list_attempts("c")) if row.attempt_id == placed["attempt_id"])


@TIME_STANDS
@pytest.mark.parametrize("in_worker", [False, True])
async def test_the_placed_call_is_found_among_others(world: World, in_worker: bool) -> None:
    world.ring()
    placed = place(world, PhoneScript.talks_for_ever(after_seconds=2))
    sensor = (poking if in_worker else waiting)(placed=placed)
    call = await awaited(world, sensor)
    assert call["headers"]["x-correlation-id"] == placed["correlation_id"]
    row = attempt_of(world, placed)
    assert (row.state, row.outcome, row.call_id) == ("ended", "answered", call["call_id"])


@TIME_STANDS
@pytest.mark.parametrize("in_worker", [False, True])
@pytest.mark.parametrize(
    ("script", "outcome"),
    [(PhoneScript.busy(), "busy"), (PhoneScript.no_answer(), "no_answer"), (PhoneScript.invalid(), "failed")],
)
async def test_a_phone_that_nobody_answers_skips_and_leaves_the_outcome(
    world: World, script: PhoneScript, outcome: str, in_worker: bool
) -> None:
    placed = place(world, script)
    task = FakeTask()
    sensor = (poking if in_worker else waiting)(placed=placed)
    with pytest.raises(AirflowSkipException, match=outcome):
        await awaited(world, sensor, context(task))
    assert task.xcom == {"outcome": outcome}
    row = attempt_of(world, placed)
    assert (row.state, row.outcome) == ("ended", outcome)


@UNHEARD
async def test_an_answered_call_that_never_reaches_us_is_gone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placed_calls, "LATE_WEBHOOK_SECONDS", 0.1)
    world.simulator.webhooks.reset()
    placed = place(world, PhoneScript.answers(after_seconds=0.1, talks_for_seconds=0.1))
    with pytest.raises(AirflowSkipException, match="gone"):
        await awaited(world, waiting(placed=placed))
    assert attempt_of(world, placed).outcome == "gone"


@UNHEARD
async def test_an_answered_call_that_never_reaches_us_is_gone_in_the_worker_too(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(placed_calls, "LATE_WEBHOOK_SECONDS", 0.1)
    world.simulator.webhooks.reset()
    placed = place(world, PhoneScript.answers(after_seconds=0.1, talks_for_seconds=0.1))
    with pytest.raises(AirflowSkipException, match="gone"):
        await awaited(world, poking(placed=placed))


@TIME_STANDS
async def test_a_phone_that_nobody_answers_can_fail_the_task_for_good(world: World) -> None:
    placed = place(world, PhoneScript.busy())
    with pytest.raises(AirflowFailException, match="busy"):
        await awaited(world, waiting(placed=placed, if_not_answered="fail"))


@TIME_STANDS
async def test_a_cleared_sensor_knows_the_outcome_from_the_ledger(world: World) -> None:
    placed = place(world, PhoneScript.busy())
    with pytest.raises(AirflowSkipException):
        await awaited(world, waiting(placed=placed))
    task = FakeTask()
    with pytest.raises(AirflowSkipException, match="busy"):
        run_task(waiting(placed=placed), context(task))
    assert task.xcom == {"outcome": "busy"}


@TIME_STANDS
async def test_a_cleared_sensor_does_not_wait_for_a_call_that_was_answered_and_is_over(world: World) -> None:
    placed = place(world, PhoneScript.talks_for_ever())
    call = await awaited(world, waiting(placed=placed))
    run_task(AcceptCallOperator(task_id="accept", call=call))
    run_task(HangupCallOperator(task_id="hang_up", call=call))
    with pytest.raises(AirflowSkipException, match="is over"):
        run_task(waiting(placed=placed))
    assert attempt_of(world, placed).outcome == "answered"


@TIME_STANDS
async def test_a_carrier_that_cannot_say_does_not_end_the_wait(world: World) -> None:
    placed = place(world, PhoneScript.talks_for_ever())
    world.simulator.faults.status("look", 500, times=99)
    assert (await awaited(world, waiting(placed=placed)))["state"] == "claimed"


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"if_not_answered": "cry"}, "if_not_answered"),
        ({"to": ""}, "to"),
        ({"headers": {"X-Queue": ""}}, "headers.X-Queue"),
        ({"headers": {"": "x"}}, "headers"),
    ],
)
def test_values_that_need_no_rendering_are_refused_when_the_dag_is_parsed(given: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as error:
        waiting(**given)
    assert error.value.field == field


@pytest.mark.parametrize("placed", ["", {}, {"attempt_id": "1"}, ["x"], "{not a dict"])
def test_placed_must_be_what_placing_returned(placed: object) -> None:
    with pytest.raises(InvalidInput) as error:
        run_task(waiting(placed=placed))
    assert error.value.field == "placed"


async def test_neither_secret_nor_number_shows_in_trigger_event_or_log(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(TaskDeferred) as deferral:
        run_task(waiting())
    trigger = deferral.value.trigger
    ringing = threading.Timer(0.2, world.ring)
    ringing.start()
    events = [event async for event in trigger.run()]
    ringing.join()
    seen = repr(events) + repr(trigger) + "".join(capsys.readouterr())
    assert not [text for text in (*world.secrets, CALLER, OUR_NUMBER) if text in seen]
    assert CONN_ID in repr(trigger)


def test_a_trunk_that_leaves_the_plus_out_reaches_the_sensor(world: World) -> None:
    call_id = world.ring(to=OUR_NUMBER.removeprefix("+"))
    assert run_task(waiting(to=OUR_NUMBER))["call_id"] == call_id


def test_a_caller_who_hides_behind_keypad_digits_is_nobody(world: World) -> None:
    world.ring("+266696687")
    with pytest.raises(TaskDeferred):
        run_task(waiting(from_number="*"))
    assert run_task(waiting())["from_number"] is None
