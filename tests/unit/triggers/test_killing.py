"""What becomes of a call when Airflow cancels the trigger that has it, as Airflow's triggerer does."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance
from airflow_world import OUR_NUMBER, FakeTask, World, run_task, until
from whole_calls import deferred

from airflow_openai_realtime.api.client import CallsClient
from airflow_openai_realtime.api.request import Request
from airflow_openai_realtime.calls.task_states import CLEARED_SECONDS, TaskState
from airflow_openai_realtime.operators.line import OpenLineOperator
from airflow_openai_realtime.operators.place import PlaceCallOperator
from airflow_openai_realtime.operators.watch import WatchCallOperator
from airflow_openai_realtime.sensors.incoming_call import IncomingCallSensor
from airflow_openai_realtime.simulator.phones import PhoneScript
from airflow_openai_realtime.switchboard.client.conversation_requests import get_conversation
from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient
from airflow_openai_realtime.switchboard.client.switchboard_requests import claim_call, end_call, list_attempts
from airflow_openai_realtime.triggers import carried_through, killing, pacing, task_state

FOR_EVER = PhoneScript.talks_for_ever(after_seconds=0.1)
PHONE, OTHER = "+14155550142", "+14155550143"
#: The carrier starts one call in an hour: the first at once, ours stays in its queue.
QUEUE = pytest.mark.realtime_simulator(calls_per_second=1 / 3600)

MOVED = TaskState(exists=True, state="deferred")
CLEARED = TaskState(exists=True, state=None, is_same_try=False)
NEXT_TRY_WAITS = TaskState(exists=True, state="deferred", is_same_try=False)
FAILED = TaskState(exists=True, state="failed")


@pytest.fixture(autouse=True)
def _no_settling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pacing, "SETTLE_SECONDS", 0.0)
    monkeypatch.setattr(killing, "LATE_CLAIM_SECONDS", (0.0, 0.3))


@pytest.fixture
def xcom(world: World, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What is left in XCom, by the switchboard or through the supervisor; Airflow's own is tried in the chaos tests."""

    async def push(task: Any, result: Any) -> None:
        world.left.append(dict(result))

    monkeypatch.setattr(killing, "push_result", push)
    return world.left


async def run(trigger: Any) -> None:
    async for _ in trigger.run():
        pass


async def cancelled_as_airflow_does(trigger: Any, running: asyncio.Task[None], *, again_after: float = 0.0) -> None:
    """Cancel the trigger's task; then ``on_kill``, which is cancelled at every round as long as it runs."""
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    killed = asyncio.ensure_future(trigger.on_kill())
    while not killed.done():
        await asyncio.wait([killed], timeout=again_after)
        killed.cancel()
    await asyncio.gather(killed, return_exceptions=True)


async def carried_out() -> None:
    """Wait for what goes on although its trigger is gone."""
    await asyncio.gather(*carried_through._under_way)


def answering(**kwargs: Any) -> IncomingCallSensor:
    return IncomingCallSensor(answer=True, task_id="wait", to=OUR_NUMBER, wait_for_end=True, **kwargs)


async def in_a_call(world: World) -> tuple[str, Any, asyncio.Task[None]]:
    """A call that is run by a trigger."""
    trigger = (await asyncio.to_thread(deferred, answering())).trigger
    trigger.task_instance = FakeTask()  # type: ignore[attr-defined]
    running = asyncio.create_task(run(trigger))
    before = world.attachments()
    call_id = await asyncio.to_thread(world.ring, script=FOR_EVER)
    await until(world, lambda: world.attachments() == before + 1)
    return call_id, trigger, running


def kept(world: World, call_id: str) -> Any:
    with world.client() as client:
        return client.send(get_conversation(call_id))


