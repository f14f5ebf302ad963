from __future__ import annotations

import asyncio
import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from airflow.sdk.exceptions import TaskDeferred
from airflow_world import CALLER, CONN_ID, FakeTask, World, run_task

from airflow_openai_realtime.calls import shared_clients
from airflow_openai_realtime.exceptions import CallError, InvalidInput, UnknownCall
from airflow_openai_realtime.operators.accept import AcceptCallOperator
from airflow_openai_realtime.operators.hang_up import HangupCallOperator
from airflow_openai_realtime.operators.watch import WatchCallOperator
from airflow_openai_realtime.simulator.phones import PhoneScript
from airflow_openai_realtime.triggers import pacing, task_state
from airflow_openai_realtime.triggers.watch import WatchCallTrigger

FOR_EVER = PhoneScript.talks_for_ever()


@pytest.fixture(autouse=True)
def _no_settling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pacing, "SETTLE_SECONDS", 0.0)


def accept(world: World, *, seconds: float = 600, script: PhoneScript = FOR_EVER) -> dict[str, Any]:
    call_id = world.ring(script=script)
    call: dict[str, Any] = run_task(AcceptCallOperator(task_id="accept", call=call_id, max_duration_seconds=seconds))
    return call


def watching(**kwargs: Any) -> WatchCallOperator:
    return WatchCallOperator(task_id="watch", **kwargs)


async def watched(operator: WatchCallOperator) -> dict[str, Any]:
    with pytest.raises(TaskDeferred) as deferral:
        run_task(operator)
    events = [event.payload async for event in deferral.value.trigger.run()]
    assert len(events) == 1
    result: dict[str, Any] = run_task(operator, None, deferral.value.method_name, event=events[0])
    return result


@pytest.mark.parametrize("clean", [True, False])
async def test_the_watch_ends_when_the_caller_hangs_up(world: World, clean: bool) -> None:
    world.simulator.reset(clean_sideband_close=clean)
    world.simulator.webhooks.add(f"{world.url}/webhook")
    call = await asyncio.to_thread(accept, world)
    watch = asyncio.create_task(watched(watching(call=call)))
    await asyncio.sleep(0.5)
    world.simulator.phones.hang_up(CALLER)
    result = await watch
    assert (result["call_id"], result["outcome"]) == (call["call_id"], "ended")
    assert json.loads(json.dumps(result)) == result
    assert world.row(call["call_id"]).end_reason == "ended"
    assert shared_clients._CALLS.open_count() == 0


async def test_at_its_time_the_call_is_hung_up_for_max_duration(world: World) -> None:
    call = await asyncio.to_thread(accept, world, seconds=1.5)
    assert (await watched(watching(call=call)))["outcome"] == "max_duration"
    assert not world.is_open(call["call_id"])
    assert world.row(call["call_id"]).end_reason == "max_duration"


