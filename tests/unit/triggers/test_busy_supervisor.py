"""Triggers in a triggerer whose other process is busy and answers nothing, with connections in Airflow's database."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from airflow.sdk.execution_time import task_runner
from airflow_world import CALLER, CONN_ID, OUR_NUMBER, World, run_task, until
from cryptography.fernet import Fernet
from whole_calls import SCHEMA, deferred, satisfied

from airflow_openai_realtime.hooks import airflow_connections
from airflow_openai_realtime.operators.accept import AcceptCallOperator
from airflow_openai_realtime.operators.line import OpenLineOperator
from airflow_openai_realtime.operators.place import PlaceCallOperator
from airflow_openai_realtime.operators.watch import WatchCallOperator
from airflow_openai_realtime.sensors.incoming_call import IncomingCallSensor
from airflow_openai_realtime.simulator.phones import PhoneScript
from airflow_openai_realtime.testing.local_airflow import CARRIER_CONN_ID
from airflow_openai_realtime.triggers import pacing

PHONE = "+14155550142"
#: How long a trigger may take for what is tested here; it needs a moment.
LIMIT_SECONDS = 60.0


@pytest.fixture(autouse=True)
def _fernet_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", Fernet.generate_key().decode())
    monkeypatch.setattr(pacing, "SETTLE_SECONDS", 0.0)


class BusySupervisor:
    """The triggerer's other process, as triggers see it, while it builds Airflow's API."""

    start_reader = None

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def asend(self, message: Any) -> Any:
        """Never answer."""
        self.asked.append(type(message).__name__)
        await asyncio.Event().wait()

    def send(self, message: Any) -> Any:
        """Be asked from a thread, or by a trigger that would block the loop."""
        self.asked.append(type(message).__name__)
        raise AssertionError("a synchronous question in a triggerer blocks it")


@pytest.fixture
def busy(monkeypatch: pytest.MonkeyPatch) -> Any:
    """From now on this process is a triggerer whose connections are in Airflow's database."""

    def become() -> BusySupervisor:
        for conn_id in (CONN_ID, CARRIER_CONN_ID):
            monkeypatch.delenv(f"AIRFLOW_CONN_{conn_id.upper()}")
        supervisor = BusySupervisor()
        monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", supervisor, raising=False)
        return supervisor

    return become


async def fired(deferral: Any) -> dict[str, Any]:
    trigger = deferral.trigger
    kwargs = json.loads(json.dumps(trigger.serialize()[1]))
    events = [event.payload async for event in type(trigger)(**kwargs).run()]
    return dict(events[0])


def questions(supervisor: BusySupervisor) -> set[str]:
    """What was asked, but for texts to hide, whose answer nothing waits for."""
    return set(supervisor.asked) - {"MaskSecret"}


async def test_a_ringing_call_is_answered_and_run_to_its_end(world: World, busy: Any) -> None:
    answering = IncomingCallSensor(
        answer=True, task_id="talk", to=OUR_NUMBER, wait_for_end=True, greeting="Hello.", result_model=SCHEMA
    )
    deferral = await asyncio.to_thread(deferred, answering)
    supervisor = busy()
    running = asyncio.create_task(fired(deferral))
    call_id = await asyncio.to_thread(world.ring, script=satisfied())
    assert await asyncio.wait_for(running, LIMIT_SECONDS) == {"status": "over", "call_id": call_id}
    assert questions(supervisor) == set()


async def test_a_call_that_a_task_accepted_is_run_to_its_end(world: World, busy: Any) -> None:
    call_id = await asyncio.to_thread(world.ring, script=satisfied())
    accepting = AcceptCallOperator(
        task_id="talk", call=call_id, wait_for_end=True, greeting="Hello.", result_model=SCHEMA
    )
    deferral = await asyncio.to_thread(deferred, accepting)
    supervisor = busy()
    assert await asyncio.wait_for(fired(deferral), LIMIT_SECONDS) == {"status": "over", "call_id": call_id}
    assert questions(supervisor) == set()


