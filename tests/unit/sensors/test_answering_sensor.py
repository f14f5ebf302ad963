from __future__ import annotations

import asyncio
import inspect
import json
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException, AirflowSensorTimeout, AirflowSkipException, TaskDeferred
from airflow_world import CALLER, OUR_NUMBER, FakeTask, World, context, run_task
from whole_calls import SCHEMA, satisfied, whole

from airflow_openai_realtime.api.call_requests import accept_call
from airflow_openai_realtime.api.session.realtime_session import RealtimeSession
from airflow_openai_realtime.api.sideband.connection import attach
from airflow_openai_realtime.calls.owner import owner_name
from airflow_openai_realtime.exceptions import CallError, InvalidInput, InvalidSession, SwitchboardRefused
from airflow_openai_realtime.hooks.realtime import RealtimeHook
from airflow_openai_realtime.operators.hang_up import HangupCallOperator
from airflow_openai_realtime.operators.place import PlaceCallOperator
from airflow_openai_realtime.sensors.incoming_call import IncomingCallSensor
from airflow_openai_realtime.simulator.phones import PhoneScript
from airflow_openai_realtime.switchboard.client.switchboard_requests import announce_accept, list_attempts
from airflow_openai_realtime.triggers import pacing

FOR_EVER = PhoneScript.talks_for_ever()
PHONE = "+14155550142"

Make = Callable[..., Any]


@pytest.fixture(autouse=True)
def _no_settling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pacing, "SETTLE_SECONDS", 0.0)


def answering(**kwargs: Any) -> IncomingCallSensor:
    return IncomingCallSensor(answer=True, task_id="wait", **{"instructions": "Say hello.", **kwargs})


def sensing(**kwargs: Any) -> IncomingCallSensor:
    instructions = kwargs.pop("instructions", "Say hello.")
    given = {"session": {"instructions": instructions}, **kwargs}
    return IncomingCallSensor(answer=True, task_id="wait", **given)


#: The session by its fields, and whole: the same behaviour.
BOTH = pytest.mark.parametrize("make", [answering, sensing])


async def deferred(task: Any, given: dict[str, Any] | None = None, *, ring: Callable[[], object] | None = None) -> Any:
    """Run a task over its deferral: the trigger in this event loop while a person calls, then the task again."""
    given = given or context()
    with pytest.raises(TaskDeferred) as deferral:
        run_task(task, given)
    path, kwargs = deferral.value.trigger.serialize()
    again = type(deferral.value.trigger)(**json.loads(json.dumps(kwargs)))
    assert path == f"{type(again).__module__}.{type(again).__name__}"
    events = await fired(again, ring)
    assert len(events) == 1
    return run_task(task, given, deferral.value.method_name, event=events[0])


async def fired(trigger: Any, ring: Callable[[], object] | None = None) -> list[dict[str, Any]]:
    """What a trigger tells."""

    async def collect() -> list[dict[str, Any]]:
        return [event.payload async for event in trigger.run()]

    running = asyncio.create_task(collect())
    if ring is not None:
        await asyncio.to_thread(ring)
    return await running


def session_of(call_id: str) -> dict[str, Any]:
    async def first_event() -> dict[str, Any]:
        async with attach(RealtimeHook().api(), call_id) as sideband:
            return await anext(aiter(sideband))

    session: dict[str, Any] = asyncio.run(first_event())["session"]
    return session


@BOTH
def test_a_call_that_rings_already_is_accepted_in_the_task(world: World, make: Make) -> None:
    call_id = world.ring(script=FOR_EVER)
    call = run_task(make(max_duration_seconds="60"))
    assert (call["call_id"], call["state"], call["from_number"]) == (call_id, "accepted", CALLER)
    assert call["claimed_by"] == owner_name(FakeTask())
    assert call["accepted_at"] <= call["hangup_at"]
    assert json.loads(json.dumps(call)) == call
    assert session_of(call_id)["instructions"] == "Say hello."


@BOTH
async def test_a_call_that_comes_later_is_accepted_by_the_trigger(world: World, make: Make) -> None:
    call = await deferred(make(to=OUR_NUMBER), ring=lambda: world.ring(script=FOR_EVER))
    assert (call["state"], call["to_number"]) == ("accepted", OUR_NUMBER)
    assert world.is_open(call["call_id"])


