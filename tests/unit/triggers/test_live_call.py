from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest
from airflow_world import CALLER, CONN_ID, FakeTask, World, run_task, until

from airflow_openai_realtime.api import network
from airflow_openai_realtime.conversation.rules import decisions as conversation_rules
from airflow_openai_realtime.conversation.rules.plan import ConversationPlan
from airflow_openai_realtime.conversation.run import live_run
from airflow_openai_realtime.conversation.wanted_conversation import WantedConversation
from airflow_openai_realtime.exceptions import SwitchboardUnreachable
from airflow_openai_realtime.operators.accept import AcceptCallOperator
from airflow_openai_realtime.simulator.phones import PhoneScript
from airflow_openai_realtime.switchboard.client.conversation_requests import get_conversation
from airflow_openai_realtime.triggers import killing, pacing
from airflow_openai_realtime.triggers.live_call import LiveCallTrigger, error_payload, run_to_its_end

FOR_EVER = PhoneScript.talks_for_ever()
HOLDER = "campaign/run/watch/-1"


@pytest.fixture(autouse=True)
def _no_settling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pacing, "SETTLE_SECONDS", 0.0)


def accept(world: World, *, seconds: float = 600, script: PhoneScript = FOR_EVER) -> str:
    call_id = world.ring(script=script)
    run_task(AcceptCallOperator(task_id="accept", call=call_id, max_duration_seconds=seconds))
    return call_id


def trigger(world: World, call_id: str, holder: str = HOLDER) -> LiveCallTrigger:
    wanted = WantedConversation(ConversationPlan.only_listening()).of(world.row(call_id))
    return LiveCallTrigger(CONN_ID, call_id, holder, wanted.seal(world.simulator.api_key))


async def fired(live: LiveCallTrigger) -> dict[str, Any]:
    events = [event.payload async for event in live.run()]
    assert len(events) == 1
    payload: dict[str, Any] = events[0]
    return payload


def result_in(world: World, call_id: str) -> dict[str, Any]:
    with world.client() as client:
        kept = client.send(get_conversation(call_id))
    assert kept is not None
    assert kept.is_finished
    return dict(kept.result or {})


async def test_it_fires_when_the_call_is_over_and_tells_no_more_than_that(world: World) -> None:
    call_id = await asyncio.to_thread(accept, world)
    live = asyncio.create_task(fired(trigger(world, call_id)))
    await until(world, world.attachments)
    world.simulator.phones.hang_up(CALLER)
    assert await live == {"status": "over", "call_id": call_id}
    assert result_in(world, call_id)["outcome"] == "caller_hung_up"
    assert world.row(call_id).end_reason == "caller_hung_up"
    assert network._HTTP.open_count() == 0


async def test_at_its_time_the_call_is_hung_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    # Long before the switchboard would.
    monkeypatch.setattr(conversation_rules, "LEAD_SECONDS", 597.0)
    call_id = await asyncio.to_thread(accept, world, seconds=600)
    assert (await fired(trigger(world, call_id)))["status"] == "over"
    assert not world.is_open(call_id)
    assert result_in(world, call_id)["outcome"] == "max_duration"
    row = world.row(call_id)
    assert row.ended_at < row.hangup_at


async def test_cancelled_it_leaves_the_call_alone_and_another_goes_on(world: World) -> None:
    call_id = await asyncio.to_thread(accept, world)
    first = asyncio.create_task(fired(trigger(world, call_id)))
    await until(world, lambda: world.attachments() == 1)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    assert world.is_open(call_id)
    second = asyncio.create_task(fired(trigger(world, call_id)))
    await until(world, lambda: world.attachments() == 2)
    world.simulator.phones.hang_up(CALLER)
    assert (await second)["status"] == "over"
    assert result_in(world, call_id)["resumed"] is True


async def test_it_begins_without_a_switchboard(world: World) -> None:
    call_id = await asyncio.to_thread(accept, world)
    live = trigger(world, call_id)
    with world.switchboard_away():
        running = asyncio.create_task(fired(live))
        await until(world, lambda: world.count("sideband.attached"))
    await until(world, world.attachments)
    world.simulator.phones.hang_up(CALLER)
    assert (await running)["status"] == "over"
    assert result_in(world, call_id)["outcome"] == "caller_hung_up"


