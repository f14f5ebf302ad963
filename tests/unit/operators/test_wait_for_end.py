"""Whole calls as one task: accept, answer and place with ``wait_for_end``."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from airflow_world import CALLER, OUR_NUMBER, FakeTask, World, context, run_task, until
from whole_calls import SCHEMA, completed, deferred, fire, satisfied, whole

from airflow_openai_realtime.exceptions import InvalidInput, RequestRefused, SwitchboardRefused
from airflow_openai_realtime.operators.accept import AcceptCallOperator
from airflow_openai_realtime.operators.place import PlaceCallOperator
from airflow_openai_realtime.sensors.incoming_call import IncomingCallSensor
from airflow_openai_realtime.simulator.phones import PhoneScript
from airflow_openai_realtime.switchboard.client.switchboard_requests import list_attempts
from airflow_openai_realtime.triggers import pacing
from airflow_openai_realtime.triggers.wait_for_call import WaitForCallTrigger

PHONE = "+14155550142"
FOR_EVER = PhoneScript.talks_for_ever(after_seconds=0.1)
SURVEY = {"instructions": "Ask for a score.", "greeting": "Hello.", "result_model": SCHEMA}


@pytest.fixture(autouse=True)
def _no_settling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pacing, "SETTLE_SECONDS", 0.0)


def accepting(call: Any, **kwargs: Any) -> AcceptCallOperator:
    return AcceptCallOperator(task_id="talk", call=call, wait_for_end=True, **{**SURVEY, **kwargs})


def answering(**kwargs: Any) -> IncomingCallSensor:
    return IncomingCallSensor(answer=True, task_id="talk", to=OUR_NUMBER, wait_for_end=True, **{**SURVEY, **kwargs})


def placing(**kwargs: Any) -> PlaceCallOperator:
    given = {"to": PHONE, "campaign": "survey", "contact": "ann", **SURVEY, **kwargs}
    return PlaceCallOperator(task_id="talk", wait_for_end=True, **given)


def is_the_result(result: dict[str, Any]) -> bool:
    return (result["outcome"], result["result"], result["result_valid"]) == ("completed", {"score": 5}, True)


# -- accept ------------------------------------------------------------------------------------------------------


async def test_an_accepted_call_is_run_to_its_result(world: World) -> None:
    call_id = await asyncio.to_thread(world.ring, script=satisfied())
    result = await whole(accepting(call_id))
    assert is_the_result(result)
    assert result["call_id"] == call_id
    assert not world.is_open(call_id)


async def test_the_tools_are_offered_from_the_first_word_on(world: World) -> None:
    call_id = await asyncio.to_thread(world.ring, script=satisfied())
    await whole(accepting(call_id, tools=[{"type": "function", "name": "mine", "parameters": {"type": "object"}}]))
    assert world.count("session.updated") == 0


async def test_retried_in_the_call_it_attaches_again_and_after_it_returns_the_kept_result(world: World) -> None:
    call_id = await asyncio.to_thread(world.ring, script=satisfied())
    await asyncio.to_thread(deferred, accepting(call_id))
    first = await whole(accepting(call_id))
    assert is_the_result(first)
    assert await asyncio.to_thread(run_task, accepting(call_id)) == first
    assert world.record(call_id).accepted == 1


def test_a_caller_who_has_hung_up_before_skips_the_task_or_is_gone(world: World) -> None:
    call_id = world.ring()
    world.simulator.phones.hang_up(CALLER)
    assert world.simulator.wait_for(lambda: world.record(call_id).fate != "in_progress")
    with pytest.raises(AirflowSkipException):
        run_task(accepting(call_id))
    assert run_task(accepting(call_id, if_gone="succeed"))["outcome"] == "gone"


@pytest.mark.parametrize(
    "given", [{"greeting": "Hi"}, {"result_model": SCHEMA}, {"transcript_path": "file:///tmp/"}, {"end_call": False}]
)
def test_what_happens_in_a_call_needs_wait_for_end(given: dict[str, Any]) -> None:
    (name,) = given
    for operator in (AcceptCallOperator, IncomingCallSensor, PlaceCallOperator):
        others: dict[str, Any] = {"to": PHONE, "campaign": "c"} if operator is PlaceCallOperator else {}
        with pytest.raises(InvalidInput, match=f"{name} needs wait_for_end=True"):
            operator(task_id="talk", **others, **given)


def test_waiting_has_safe_retries_unless_told_otherwise() -> None:
    assert accepting("rtc_1").retries == 3
    assert AcceptCallOperator(task_id="talk", call="rtc_1").retries == 3
    with DAG("d", schedule=None, default_args={"retries": 7}):
        assert placing().retries == 7


# -- answer ------------------------------------------------------------------------------------------------------


async def test_the_trigger_that_answers_goes_on_with_the_call(world: World) -> None:
    deferral = await asyncio.to_thread(deferred, answering())
    assert isinstance(deferral.trigger, WaitForCallTrigger)
    running = asyncio.create_task(completed(answering(), deferral))
    call_id = await asyncio.to_thread(world.ring, script=satisfied())
    result = await running
    assert is_the_result(result)
    assert result["call_id"] == call_id


async def test_a_call_that_rings_already_is_accepted_at_once_and_run(world: World) -> None:
    await asyncio.to_thread(world.ring, script=satisfied())
    assert is_the_result(await whole(answering()))


async def test_a_trigger_that_begins_again_goes_on_with_its_call_and_takes_no_other(world: World) -> None:
    deferral = await asyncio.to_thread(deferred, answering())
    first = asyncio.create_task(fire(deferral))
    call_id = await asyncio.to_thread(world.ring, script=FOR_EVER)
    await until(world, lambda: world.attachments() == 1)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    assert world.is_open(call_id)
    _path, kwargs = deferral.trigger.serialize()
    # Long after the time for waiting.
    again = asyncio.create_task(_fire(WaitForCallTrigger(**{**kwargs, "deadline": 1.0})))
    await until(world, lambda: world.attachments() == 2)
    other = await asyncio.to_thread(world.ring, "+14155550155")
    world.simulator.phones.hang_up(CALLER)
    assert await again == {"status": "over", "call_id": call_id}
    assert world.row(other).state == "ringing"
    # And after the end of the call.
    assert await _fire(WaitForCallTrigger(**kwargs)) == {"status": "over", "call_id": call_id}
    assert world.row(other).state == "ringing"


async def _fire(trigger: WaitForCallTrigger) -> dict[str, Any]:
    events = [event.payload async for event in trigger.run()]
    (payload,) = events
    return payload  # type: ignore[no-any-return]


async def test_a_retried_task_returns_the_result_of_its_call_and_waits_for_no_other(world: World) -> None:
    await asyncio.to_thread(world.ring, script=satisfied())
    first = await whole(answering())
    other = await asyncio.to_thread(world.ring, "+14155550155")
    assert await asyncio.to_thread(run_task, answering()) == first
    assert world.row(other).state == "ringing"


async def test_killed_in_the_call_it_is_hung_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    states = {FakeTask().run_id: {"wait": "failed"}}
    monkeypatch.setattr(RuntimeTaskInstance, "get_task_states", staticmethod(lambda **_: states))
    deferral = await asyncio.to_thread(deferred, answering())
    trigger = deferral.trigger
    trigger.task_instance = FakeTask()
    running = asyncio.create_task(_fire(trigger))
    call_id = await asyncio.to_thread(world.ring, script=FOR_EVER)
    await until(world, world.attachments)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await trigger.on_kill()
    await until(world, lambda: world.row(call_id).is_over)
    assert not world.is_open(call_id)
    assert world.row(call_id).end_reason == "killed"


# -- place -------------------------------------------------------------------------------------------------------


def attempt_in(world: World) -> Any:
    with world.client() as client:
        (row,) = client.send(list_attempts("survey"))
    return row


async def test_one_task_rings_talks_and_returns_the_result(world: World) -> None:
    world.simulator.phones.add(PHONE, satisfied())
    result = await whole(placing())
    assert is_the_result(result)
    row = attempt_in(world)
    assert (row.state, row.outcome, row.call_id) == ("ended", "answered", result["call_id"])
    assert (result["attempt_id"], result["attempt"]) == (row.attempt_id, 1)
    assert world.simulator.log.open_calls() == []


@pytest.mark.parametrize(
    ("script", "outcome"),
    [
        (PhoneScript.busy(), "busy"),
        (PhoneScript.declines(after_seconds=0.1), "busy"),
        (PhoneScript.invalid(), "failed"),
    ],
)
async def test_a_phone_that_is_not_answered_is_a_result(world: World, script: PhoneScript, outcome: str) -> None:
    world.simulator.phones.add(PHONE, script)
    result = await whole(placing())
    assert (result["outcome"], result["call_id"], result["talk_seconds"]) == (outcome, None, 0.0)
    assert attempt_in(world).outcome == outcome
    # A retry finds it in the ledger.
    assert (await asyncio.to_thread(run_task, placing()))["outcome"] == outcome
    assert len(world.simulator.log.dials(PHONE)) == 1


@pytest.mark.parametrize(("wanted", "error"), [("skip", AirflowSkipException), ("fail", AirflowFailException)])
async def test_or_it_skips_or_fails_the_task(world: World, wanted: str, error: type[Exception]) -> None:
    world.simulator.phones.add(PHONE, PhoneScript.busy())
    with pytest.raises(error, match="busy"):
        await whole(placing(if_not_answered=wanted))


def test_a_phone_that_nobody_told_about_in_time_is_unknown(world: World) -> None:
    operator = placing()
    deferred(operator)
    task = FakeTask()
    result = run_task(placing(), context(task), "execute_complete", event={"status": "timeout"})
    assert (result["outcome"], result["reason"], task.xcom["outcome"]) == ("unknown", "timeout", "timeout")


async def test_the_phone_rings_once_whatever_is_retried(world: World) -> None:
    world.simulator.phones.add(PHONE, satisfied())
    await asyncio.to_thread(deferred, placing())
    first = await whole(placing())
    assert await asyncio.to_thread(run_task, placing()) == first
    another_run = context(FakeTask(run_id="manual__2"))
    assert (await asyncio.to_thread(run_task, placing(), another_run))["call_id"] == first["call_id"]
    assert len(world.simulator.log.dials(PHONE)) == 1


async def test_the_next_attempt_in_the_same_run_is_another_call(world: World) -> None:
    world.simulator.phones.add(PHONE, satisfied())
    first = await whole(placing())
    second = await whole(placing(attempt=2))
    assert (second["attempt"], second["call_id"] == first["call_id"]) == (2, False)
    assert len(world.simulator.log.dials(PHONE)) == 2


def test_a_mistake_shows_before_the_phone_rings(world: World) -> None:
    with DAG("d", schedule=None):
        operator = placing(transfer_to={"desk": "{{ '555' }}"})
    operator.render_template_fields({})
    with pytest.raises(InvalidInput, match=r"transfer_to\.desk"):
        run_task(operator)
    with pytest.raises(InvalidInput, match="cannot be imported"):
        run_task(placing(functions=["shop.nowhere.book"]))
    assert world.simulator.log.dials(PHONE) == []


def test_the_carrier_s_limit_is_later_than_the_task_s() -> None:
    assert placing(max_duration_seconds=300)._parameters().read_carrier_limit() == 420
    assert placing()._parameters().read_carrier_limit() == 720
    assert PlaceCallOperator(task_id="place", to=PHONE, campaign="c")._parameters().read_carrier_limit() == 900


@pytest.mark.parametrize("given", [{"instructions": "Hi"}, {"voice": "marin"}, {"caller_fields": {"a": "from_number"}}])
def test_a_session_needs_wait_for_end(given: dict[str, Any]) -> None:
    (name,) = given
    with pytest.raises(InvalidInput, match=f"{name} needs wait_for_end=True"):
        PlaceCallOperator(task_id="place", to=PHONE, campaign="c", **given)


def test_if_not_answered_must_be_known() -> None:
    with pytest.raises(InvalidInput, match="result, skip, fail"):
        placing(if_not_answered="cry")


async def test_an_accept_that_failed_is_told_and_a_retry_rings_nobody(world: World) -> None:
    world.simulator.phones.add(PHONE, FOR_EVER)
    world.simulator.faults.status("accept", 400)
    with pytest.raises((RequestRefused, SwitchboardRefused)):
        await whole(placing())
    world.simulator.phones.hang_up(PHONE)
    result = await asyncio.to_thread(run_task, placing())
    assert (result["outcome"], result["reason"]) == ("failed", "accept_failed")
    assert len(world.simulator.log.dials(PHONE)) == 1
