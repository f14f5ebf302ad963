"""
Tasks that an earlier release deferred go on in this one: Airflow keeps a trigger's class by its path, with its
arguments, and the method that the task resumes with by its name.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import time
from typing import Any

import pytest
from airflow.triggers.base import BaseTrigger
from tests.upgrade.recordings import VERSIONS, Recording

from airflow_openai_realtime.api.call_requests import accept_call
from airflow_openai_realtime.hooks.realtime import RealtimeHook
from airflow_openai_realtime.simulator import Dialogue, Move, PhoneScript, Reply
from airflow_openai_realtime.switchboard.client.conversation_requests import get_conversation
from airflow_openai_realtime.switchboard.client.switchboard_requests import announce_accept, report_accepted
from airflow_openai_realtime.testing.local_airflow import CONN_ID, RealtimeAirflow

CALLER, OUR_NUMBER = "+14155550123", "+14155550100"
#: Gives a score; the model records it, says goodbye and ends the call.
SATISFIED = PhoneScript.talks_for_ever(
    dialogue=Dialogue(
        (
            Reply("Hi?", thinks_seconds=0.05),
            Reply.calls("record_result", {"score": 5}, thinks_seconds=0.05),
            Reply.calls("end_call", {}, text="Bye.", thinks_seconds=0.05),
        ),
        (Move.says("Five!", after_seconds=0.1),),
    )
)
TRIGGERS = [
    pytest.param(version, number, id=f"{version}-{number}-{each['trigger'].rpartition('.')[2]}")
    for version in VERSIONS
    for number, each in enumerate(Recording.of(version).triggers)
]


@pytest.fixture
def kept(version: str, number: int) -> dict[str, Any]:
    """A trigger as Airflow keeps it."""
    found: dict[str, Any] = Recording.of(version).triggers[number]
    return found


#: Triggers of asset watchers whose module has another name since. No task waits for such a trigger: Airflow replaces it
#: when it parses the DAG with the watcher, and that DAG imports the class by its new name.
MOVED = {
    "airflow_openai_realtime.triggers.incoming_call.IncomingCallTrigger": (
        "airflow_openai_realtime.triggers.incoming_call_event.IncomingCallTrigger"
    )
}

#: Operators that are one with others since. Airflow resumes a deferred task by its id in the DAG, with whichever
#: operator stands there now, so these go on once the DAG file names the new one.
BECAME = {
    "airflow_openai_realtime.operators.answer.AnswerCallOperator": (
        "airflow_openai_realtime.sensors.incoming_call.IncomingCallSensor"
    ),
    "airflow_openai_realtime.operators.take.TakeCallOperator": (
        "airflow_openai_realtime.operators.watch.WatchCallOperator"
    ),
}


def test_no_task_waits_for_a_trigger_that_moved() -> None:
    kept = [each for version in VERSIONS for each in Recording.of(version).triggers]
    assert {each["trigger"] for each in kept if each["task"] is None} == set(MOVED)
    assert not any(each["trigger"] in MOVED for each in kept if each["task"] is not None)


def named(path: str) -> Any:
    """The class with this path, or the one that it has become."""
    path = {**MOVED, **BECAME}.get(path, path)
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def made_again(kept: dict[str, Any], **others: Any) -> BaseTrigger:
    """A trigger as Airflow makes it from what it keeps."""
    trigger: BaseTrigger = named(kept["trigger"])(**{**kept["kwargs"], **others})
    return trigger


def test_every_trigger_class_was_recorded() -> None:
    newest = Recording.of(VERSIONS[-1])
    assert {each["trigger"].rpartition(".")[2] for each in newest.triggers} == {
        "IncomingCallTrigger",
        "LiveCallTrigger",
        "TakeCallTrigger",
        "WaitForCallTrigger",
    }


@pytest.mark.parametrize(("version", "number"), TRIGGERS)
def test_a_stored_trigger_is_made_again(kept: dict[str, Any]) -> None:
    path, kwargs = made_again(kept).serialize()
    assert named(path) is named(kept["trigger"])
    assert {name: kwargs[name] for name in kept["kwargs"]} == kept["kwargs"]
    assert json.loads(json.dumps(kwargs)) == kwargs


@pytest.mark.parametrize(("version", "number"), TRIGGERS)
def test_the_task_that_waits_for_it_can_resume(kept: dict[str, Any]) -> None:
    if kept["task"] is None:
        return  # a watcher of an asset: no task waits
    resumed = getattr(named(kept["task"]["operator"]), kept["task"]["method"])
    inspect.signature(resumed).bind(object(), context={}, event={}, **kept["task"]["kwargs"])


@pytest.mark.parametrize("version", VERSIONS)
async def test_connections_that_were_handed_over_can_be_read(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    recording = Recording.of(version)
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", recording.fernet_key)
    sealed = next(each["kwargs"]["connections"] for each in recording.triggers if each["kwargs"].get("connections"))
    line = await RealtimeHook(openai_realtime_conn_id=CONN_ID, connections=sealed).aline()
    assert (line.api.api_key, line.switchboard.line) == (recording.api_key, "support")


@pytest.mark.realtime_simulator(ring_seconds=3600)
@pytest.mark.parametrize("version", VERSIONS)
async def test_a_trigger_that_waited_answers_and_talks(version: str, realtime_airflow: RealtimeAirflow) -> None:
    """The session, the caller's fields and the conversation travel sealed in its arguments."""
    triggers = [each for each in Recording.of(version).triggers if each["kwargs"].get("answer")]
    kept = next(each for each in triggers if each["kwargs"]["conversation"] and not each["kwargs"]["carrier_call_id"])
    deadline = time.time() + 120
    trigger = made_again(kept, connections=None, deadline=deadline, match={"to": OUR_NUMBER})
    running = asyncio.ensure_future(anext(aiter(trigger.run())))
    call_id = realtime_airflow.simulator.call_in(CALLER, OUR_NUMBER, script=SATISFIED)
    event = (await running).payload
    assert (event["status"], event["call_id"]) == ("over", call_id)
    with realtime_airflow.switchboard() as client:
        conversation = client.send(get_conversation(call_id))
    assert conversation is not None
    assert conversation.result is not None
    assert conversation.result["result"] == {"score": 5}
    assert conversation.holder == kept["kwargs"]["claimant"]


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_trigger_that_ran_a_call_goes_on_with_it(version: str, realtime_airflow: RealtimeAirflow) -> None:
    """Its time is over by now, so the call is hung up, and the task gets a result."""
    recording = Recording.of(version)
    kept = next(each for each in recording.triggers if each["kwargs"].get("call_id") == recording.calls["live"])
    call_id = recording.calls["live"]
    simulator = realtime_airflow.simulator
    simulator.call_in(CALLER, OUR_NUMBER, script=PhoneScript.talks_for_ever(), call_id=call_id)
    await asyncio.to_thread(_accept, realtime_airflow, call_id, kept["kwargs"]["holder"])
    event = await anext(aiter(made_again(kept, connections=None).run()))
    assert event.payload == {"status": "over", "call_id": call_id}
    record = simulator.log.call(call_id=call_id)
    assert (record.open, record.ended_by) == (False, "api_hangup")
    with realtime_airflow.switchboard() as client:
        conversation = client.send(get_conversation(call_id))
    assert conversation is not None
    assert (conversation.holder, conversation.outcome) == (kept["kwargs"]["holder"], "max_duration")


def _accept(world: RealtimeAirflow, call_id: str, claimant: str) -> None:
    hook = RealtimeHook(openai_realtime_conn_id=CONN_ID)
    with world.switchboard() as switchboard, hook.calls() as calls:
        switchboard.send(announce_accept(call_id, claimant, max_duration_seconds=600))
        calls.send(accept_call(call_id, {"instructions": "Hi"}))
        switchboard.send(report_accepted(call_id, claimant))