async def test_when_another_task_takes_the_call_it_waits_for_the_result_of_that(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_run, "LOOK_SECONDS", 0.1)
    call_id = await asyncio.to_thread(accept, world)
    first = asyncio.create_task(fired(trigger(world, call_id, "first")))
    await until(world, lambda: world.attachments() == 1)
    second = asyncio.create_task(fired(trigger(world, call_id, "second")))
    await until(world, lambda: world.attachments() == 2)
    # The caller hangs up: the first one learns that it may not save that any more.
    world.simulator.phones.hang_up(CALLER)
    assert await first == await second == {"status": "over", "call_id": call_id}


async def test_a_refused_key_is_an_error_and_the_call_is_the_switchboard_s(world: World) -> None:
    call_id = await asyncio.to_thread(accept, world)
    world.simulator.faults.status("sideband", 401)
    event = await fired(trigger(world, call_id))
    assert event["status"] == "error"
    assert "key was refused" in event["message"]
    assert world.row(call_id).state == "accepted"


async def test_a_connection_with_another_key_is_an_error(world: World) -> None:
    call_id = await asyncio.to_thread(accept, world)
    live = trigger(world, call_id)
    live.conversation = WantedConversation(ConversationPlan()).seal("another key")
    assert "API key of the connection has changed" in (await fired(live))["message"]


# -- killed ----------------------------------------------------------------------------------------------------


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


def killed(world: World, call_id: str) -> LiveCallTrigger:
    live = trigger(world, call_id)
    live.task_instance = FakeTask()
    return live


@pytest.mark.parametrize("state", ["failed", "success", "removed"])
async def test_killed_by_a_user_the_call_is_hung_up_and_has_a_result(
    world: World, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    pushed: list[dict[str, Any]] = []

    async def push(task: Any, result: dict[str, Any]) -> None:
        pushed.append(result)

    monkeypatch.setattr(killing, "push_result", push)
    call_id = await asyncio.to_thread(accept, world)
    says({FakeTask().run_id: {"wait": state}}, monkeypatch)
    await killed(world, call_id).on_kill()
    await until(world, lambda: world.row(call_id).is_over)
    assert not world.is_open(call_id)
    assert world.row(call_id).end_reason == "killed"
    await until(world, lambda: pushed)
    assert [(result["call_id"], result["reason"]) for result in pushed] == [(call_id, "killed")]


async def test_moved_to_another_triggerer_the_call_goes_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    call_id = await asyncio.to_thread(accept, world)
    says({FakeTask().run_id: {"wait_3": "deferred"}}, monkeypatch)
    await killed(world, call_id).on_kill()
    assert world.is_open(call_id)


async def test_without_knowing_the_state_the_call_goes_on(world: World) -> None:
    call_id = await asyncio.to_thread(accept, world)
    await trigger(world, call_id).on_kill()
    assert world.is_open(call_id)


async def test_when_airflow_does_not_answer_the_call_goes_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    call_id = await asyncio.to_thread(accept, world)
    says(RuntimeError("the supervisor is gone"), monkeypatch)
    await killed(world, call_id).on_kill()
    assert world.is_open(call_id)


# -- how it travels --------------------------------------------------------------------------------------------


def test_it_is_made_again_from_json_and_shows_nothing_personal(world: World) -> None:
    call_id = accept(world)
    live = trigger(world, call_id)
    path, kwargs = live.serialize()
    assert path == "airflow_openai_realtime.triggers.live_call.LiveCallTrigger"
    assert LiveCallTrigger(**json.loads(json.dumps(kwargs))).serialize() == (path, kwargs)
    assert CALLER not in json.dumps(kwargs)
    assert "sealed" in repr(live)
    assert live.conversation not in repr(live)


def test_the_constructor_never_raises() -> None:
    LiveCallTrigger(None, None, None, None)  # type: ignore[arg-type]


# -- whichever trigger runs the call -----------------------------------------------------------------------------------


async def test_the_event_says_that_the_call_is_over_and_which(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []

    async def run(*args: Any) -> None:
        given.extend(args)

    monkeypatch.setattr(live_run, "run_live", run)
    line: Any = SimpleNamespace(api="api", switchboard="address")
    wanted: Any = "wanted"
    call: Any = SimpleNamespace(call_id="rtc_1", from_number="+14155550123")
    assert await run_to_its_end(line, wanted, call, "me", print, len) == {"status": "over", "call_id": "rtc_1"}
    assert given == ["api", "address", "wanted", call, "me", print, len]


def test_an_error_is_told_as_a_text() -> None:
    assert error_payload(SwitchboardUnreachable("no route")) == {"status": "error", "message": "no route"}
