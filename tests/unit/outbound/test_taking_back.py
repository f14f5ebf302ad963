"""A task that stops waiting for a placed call cancels it at the carrier, so that it does not ring later."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSensorTimeout, AirflowSkipException
from airflow_world import FakeTask, World, context, run_task
from whole_calls import whole

from airflow_openai_realtime.api.request import Request
from airflow_openai_realtime.operators.place import PlaceCallOperator
from airflow_openai_realtime.outbound import placed as placed_calls
from airflow_openai_realtime.outbound.carriers.twilio import TwilioDialer
from airflow_openai_realtime.sensors.incoming_call import IncomingCallSensor
from airflow_openai_realtime.simulator.phones import PhoneScript
from airflow_openai_realtime.switchboard.client.switchboard_requests import list_attempts
from airflow_openai_realtime.triggers import pacing

PHONE, OTHER = "+14155550142", "+14155550143"
#: The carrier starts one call in an hour: the first at once, ours stays in its queue.
QUEUE = pytest.mark.realtime_simulator(calls_per_second=1 / 3600)
#: The phone rings until the test lets time pass.
TIME_STANDS = pytest.mark.realtime_simulator(calls_per_second=None, speed=0, settle_seconds=30)
FOR_EVER = PhoneScript.talks_for_ever(after_seconds=5)


@pytest.fixture(autouse=True)
def _no_settling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pacing, "SETTLE_SECONDS", 0.0)


def place(to: str, **kwargs: Any) -> dict[str, Any]:
    placed: dict[str, Any] = run_task(PlaceCallOperator(task_id="place", to=to, campaign="c", **kwargs))
    return placed


def queued(world: World) -> dict[str, Any]:
    """A placed call behind another one in the carrier's queue."""
    for number in (OTHER, PHONE):
        world.simulator.phones.add(number, FOR_EVER)
    place(OTHER)
    return place(PHONE)


def never_rang(world: World, number: str = PHONE) -> bool:
    """Whether the phone rings neither now nor later."""
    world.simulator.clock.advance(4 * 3600)
    (record,) = (each for each in world.simulator.log.calls if each.number == number)
    return int(record.rang) == 0


def outcome_of(world: World, contact: str = PHONE) -> tuple[str, str | None]:
    with world.client() as client:
        (row,) = client.send(list_attempts("c", contact=contact))
    return row.state, row.outcome


@QUEUE
@pytest.mark.parametrize(
    ("deferrable", "soft_fail", "expected"),
    [
        (True, False, AirflowSensorTimeout),
        (False, False, AirflowSensorTimeout),
        (False, True, AirflowSkipException),
    ],
)
async def test_a_queued_call_whose_sensor_gave_up_does_not_ring_later(
    world: World, deferrable: bool, soft_fail: bool, expected: type[Exception]
) -> None:
    placed = await asyncio.to_thread(queued, world)
    sensor = IncomingCallSensor(
        task_id="wait", placed=placed, timeout=0.3, poke_interval=0.1, deferrable=deferrable, soft_fail=soft_fail
    )
    with pytest.raises(expected):
        await (whole(sensor) if deferrable else asyncio.to_thread(run_task, sensor))
    assert outcome_of(world) == ("ended", "canceled")
    assert never_rang(world)


@QUEUE
async def test_a_queued_call_whose_task_gave_up_does_not_ring_later(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_openai_realtime.operators.place.COMING_IN_SECONDS", 0.2)
    world.simulator.phones.add(OTHER, FOR_EVER)
    world.simulator.phones.add(PHONE, FOR_EVER)
    await asyncio.to_thread(place, OTHER)
    placing = PlaceCallOperator(task_id="talk", to=PHONE, campaign="c", ring_seconds=1, wait_for_end=True)
    result = await whole(placing, context(FakeTask(task_id="talk")))
    assert (result["call_id"], result["reason"]) == (None, "canceled")
    assert outcome_of(world) == ("ended", "canceled")
    assert never_rang(world)


@QUEUE
def test_a_sensor_killed_in_the_worker_takes_its_queued_call_back(world: World) -> None:
    placed = queued(world)
    sensor = IncomingCallSensor(task_id="wait", placed=placed, timeout=60, poke_interval=0.1, deferrable=False)
    look = sensor.poke

    def killed(given: Any) -> Any:
        look(given)
        sensor.on_kill()
        raise KeyboardInterrupt

    sensor.poke = killed  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        run_task(sensor)
    assert outcome_of(world) == ("ended", "canceled")
    assert never_rang(world)


def picking_up_meanwhile(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the person pick up just before the order to cancel arrives."""
    asend = TwilioDialer.asend

    async def late(self: TwilioDialer, what: Any) -> Any:
        if not isinstance(what, Request):  # canceling takes several
            await asyncio.to_thread(world.simulator.clock.advance, 10)
        return await asend(self, what)

    monkeypatch.setattr(TwilioDialer, "asend", late)


@TIME_STANDS
async def test_who_picks_up_while_the_task_gives_up_is_spoken_to(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.simulator.phones.add(PHONE, FOR_EVER)
    placed = await asyncio.to_thread(place, PHONE)
    picking_up_meanwhile(world, monkeypatch)
    call = await whole(IncomingCallSensor(task_id="wait", placed=placed, timeout=0.2, answer=True))
    assert call["state"] == "accepted"
    assert world.is_open(call["call_id"])
    assert outcome_of(world) == ("ended", "answered")


@TIME_STANDS
async def test_who_picks_up_while_the_task_gives_up_and_cannot_be_answered_is_hung_up_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(placed_calls, "LATE_WEBHOOK_SECONDS", 0.2)
    world.simulator.webhooks.reset()
    world.simulator.phones.add(PHONE, FOR_EVER)
    placed = await asyncio.to_thread(place, PHONE)
    picking_up_meanwhile(world, monkeypatch)
    with pytest.raises(AirflowSkipException, match="gone"):
        await whole(IncomingCallSensor(task_id="wait", placed=placed, timeout=0.2, answer=True))
    (record,) = world.simulator.log.calls
    assert record.fate != "in_progress"
    assert outcome_of(world) == ("ended", "gone")


@QUEUE
async def test_a_call_that_the_carrier_does_not_cancel_stays_open_in_the_ledger(world: World) -> None:
    placed = await asyncio.to_thread(queued, world)
    world.simulator.faults.status("end", 401)
    with pytest.raises(AirflowSensorTimeout):
        await whole(IncomingCallSensor(task_id="wait", placed=placed, timeout=0.2))
    assert outcome_of(world)[0] == "placed"