async def test_a_kill_that_is_cancelled_again_and_again_ends_the_call_and_tells_it(
    world: World, xcom: list[dict[str, Any]]
) -> None:
    call_id, trigger, running = await in_a_call(world)
    world.task_state = FAILED
    await cancelled_as_airflow_does(trigger, running)
    await carried_out()
    assert not world.is_open(call_id)
    row = world.row(call_id)
    assert (row.end_reason, row.end_witness, row.ended_by) == ("killed", "api", trigger.owner)
    assert kept(world, call_id).outcome == "killed"
    assert [result["outcome"] for result in xcom] == ["killed"]


async def test_a_kill_is_one_short_request_however_long_the_hang_up_takes(
    world: World, monkeypatch: pytest.MonkeyPatch, xcom: list[dict[str, Any]]
) -> None:
    call_id, trigger, running = await in_a_call(world)
    world.task_state = FAILED
    world.simulator.faults.status("hangup", 503)
    world.simulator.faults.time_out("hangup", carried_out=True)
    await cancelled_as_airflow_does(trigger, running)
    await until(world, lambda: not world.is_open(call_id))
    await carried_out()
    assert world.row(call_id).end_reason == "killed"
    assert [result["reason"] for result in xcom] == ["killed"]


async def test_a_trigger_that_moves_leaves_its_call_alone(world: World) -> None:
    call_id, trigger, running = await in_a_call(world)
    world.task_state = MOVED
    await cancelled_as_airflow_does(trigger, running)
    await carried_out()
    assert world.row(call_id).end_wanted is None
    world.let_pass(CLEARED_SECONDS + 1)
    assert world.is_open(call_id)


async def test_a_cleared_task_s_call_is_kept_for_the_next_try(world: World) -> None:
    call_id, trigger, running = await in_a_call(world)
    world.task_state = CLEARED
    await cancelled_as_airflow_does(trigger, running)
    await carried_out()
    assert world.row(call_id).end_is_delayed
    # The next try: the worker, and then its trigger.
    again = (await asyncio.to_thread(deferred, answering())).trigger
    task = asyncio.create_task(run(again))
    await until(world, lambda: world.attachments() == 2)
    assert world.row(call_id).end_wanted is None
    world.let_pass(CLEARED_SECONDS + 1)
    assert world.is_open(call_id)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_cleared_task_s_call_ends_after_a_minute_when_no_next_try_takes_it_up(world: World) -> None:
    call_id, trigger, running = await in_a_call(world)
    world.task_state = CLEARED
    await cancelled_as_airflow_does(trigger, running)
    await carried_out()
    assert world.is_open(call_id)
    world.let_pass(CLEARED_SECONDS + 1)
    await until(world, lambda: not world.is_open(call_id))
    await until(world, lambda: world.row(call_id).is_over)
    assert world.row(call_id).end_reason == "killed"


async def test_a_next_try_that_is_quicker_than_the_clear_keeps_the_call(world: World) -> None:
    call_id, trigger, running = await in_a_call(world)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    again = (await asyncio.to_thread(deferred, answering())).trigger
    task = asyncio.create_task(run(again))
    await until(world, lambda: world.attachments() == 2)
    world.task_state = NEXT_TRY_WAITS
    await trigger.on_kill()
    await carried_out()
    assert world.row(call_id).end_wanted is None
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_call_that_was_only_accepted_is_taken_up_by_the_next_try(world: World) -> None:
    operator = IncomingCallSensor(answer=True, task_id="wait", to=OUR_NUMBER)
    call_id = await asyncio.to_thread(world.ring, script=FOR_EVER)
    assert (await asyncio.to_thread(run_task, operator))["call_id"] == call_id
    owner = world.row(call_id).claimed_by
    with world.client() as client:
        client.send(end_call(call_id, reason="killed", by=owner, after_seconds=60))
    assert (await asyncio.to_thread(run_task, operator))["call_id"] == call_id
    assert world.row(call_id).end_wanted is None


# -- standalone switchboards, which cannot say how a task is --------------------------------------------------------


