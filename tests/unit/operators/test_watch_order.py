from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSensorTimeout, AirflowSkipException, TaskDeferred
from airflow_world import CALLER, OUR_NUMBER, FakeTask, World, context, run_task, until
from whole_calls import completed

from airflow_openai_realtime.calls.owner import owner_name
from airflow_openai_realtime.exceptions import InvalidInput, SwitchboardRefused
from airflow_openai_realtime.operators.hang_up import HangupCallOperator
from airflow_openai_realtime.operators.line import OpenLineOperator
from airflow_openai_realtime.operators.watch import WatchCallOperator
from airflow_openai_realtime.simulator.phones import PhoneScript
from airflow_openai_realtime.triggers import pacing

FOR_EVER = PhoneScript.talks_for_ever()


@pytest.fixture(autouse=True)
def _no_settling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pacing, "SETTLE_SECONDS", 0.0)


def taking(**kwargs: Any) -> WatchCallOperator:
    return WatchCallOperator(wait_for_end=False, task_id="take", **{"order": "day", **kwargs})


def open_line(name: str = "day", **kwargs: Any) -> None:
    run_task(OpenLineOperator(task_id="open", name=name, instructions="Hi", **kwargs))


def call_in(world: World, from_number: str = CALLER) -> str:
    """Make a person call, and wait until an order has answered."""
    call_id = world.ring(from_number, script=FOR_EVER)
    assert world.simulator.wait_for(lambda: world.row(call_id).state == "accepted")
    return call_id


async def fired(deferral: TaskDeferred, meanwhile: Callable[[], object] = lambda: None) -> dict[str, Any]:
    """The event of a deferral's trigger, as Airflow hands it on; ``meanwhile`` runs in a thread."""
    path, kwargs = deferral.trigger.serialize()
    again = type(deferral.trigger)(**json.loads(json.dumps(kwargs)))
    assert path == f"{type(again).__module__}.{type(again).__name__}"
    happening = threading.Timer(0.3, meanwhile)
    happening.start()
    events = [event async for event in again.run()]
    happening.join()
    (payload,) = (json.loads(json.dumps(event.payload)) for event in events)
    assert isinstance(payload, dict)
    return payload


def deferral_of(task: Any, given: dict[str, Any] | None = None) -> TaskDeferred:
    with pytest.raises(TaskDeferred) as deferral:
        run_task(task, given)
    return deferral.value


def test_a_call_that_was_answered_already_is_taken_over_at_once(world: World) -> None:
    open_line()
    call_id = call_in(world)
    taken = run_task(taking())
    assert (taken["call_id"], taken["state"]) == (call_id, "accepted")
    assert taken["claimed_by"] == world.row(call_id).claimed_by == owner_name(FakeTask())
    assert taken["hangup_at"] is not None
    assert world.is_open(call_id)
    assert run_task(taking()) == taken
    result = run_task(HangupCallOperator(task_id="hang_up", call=taken))
    assert result["end_reason"] == "hung_up"


async def test_a_call_that_is_answered_later_is_taken_over_in_the_triggerer(world: World) -> None:
    await asyncio.to_thread(open_line)
    task = taking()
    deferral = await asyncio.to_thread(deferral_of, task)
    event = await fired(deferral, lambda: world.simulator.call_in(CALLER, OUR_NUMBER, script=FOR_EVER))
    taken = await asyncio.to_thread(run_task, task, None, "execute_complete", event=event)
    assert taken["claimed_by"] == owner_name(FakeTask())
    assert world.is_open(taken["call_id"])


async def test_each_call_goes_to_one_task(world: World) -> None:
    await asyncio.to_thread(open_line)
    tasks = [(taking(), context(FakeTask(map_index=number))) for number in range(3)]
    deferrals = [await asyncio.to_thread(deferral_of, task, given) for task, given in tasks]
    waiting = [asyncio.ensure_future(fired(deferral)) for deferral in deferrals]
    call_ids = [world.simulator.call_in(CALLER, OUR_NUMBER, script=FOR_EVER) for _ in range(3)]
    events = await asyncio.gather(*waiting)
    assert sorted(event["call_id"] for event in events) == sorted(call_ids)