@BOTH
async def test_fields_of_the_call_are_put_into_the_instructions(world: World, make: Make) -> None:
    task = make(
        instructions="Call {number}, order {order}.",
        caller_fields={"number": "from_number", "order": "headers.X-Order"},
    )
    call = await deferred(task, ring=lambda: world.ring(script=FOR_EVER, headers=[("X-Order", "A-17")]))
    session = await asyncio.to_thread(session_of, call["call_id"])
    assert session["instructions"].endswith('Call [caller data: "+14155550123"], order [caller data: "A-17"].')


@BOTH
def test_only_a_call_that_matches_is_answered(world: World, make: Make) -> None:
    world.ring(script=FOR_EVER)
    with pytest.raises(TaskDeferred):
        run_task(make(to="+49*"))
    assert world.count("openai.accepted") == 0


@BOTH
async def test_when_no_call_comes_in_time_the_task_fails(world: World, make: Make) -> None:
    with pytest.raises(AirflowSensorTimeout, match=r"0\.2 s"):
        await deferred(make(timeout=timedelta(seconds=0.2)))


async def test_when_no_call_comes_in_time_soft_fail_skips(world: World) -> None:
    with pytest.raises(AirflowSkipException, match="no call came"):
        await deferred(answering(timeout=0.2, soft_fail=True))


@BOTH
async def test_a_refused_session_fails_the_task_and_the_next_try_takes_the_caller_who_still_waits(
    world: World, make: Make
) -> None:
    world.simulator.faults.status("accept", 400)
    with pytest.raises(SwitchboardRefused, match="could not accept"):
        await deferred(make(), ring=lambda: world.ring(script=FOR_EVER))
    await asyncio.to_thread(world.ring, "+14155550199", script=FOR_EVER)
    call = run_task(make())
    assert (call["from_number"], call["state"]) == (CALLER, "accepted")


@BOTH
async def test_a_task_that_is_failed_by_mistake_and_tried_again_has_its_call(world: World, make: Make) -> None:
    """The trigger has accepted the call; its event finds a task that waits to be tried again, and is lost."""
    with pytest.raises(TaskDeferred) as deferral:
        run_task(make())
    (event,) = await fired(deferral.value.trigger, lambda: world.ring(script=FOR_EVER))
    assert event["status"] == "accepted"
    world.ring("+14155550199")
    again = run_task(make(), context(FakeTask(try_number=2)))
    assert again["from_number"] == CALLER
    assert again["state"] == "accepted"
    assert world.count("openai.accepted") == 1


@BOTH
def test_a_cleared_task_whose_call_is_over_waits_for_the_next(world: World, make: Make) -> None:
    world.ring(script=FOR_EVER)
    call = run_task(make())
    run_task(HangupCallOperator(task_id="hang_up", call=call))
    with pytest.raises(TaskDeferred):
        run_task(make())


@BOTH
def test_what_the_trigger_could_not_tell_the_switchboard_the_task_tells(world: World, make: Make) -> None:
    call_id = world.ring(script=FOR_EVER)
    task = FakeTask()
    with world.client() as client, RealtimeHook().calls() as calls:
        client.send(announce_accept(call_id, owner_name(task), 60))
        calls.send(accept_call(call_id, {}))
    call = run_task(make(), context(task), "execute_complete", event={"status": "accepted", "call_id": call_id})
    assert call["state"] == world.row(call_id).state == "accepted"


@BOTH
def test_a_call_that_ended_before_the_task_woke_up_is_returned_all_the_same(world: World, make: Make) -> None:
    world.ring(script=FOR_EVER)
    call = run_task(make())
    run_task(HangupCallOperator(task_id="hang_up", call=call))
    event = {"status": "accepted", "call_id": call["call_id"]}
    assert run_task(make(), None, "execute_complete", event=event)["state"] == "ended"


@BOTH
def test_mapped_tasks_answer_different_calls(world: World, make: Make) -> None:
    calls = {world.ring(number, script=FOR_EVER) for number in (CALLER, "+14155550199")}
    assert {run_task(make(), context(FakeTask(map_index=index)))["call_id"] for index in range(2)} == calls


@pytest.mark.realtime_simulator(calls_per_second=None, speed=0, settle_seconds=30)
@BOTH
async def test_a_placed_call_is_answered_and_noted(world: World, make: Make) -> None:
    world.ring()
    world.simulator.phones.add(PHONE, PhoneScript.talks_for_ever(after_seconds=20))
    placed = run_task(PlaceCallOperator(task_id="place", to=PHONE, campaign="c", contact="ann"))
    call = await deferred(make(placed=placed), ring=lambda: world.simulator.clock.advance(30))
    assert call["headers"]["x-correlation-id"] == placed["correlation_id"]
    with world.client() as client:
        (row,) = client.send(list_attempts("c"))
    assert (row.outcome, row.call_id) == ("answered", call["call_id"])