def airflow_says(monkeypatch: pytest.MonkeyPatch, state: Any) -> None:
    def get_task_states(**_: Any) -> Any:
        if isinstance(state, Exception):
            raise state
        return {FakeTask().run_id: {"wait": state}}

    monkeypatch.setattr(RuntimeTaskInstance, "get_task_states", staticmethod(get_task_states))


@pytest.mark.parametrize("state", ["failed", "success", "skipped"])
async def test_with_a_standalone_switchboard_airflow_is_asked(
    world: World, monkeypatch: pytest.MonkeyPatch, state: str, xcom: list[dict[str, Any]]
) -> None:
    call_id, trigger, running = await in_a_call(world)
    airflow_says(monkeypatch, state)
    await cancelled_as_airflow_does(trigger, running)
    await carried_out()
    assert world.row(call_id).end_reason == "killed"
    assert not world.is_open(call_id)


async def test_with_a_standalone_switchboard_a_move_ends_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    call_id, trigger, running = await in_a_call(world)
    airflow_says(monkeypatch, "deferred")
    await cancelled_as_airflow_does(trigger, running)
    await carried_out()
    assert world.row(call_id).end_wanted is None


@pytest.mark.parametrize("state", [None, RuntimeError("the supervisor is gone")])
async def test_a_call_of_which_airflow_says_nothing_waits_a_minute(
    world: World, monkeypatch: pytest.MonkeyPatch, state: Any
) -> None:
    call_id, trigger, running = await in_a_call(world)
    airflow_says(monkeypatch, state)
    await cancelled_as_airflow_does(trigger, running)
    await carried_out()
    assert world.row(call_id).end_is_delayed
    assert world.is_open(call_id)


async def test_without_a_switchboard_the_call_is_hung_up_and_told_when_it_is_back(
    world: World, monkeypatch: pytest.MonkeyPatch, xcom: list[dict[str, Any]]
) -> None:
    monkeypatch.setattr(killing, "ANSWER_SECONDS", 0.5)
    monkeypatch.setattr(killing, "PAUSE_SECONDS", 0.1)
    call_id, trigger, running = await in_a_call(world)
    airflow_says(monkeypatch, "failed")
    with world.switchboard_away():
        await cancelled_as_airflow_does(trigger, running)
        await until(world, lambda: not world.is_open(call_id))
    await carried_out()
    assert world.row(call_id).end_reason == "killed"


async def test_a_kill_in_the_middle_of_a_shutdown_is_still_sent(world: World) -> None:
    sent: list[int] = []

    async def send() -> None:
        sent.append(1)
        await asyncio.sleep(0.05 if len(sent) > 1 else 60)

    job = asyncio.ensure_future(carried_through.despite_shutdown(send))
    await asyncio.sleep(0.05)
    job.cancel()
    await asyncio.gather(job, return_exceptions=True)
    assert len(sent) == 2


# -- before there is a conversation ---------------------------------------------------------------------------------


async def test_killed_in_the_middle_of_an_accept_the_call_ends(
    world: World, monkeypatch: pytest.MonkeyPatch, xcom: list[dict[str, Any]]
) -> None:
    under_way = asyncio.Event()

    asend = CallsClient.asend

    async def hanging(self: CallsClient, request: Request[Any]) -> Any:
        if request.operation == "accept":
            under_way.set()
            await asyncio.sleep(60)
        return await asend(self, request)

    monkeypatch.setattr(CallsClient, "asend", hanging)
    trigger = (await asyncio.to_thread(deferred, answering())).trigger
    trigger.task_instance = FakeTask()  # type: ignore[attr-defined]
    running = asyncio.create_task(run(trigger))
    call_id = await asyncio.to_thread(world.ring, script=FOR_EVER)
    await asyncio.wait_for(under_way.wait(), 30)
    world.task_state = FAILED
    await cancelled_as_airflow_does(trigger, running)
    await until(world, lambda: world.row(call_id).is_over)
    await carried_out()
    assert world.row(call_id).end_reason == "killed"
    assert [result["outcome"] for result in xcom] == ["killed"]