async def test_a_placed_call_is_answered_and_the_carrier_is_asked_how_it_goes(world: World, busy: Any) -> None:
    world.simulator.phones.add(PHONE, PhoneScript.declines(after_seconds=0.5))
    placing = PlaceCallOperator(task_id="talk", to=PHONE, campaign="survey", wait_for_end=True)
    deferral = await asyncio.to_thread(deferred, placing)
    supervisor = busy()
    event = await asyncio.wait_for(fired(deferral), LIMIT_SECONDS)
    assert (event["status"], event["outcome"]) == ("not_answered", "busy")
    assert questions(supervisor) == set()


async def test_a_live_call_is_taken_over_from_a_standing_order(world: World, busy: Any) -> None:
    taking = WatchCallOperator(wait_for_end=False, task_id="take", order="dispatcher")
    deferral = await asyncio.to_thread(deferred, taking)
    await asyncio.to_thread(run_task, OpenLineOperator(task_id="open", name="dispatcher", to=OUR_NUMBER))
    supervisor = busy()
    running = asyncio.create_task(fired(deferral))
    await asyncio.to_thread(world.simulator.call_in, CALLER, OUR_NUMBER, script=PhoneScript.talks_for_ever())
    assert (await asyncio.wait_for(running, LIMIT_SECONDS))["status"] == "accepted"
    assert questions(supervisor) == set()


async def test_what_is_handed_over_is_unreadable_without_airflow_s_key(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    deferral = await asyncio.to_thread(deferred, IncomingCallSensor(answer=True, task_id="talk", to=OUR_NUMBER))
    sealed = deferral.trigger.serialize()[1]["connections"]  # type: ignore[attr-defined]
    shown = json.dumps(deferral.trigger.serialize()) + repr(deferral.trigger)  # type: ignore[attr-defined]
    assert not [secret for secret in world.secrets if secret in shown]
    assert sealed not in repr(deferral.trigger)
    first = airflow_connections.handed_over(sealed, CONN_ID)
    assert first is not None
    assert first.password == world.simulator.api_key
    old_key = airflow_connections.conf.get("core", "fernet_key")
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", f"{Fernet.generate_key().decode()},{old_key}")
    assert airflow_connections.handed_over(sealed, CONN_ID) == first
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", Fernet.generate_key().decode())
    assert airflow_connections.handed_over(sealed, CONN_ID) is None


async def test_without_a_fernet_key_the_jwt_secret_seals_what_is_handed_over(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", "")
    monkeypatch.setenv("AIRFLOW__API_AUTH__JWT_SECRET", "the same in worker and triggerer")
    deferral = await asyncio.to_thread(deferred, IncomingCallSensor(answer=True, task_id="talk", to=OUR_NUMBER))
    sealed = deferral.trigger.serialize()[1]["connections"]  # type: ignore[attr-defined]
    found = airflow_connections.handed_over(sealed, CONN_ID)
    assert found is not None
    assert found.password == world.simulator.api_key
    assert found.password not in sealed


@pytest.mark.parametrize("secret_of_the_triggerer", ["", "another one"])
async def test_without_a_key_in_common_a_trigger_looks_its_connections_up(
    world: World, monkeypatch: pytest.MonkeyPatch, secret_of_the_triggerer: str
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", "")
    monkeypatch.setenv("AIRFLOW__API_AUTH__JWT_SECRET", "")
    assert airflow_connections.hand_over() is None
    monkeypatch.setenv("AIRFLOW__API_AUTH__JWT_SECRET", "of the worker")
    deferral = await asyncio.to_thread(deferred, IncomingCallSensor(answer=True, task_id="talk", to=OUR_NUMBER))
    monkeypatch.setenv("AIRFLOW__API_AUTH__JWT_SECRET", secret_of_the_triggerer)
    running = asyncio.create_task(fired(deferral))
    call_id = await asyncio.to_thread(world.ring)
    await until(world, lambda: world.row(call_id).state == "accepted")
    assert (await running)["status"] == "accepted"
