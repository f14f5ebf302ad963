"""A task's call handed on by its id: ``call_id=accept.output["call_id"]``."""

from __future__ import annotations

from pathlib import Path

import pytest
from airflow.sdk.configuration import conf

from airflow_openai_realtime.simulator.phones import PhoneScript
from airflow_openai_realtime.testing.local_airflow import RealtimeAirflow

NUMBER = "+14155550142"
DAGS = """
from airflow.sdk import DAG

from airflow_openai_realtime.operators import AcceptCallOperator, HangupCallOperator, PlaceCallOperator
from airflow_openai_realtime.sensors import IncomingCallSensor

with DAG("handed_on_by_id", schedule=None, params={"number": ""}):
    placed = PlaceCallOperator(task_id="place", to="{{ params.number }}", campaign="c")
    call = IncomingCallSensor(task_id="wait", placed=placed.output, timeout=120)
    accept = AcceptCallOperator(task_id="accept", call_id=call.output["call_id"], instructions="Be brief.")
    hang_up = HangupCallOperator(task_id="hang_up", call_id=accept.output["call_id"])
    placed >> call >> accept >> hang_up.as_teardown(setups=accept)
"""


@pytest.mark.realtime_simulator(ring_seconds=300)  # between two tasks, a busy machine may need longer than OpenAI waits
def test_a_call_handed_on_by_its_id_is_accepted_and_hung_up(
    airflow_db: Path, realtime_airflow: RealtimeAirflow
) -> None:
    folder = Path(conf.get("core", "dags_folder"))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "handed_on_by_id.py").write_text(DAGS)
    realtime_airflow.dags_folder = folder
    simulator = realtime_airflow.simulator
    simulator.phones.add(NUMBER, PhoneScript.talks_for_ever(after_seconds=1))
    run = realtime_airflow.run("handed_on_by_id", number=NUMBER)
    assert run.states == dict.fromkeys(("place", "wait", "accept", "hang_up"), "success")
    assert not simulator.log.open_calls()
    (record,) = simulator.log.calls
    assert (record.accepted, record.ended_by) == (1, "api_hangup")