def test_only_calls_of_that_order_that_match_are_taken(world: World) -> None:
    open_line("other", to=OUR_NUMBER, from_number="+14155550199")
    open_line("day", from_number="+141555501*")
    call_in(world, "+14155550199")
    unwanted = call_in(world, "+14155550124")
    deferral_of(taking(from_number=CALLER))
    wanted = call_in(world)
    assert run_task(taking(from_number=CALLER))["call_id"] == wanted
    assert world.row(unwanted).claimed_by == "order:day"


async def test_a_ringing_call_is_not_taken(world: World) -> None:
    await asyncio.to_thread(world.ring, script=FOR_EVER)
    deferral = await asyncio.to_thread(deferral_of, taking(timeout=0.5))
    assert await fired(deferral) == {"status": "timeout", "call_id": None}


def test_when_no_call_is_answered_in_time_the_task_fails_or_is_skipped() -> None:
    with pytest.raises(AirflowSensorTimeout, match="order day answered no call within 300 s"):
        run_task(taking(), method="execute_complete", event={"status": "timeout"})
    with pytest.raises(AirflowSkipException):
        run_task(taking(soft_fail=True), method="execute_complete", event={"status": "timeout"})
    with pytest.raises(SwitchboardRefused, match="no token"):
        run_task(taking(), method="execute_complete", event={"status": "error", "message": "no token"})


async def test_a_refused_token_ends_the_waiting(world: World) -> None:
    deferral = await asyncio.to_thread(deferral_of, taking())
    world.connect(switchboard_token="wrong")
    # The trigger looks the connection up itself, as it does without a Fernet key.
    deferral.trigger.connections = None  # type: ignore[attr-defined]
    event = await fired(deferral)
    assert event["status"] == "error"
    assert "token" in event["message"]


@pytest.mark.parametrize("given", [{"order": "a b"}, {"timeout": 0}, {"headers": {"": "x"}}])
def test_what_no_rendering_can_mend_shows_when_the_dag_is_parsed(given: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        taking(**given)


# -- and staying with it -----------------------------------------------------------------------------------------


def staying(**kwargs: Any) -> WatchCallOperator:
    return WatchCallOperator(task_id="take", order="day", **kwargs)


async def test_one_task_takes_the_call_over_and_stays_with_it(world: World) -> None:
    await asyncio.to_thread(open_line)
    deferral = await asyncio.to_thread(deferral_of, staying())
    event = await fired(deferral, lambda: world.simulator.call_in(CALLER, OUR_NUMBER, script=FOR_EVER))
    watching = await asyncio.to_thread(woken, staying(), event)
    assert watching.trigger.call_id == event["call_id"]  # type: ignore[attr-defined]
    running = asyncio.create_task(completed(staying(), watching))
    await until(world, world.attachments)
    world.simulator.phones.hang_up(CALLER)
    result = await running
    assert (result["call_id"], result["outcome"]) == (event["call_id"], "caller_hung_up")
    # A retry returns the result, and takes no other call.
    other = await asyncio.to_thread(call_in, world, "+14155550199")
    assert await asyncio.to_thread(run_task, staying()) == result
    assert world.row(other).claimed_by == "order:day"


def test_a_call_that_was_answered_already_is_run_in_the_triggerer_at_once(world: World) -> None:
    open_line()
    call_id = call_in(world)
    watching = deferral_of(staying())
    assert watching.trigger.call_id == call_id  # type: ignore[attr-defined]
    assert world.row(call_id).claimed_by == owner_name(FakeTask())


def test_a_mistake_shows_before_a_call_is_taken_over(world: World) -> None:
    open_line()
    call_id = call_in(world)
    with pytest.raises(InvalidInput, match="cannot be imported"):
        run_task(staying(functions=["shop.nowhere.book"]))
    assert world.row(call_id).claimed_by == "order:day"


def woken(task: Any, event: dict[str, Any]) -> TaskDeferred:
    """Let a task go on after its trigger has fired; it defers again."""
    with pytest.raises(TaskDeferred) as deferral:
        run_task(task, None, "execute_complete", event=event)
    return deferral.value