async def test_when_the_switchboard_ends_it_the_outcome_is_max_duration_too(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_openai_realtime.calls import watch

    monkeypatch.setattr(watch, "LEAD_SECONDS", -30.0)
    call = await asyncio.to_thread(accept, world, seconds=1)
    assert (await watched(watching(call=call)))["outcome"] == "max_duration"


async def test_a_socket_that_breaks_does_not_end_the_watch(world: World) -> None:
    world.simulator.faults.drop_sideband(0.2)
    call = await asyncio.to_thread(accept, world)
    watch = asyncio.create_task(watched(watching(call=call)))
    await asyncio.sleep(2)
    assert not watch.done()
    assert world.is_open(call["call_id"])
    world.simulator.phones.hang_up(CALLER)
    assert (await watch)["outcome"] == "ended"


async def test_a_session_that_was_dead_from_the_start_is_gone(world: World) -> None:
    world.simulator.faults.dead_session()
    call = await asyncio.to_thread(accept, world)
    assert (await watched(watching(call=call)))["outcome"] == "gone"


async def test_a_refused_key_fails_the_task_and_leaves_the_call_to_the_switchboard(world: World) -> None:
    call = await asyncio.to_thread(accept, world, seconds=3)
    world.simulator.faults.status("sideband", 401)
    with pytest.raises(CallError, match="key was refused"):
        await watched(watching(call=call))
    assert world.row(call["call_id"]).state == "accepted"


def test_a_call_that_is_over_needs_no_waiting(world: World) -> None:
    call = accept(world)
    run_task(HangupCallOperator(task_id="hang_up", call=call))
    assert run_task(watching(call=call))["outcome"] == "ended"


def test_a_call_that_was_not_accepted_is_refused(world: World) -> None:
    with pytest.raises(InvalidInput, match="not accepted"):
        run_task(watching(call=world.ring()))


def test_a_call_that_nobody_knows_is_refused(world: World) -> None:
    with pytest.raises(UnknownCall):
        run_task(watching(call_id="rtc_nobody"))


def test_the_deferral_lasts_a_little_longer_than_the_call(world: World) -> None:
    with pytest.raises(TaskDeferred) as deferral:
        run_task(watching(call=accept(world, seconds=100)))
    assert timedelta(seconds=210) < deferral.value.timeout <= timedelta(seconds=220)


@pytest.mark.parametrize("event", [None, {}, {"status": "error", "message": "it broke"}])
def test_a_trigger_without_a_result_fails_the_task(event: dict[str, Any] | None) -> None:
    with pytest.raises(CallError):
        run_task(watching(call="rtc_1"), None, "execute_complete", event=event)


# -- killed ----------------------------------------------------------------------------------------------------


def trigger(call_id: str) -> WatchCallTrigger:
    return WatchCallTrigger(call_id, (datetime.now(timezone.utc) + timedelta(minutes=5)).isoformat(), CONN_ID)


def says(states: object, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    def get_task_states(**asked: Any) -> object:
        assert asked == {
            "dag_id": "campaign",
            "task_ids": ["wait"],
            "run_ids": [FakeTask().run_id],
            "map_index": -1,
        }
        if isinstance(states, Exception):
            raise states
        return states

    monkeypatch.setattr(RuntimeTaskInstance, "get_task_states", staticmethod(get_task_states))


@pytest.mark.parametrize("state", ["failed", "success", "removed", None])
async def test_killed_by_a_user_the_call_is_hung_up(
    world: World, monkeypatch: pytest.MonkeyPatch, state: str | None
) -> None:
    call = await asyncio.to_thread(accept, world)
    says({FakeTask().run_id: {"wait": state}}, monkeypatch)
    watch = trigger(call["call_id"])
    watch.task_instance = FakeTask()
    await watch.on_kill()
    assert not world.is_open(call["call_id"])
    assert world.row(call["call_id"]).end_reason == "killed"


async def test_moved_to_another_triggerer_the_call_goes_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    call = await asyncio.to_thread(accept, world)
    says({FakeTask().run_id: {"wait_3": "deferred"}}, monkeypatch)
    watch = trigger(call["call_id"])
    watch.task_instance = FakeTask()
    await watch.on_kill()
    assert world.is_open(call["call_id"])


async def test_without_knowing_the_state_the_call_goes_on(world: World) -> None:
    call = await asyncio.to_thread(accept, world)
    await trigger(call["call_id"]).on_kill()
    assert world.is_open(call["call_id"])


async def test_when_airflow_does_not_answer_the_call_goes_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    call = await asyncio.to_thread(accept, world)
    says(RuntimeError("the supervisor is gone"), monkeypatch)
    watch = trigger(call["call_id"])
    watch.task_instance = FakeTask()
    await watch.on_kill()
    assert world.is_open(call["call_id"])


async def test_a_task_that_airflow_does_not_know_any_more_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    says({}, monkeypatch)
    assert await task_state.is_killed(FakeTask())


def test_it_is_made_again_from_json() -> None:
    path, kwargs = trigger("rtc_1").serialize()
    assert path == "airflow_openai_realtime.triggers.watch.WatchCallTrigger"
    assert WatchCallTrigger(**json.loads(json.dumps(kwargs))).serialize() == (path, kwargs)


def test_the_constructor_never_raises() -> None:
    WatchCallTrigger(None, None, None)  # type: ignore[arg-type]