@pytest.mark.realtime_simulator(calls_per_second=None, speed=0, settle_seconds=30)
@pytest.mark.parametrize(("if_not_answered", "error"), [("skip", AirflowSkipException), ("fail", AirflowFailException)])
async def test_a_phone_that_nobody_answers_ends_the_task_as_told(
    world: World, if_not_answered: str, error: type[Exception]
) -> None:
    world.simulator.phones.add(PHONE, PhoneScript.busy())
    placed = run_task(PlaceCallOperator(task_id="place", to=PHONE, campaign="c"))
    task = FakeTask()
    with pytest.raises(error, match="busy"):
        await deferred(
            answering(placed=placed, if_not_answered=if_not_answered),
            context(task),
            ring=lambda: world.simulator.clock.advance(30),
        )
    assert task.xcom == {"outcome": "busy"}


def test_in_poke_mode_the_worker_answers(world: World) -> None:
    ringing = threading.Timer(0.3, lambda: world.ring(script=FOR_EVER))
    ringing.start()
    call = run_task(sensing(deferrable=False, poke_interval=0.05, timeout=60))
    ringing.join()
    assert call["state"] == "accepted"


@BOTH
def test_killed_while_openai_does_not_answer_no_call_is_left(world: World, make: Make) -> None:
    world.connect(timeout_seconds=60)
    call_id = world.ring(script=FOR_EVER)
    world.simulator.faults.time_out("accept", carried_out=True)
    operator, failures = make(), []

    def work() -> None:
        try:
            run_task(operator)
        except BaseException as error:
            failures.append(error)

    worker = threading.Thread(target=work)
    worker.start()
    assert world.simulator.wait_for(lambda: world.is_open(call_id))
    operator.on_kill()
    assert world.simulator.wait_for(lambda: world.row(call_id).is_over)
    assert not world.is_open(call_id)
    assert world.row(call_id).end_reason == "killed"
    world.simulator.reset()  # breaks the connection of the request that hangs
    worker.join()
    assert isinstance(failures[0], CallError)


# -- what was given ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"max_duration_seconds": 0}, "max_duration_seconds"),
        ({"max_duration_seconds": 3601}, "max_duration_seconds"),
        ({"timeout": 0}, "timeout"),
        ({"timeout": "soon"}, "timeout"),
        ({"if_not_answered": "cry"}, "if_not_answered"),
        ({"to": ""}, "to"),
        ({"headers": {"X-Queue": ""}}, "headers.X-Queue"),
        ({"caller_fields": {"a b": "from_number"}}, "caller_fields"),
        ({"caller_fields": {"name": "shoe_size"}}, "caller_fields.name"),
        ({"caller_fields": {"number": "from_number"}, "instructions": "Hello {name}"}, "instructions"),
        ({"caller_fields": {"number": "from_number"}, "instructions": "Hello {"}, "instructions"),
        ({"caller_fields": ["number"]}, "caller_fields"),
    ],
)
def test_values_that_need_no_rendering_are_refused_when_the_dag_is_parsed(given: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as error:
        answering(**given)
    assert error.value.field == field


def test_instructions_inside_a_session_are_checked_too() -> None:
    with pytest.raises(InvalidInput) as error:
        sensing(instructions="Hello {name}", caller_fields={"number": "from_number"})
    assert error.value.field == "instructions"


def test_a_session_that_needs_no_rendering_is_checked_when_the_dag_is_parsed() -> None:
    with pytest.raises(InvalidSession):
        answering(speed=9)
    with pytest.raises(InvalidSession):
        sensing(session={"no_such_field": 1})


@pytest.mark.parametrize("given", [{"voice": "marin"}, {"session": {}}, {"wait_for_end": True}])
def test_what_a_call_is_accepted_with_needs_answer(given: dict[str, Any]) -> None:
    (name,) = given
    with pytest.raises(InvalidInput, match=f"{name} needs answer=True"):
        IncomingCallSensor(task_id="wait", **given)


@pytest.mark.parametrize("answer", [{}, {"instructions": "Hi"}, "yes", None])
def test_answer_is_yes_or_no(answer: Any) -> None:
    with pytest.raises(InvalidInput, match="answer must be True or False"):
        IncomingCallSensor(task_id="wait", answer=answer)


async def test_in_the_worker_a_call_is_answered_and_then_run_in_the_triggerer(world: World) -> None:
    ringing = threading.Timer(0.3, lambda: world.ring(script=satisfied()))
    ringing.start()
    survey = {"greeting": "Hello.", "result_model": SCHEMA}
    task = answering(deferrable=False, poke_interval=0.05, timeout=60, wait_for_end=True, **survey)
    result = await whole(task)
    ringing.join()
    assert (result["outcome"], result["result"]) == ("completed", {"score": 5})


def test_caller_fields_without_an_answer_are_refused() -> None:
    with pytest.raises(InvalidInput) as error:
        IncomingCallSensor(task_id="wait", caller_fields={"number": "from_number"})
    assert error.value.field == "caller_fields"


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"speed": "{{ 9 }}"}, "speed"),
        ({"caller_fields": "{{ {'x': 'y'} }}"}, "caller_fields.x"),
        ({"instructions": "{{ 'Hello {name}' }}", "caller_fields": {"number": "from_number"}}, "name"),
        ({"max_duration_seconds": "{{ 0 }}"}, "max_duration_seconds"),
    ],
)
def test_what_is_templated_is_checked_in_the_task_before_anything_is_sent(
    world: World, given: dict[str, Any], text: str
) -> None:
    call_id = world.ring()
    with DAG("d", schedule=None):
        operator = answering(**given)
    operator.render_template_fields({})
    with pytest.raises(InvalidInput, match=text):
        run_task(operator)
    assert world.row(call_id).state == "ringing"