async def test_a_killed_sensor_declines_the_call_that_it_has_claimed(world: World) -> None:
    sensor = IncomingCallSensor(task_id="wait", to=OUR_NUMBER)
    trigger = (await asyncio.to_thread(deferred, sensor)).trigger
    trigger.task_instance = FakeTask()  # type: ignore[attr-defined]
    call_id = await asyncio.to_thread(world.ring)
    with world.client() as client:
        client.send(claim_call(call_id, trigger.owner))  # type: ignore[attr-defined]
    world.task_state = FAILED
    await trigger.on_kill()
    await carried_out()
    await until(world, lambda: world.row(call_id).is_over)
    assert (world.row(call_id).state, world.row(call_id).end_reason) == ("rejected", "killed")


async def test_a_claim_that_arrives_only_after_the_kill_is_found_and_the_call_declined(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    sensor = IncomingCallSensor(task_id="wait", to=OUR_NUMBER)
    trigger = (await asyncio.to_thread(deferred, sensor)).trigger
    trigger.task_instance = FakeTask()  # type: ignore[attr-defined]
    call_id = await asyncio.to_thread(world.ring)
    asend, answers = SwitchboardClient.asend, []

    def claim() -> None:
        with world.client() as client:
            client.send(claim_call(call_id, trigger.owner))  # type: ignore[attr-defined]

    async def claimed_meanwhile(self: SwitchboardClient, what: Any) -> Any:
        answer = await asend(self, what)
        if isinstance(what, Request) and what.operation == "list_calls":
            answers.append(answer)
            if len(answers) == 1:
                await asyncio.to_thread(claim)
        return answer

    monkeypatch.setattr(SwitchboardClient, "asend", claimed_meanwhile)
    world.task_state = FAILED
    await trigger.on_kill()
    await carried_out()
    assert answers[0].calls == ()
    await until(world, lambda: world.row(call_id).is_over)
    assert (world.row(call_id).state, world.row(call_id).end_reason) == ("rejected", "killed")


async def test_a_killed_task_leaves_the_call_of_the_contact_who_stood_in_its_place_before(world: World) -> None:
    """Marked as failed is the task for the second contact; the first one's call has been handed on."""
    call_id = await asyncio.to_thread(world.ring, script=FOR_EVER, headers=[("X-Contact", "ann")])
    first = IncomingCallSensor(answer=True, task_id="wait", headers={"X-Contact": "ann"})
    assert (await asyncio.to_thread(run_task, first))["call_id"] == call_id
    second = IncomingCallSensor(answer=True, task_id="wait", headers={"X-Contact": "bob"})
    trigger = (await asyncio.to_thread(deferred, second)).trigger
    trigger.task_instance = FakeTask()  # type: ignore[attr-defined]
    running = asyncio.create_task(run(trigger))
    world.task_state = FAILED
    await cancelled_as_airflow_does(trigger, running)
    await carried_out()
    row = world.row(call_id)
    assert (row.state, row.end_wanted, world.is_open(call_id)) == ("accepted", None, True)


async def test_a_killed_task_ends_the_call_that_it_has_just_taken_over(world: World) -> None:
    taking = WatchCallOperator(wait_for_end=False, task_id="wait", order="dispatcher")
    trigger = (await asyncio.to_thread(deferred, taking)).trigger
    trigger.task_instance = FakeTask()  # type: ignore[attr-defined]
    await asyncio.to_thread(run_task, OpenLineOperator(task_id="open", name="dispatcher", to=OUR_NUMBER))
    call_id = await asyncio.to_thread(world.ring, script=FOR_EVER)
    await until(world, lambda: world.row(call_id).state == "accepted")
    await run(trigger)
    world.task_state = FAILED
    await trigger.on_kill()
    await carried_out()
    await until(world, lambda: world.row(call_id).is_over)
    assert world.row(call_id).end_reason == "killed"


async def test_a_killed_task_leaves_the_call_that_was_taken_over_for_another_contact(world: World) -> None:
    await asyncio.to_thread(run_task, OpenLineOperator(task_id="open", name="dispatcher", to=OUR_NUMBER))
    call_id = await asyncio.to_thread(world.ring, script=FOR_EVER, headers=[("X-Contact", "ann")])
    await until(world, lambda: world.row(call_id).state == "accepted")
    first = WatchCallOperator(wait_for_end=False, task_id="wait", order="dispatcher", headers={"X-Contact": "ann"})
    assert (await asyncio.to_thread(run_task, first))["call_id"] == call_id
    second = WatchCallOperator(wait_for_end=False, task_id="wait", order="dispatcher", headers={"X-Contact": "bob"})
    trigger = (await asyncio.to_thread(deferred, second)).trigger
    trigger.task_instance = FakeTask()  # type: ignore[attr-defined]
    world.task_state = FAILED
    await trigger.on_kill()
    await carried_out()
    row = world.row(call_id)
    assert (row.claimed_by, row.end_wanted, world.is_open(call_id)) == (trigger.owner, None, True)  # type: ignore[attr-defined]


async def queued(world: World) -> Any:
    """The trigger of a task whose call waits in the carrier's queue."""
    for number in (OTHER, PHONE):
        world.simulator.phones.add(number, FOR_EVER)
    await asyncio.to_thread(run_task, PlaceCallOperator(task_id="first", to=OTHER, campaign="c"))
    placing = PlaceCallOperator(task_id="wait", to=PHONE, campaign="c", wait_for_end=True)
    trigger = (await asyncio.to_thread(deferred, placing)).trigger
    trigger.task_instance = FakeTask()  # type: ignore[attr-defined]
    return trigger


def ledger(world: World) -> tuple[str, str | None]:
    with world.client() as client:
        (row,) = client.send(list_attempts("c", contact=PHONE))
    return row.state, row.outcome


def rang(world: World) -> int:
    """How often the phone rang, also later."""
    world.simulator.clock.advance(4 * 3600)
    (record,) = (each for each in world.simulator.log.calls if each.number == PHONE)
    return int(record.rang)


@QUEUE
async def test_a_killed_task_s_phone_does_not_ring_later(world: World, xcom: list[dict[str, Any]]) -> None:
    trigger = await queued(world)
    running = asyncio.create_task(run(trigger))
    await asyncio.sleep(0.1)
    world.task_state = FAILED
    await cancelled_as_airflow_does(trigger, running)
    await carried_out()
    assert ledger(world) == ("ended", "killed")
    assert [(result["outcome"], result["call_id"]) for result in xcom] == [("killed", None)]
    assert rang(world) == 0


@QUEUE
@pytest.mark.parametrize(("state", "rings"), [(CLEARED, 0), (NEXT_TRY_WAITS, 1)])
async def test_a_cleared_task_s_phone_rings_only_when_the_next_try_waits_for_it(
    world: World, monkeypatch: pytest.MonkeyPatch, state: TaskState, rings: int
) -> None:
    monkeypatch.setattr(killing, "CLEARED_SECONDS", 0.3)
    trigger = await queued(world)
    running = asyncio.create_task(run(trigger))
    await asyncio.sleep(0.1)
    world.task_state = state
    await cancelled_as_airflow_does(trigger, running)
    await carried_out()
    assert rang(world) == rings


async def test_a_result_is_left_where_the_task_would_have_returned_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.sdk.execution_time.xcom import XCom

    pushed: list[Any] = []
    monkeypatch.setattr(XCom, "set", lambda *args, **named: pushed.append((args, named)))
    task = SimpleNamespace(dag_id="d", task_id="t", run_id="r", map_index=3)
    await task_state.push_result(task, {"outcome": "killed"})
    named = {"dag_id": "d", "task_id": "t", "run_id": "r", "map_index": 3}
    assert pushed == [(("return_value", {"outcome": "killed"}), named)]