def test_an_empty_answer_is_openai_s_defaults(world: World) -> None:
    world.ring(script=FOR_EVER)
    assert run_task(IncomingCallSensor(task_id="wait", answer=True))["state"] == "accepted"


def test_an_answer_may_be_a_session_with_templates() -> None:
    with DAG("d", schedule=None):
        sensor = sensing(session=RealtimeSession(instructions="Call {{ name }}."))
    sensor.render_template_fields({"name": "Ann"})  # type: ignore[typeddict-unknown-key]
    assert sensor.session == {"type": "realtime", "instructions": "Call Ann."}


def test_everything_a_dag_author_would_template_is_templated() -> None:
    given = set(inspect.signature(IncomingCallSensor).parameters) - {"kwargs"}
    names_of_code = {"functions", "result_model"}
    airflows = {"retries", "retry_delay", "map_index_template", "poke_interval"}
    fixed = {"if_not_answered", "timeout", "answer", "deferrable", "wait_for_end", *airflows, *names_of_code}
    assert given - fixed == set(IncomingCallSensor.template_fields)


def test_defaults_for_all_tasks_of_a_dag_reach_the_session() -> None:
    with DAG("d", schedule=None, default_args={"voice": "cedar", "retries": 7}):
        operator = answering()
    assert (operator.voice, operator.retries) == ("cedar", 7)


def test_it_can_be_mapped() -> None:
    with DAG("d", schedule=None):
        mapped = IncomingCallSensor.partial(answer=True, task_id="wait", voice="marin").expand(to=["+1", "+2"])
    assert mapped.task_id == "wait"


def test_a_retry_comes_soon_unless_told_otherwise() -> None:
    operator = answering()
    assert (operator.retries, operator.retry_delay) == (3, timedelta(seconds=1))


@BOTH
def test_secrets_of_tools_are_masked_and_not_in_what_airflow_keeps(world: World, make: Make) -> None:
    from airflow.sdk._shared.secrets_masker import redact

    tool = {
        "type": "mcp",
        "server_label": "crm",
        "server_url": "https://crm.example.com",
        "authorization": "oauth-hidden-here",
        "require_approval": "never",
    }
    with DAG("d", schedule=None):
        given: dict[str, Any] = {"tools": [tool]} if make is answering else {"session": {"tools": [tool]}}
        task = make(**given)
    task.render_template_fields({})
    shown = str(redact(task.tools if make is answering else task.session))
    assert "hidden-here" not in shown
    with pytest.raises(TaskDeferred) as deferral:
        run_task(task)
    assert "hidden-here" not in json.dumps(deferral.value.trigger.serialize()) + repr(deferral.value.trigger)


@BOTH
def test_no_full_number_shows_in_the_log(world: World, make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    world.ring(script=FOR_EVER)
    run_task(make())
    assert not [number for number in (CALLER, OUR_NUMBER) if number in "".join(capsys.readouterr())]
