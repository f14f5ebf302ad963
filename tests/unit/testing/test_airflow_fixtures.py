from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from airflow.sdk import DAG

from airflow_openai_realtime.hooks.realtime import RealtimeHook
from airflow_openai_realtime.operators import PlaceCallOperator
from airflow_openai_realtime.simulator.phones import PhoneScript
from airflow_openai_realtime.switchboard.client.switchboard_requests import list_calls
from airflow_openai_realtime.testing.local_airflow import RealtimeAirflow


def test_the_default_connections_lead_to_simulator_and_switchboard(realtime_airflow: RealtimeAirflow) -> None:
    works, about = RealtimeHook().test_connection()
    assert works, about
    carrier = json.loads(os.environ["AIRFLOW_CONN_TELEPHONY_CARRIER_DEFAULT"])
    assert carrier["host"] == realtime_airflow.simulator.twilio_base_url


def test_the_switchboard_is_empty_and_can_be_asked(realtime_airflow: RealtimeAirflow) -> None:
    with realtime_airflow.switchboard() as switchboard:
        assert switchboard.send(list_calls(state="all")).calls == ()


def test_a_dag_that_is_not_there_is_told_with_those_that_are(
    realtime_airflow: RealtimeAirflow, airflow_db: Path, tmp_path: Path
) -> None:
    (tmp_path / "broken.py").write_text("from airflow.sdk import DAG\nraise RuntimeError('oh no')\n")
    realtime_airflow.dags_folder = tmp_path
    with pytest.raises(LookupError, match="oh no"):
        realtime_airflow.dag("mine")


def test_a_dag_that_is_made_in_the_test_runs(realtime_airflow: RealtimeAirflow, airflow_db: Path) -> None:
    realtime_airflow.simulator.phones.add("+14155550101", PhoneScript.busy())
    with DAG("made_in_a_test", schedule=None, params={"number": ""}) as dag:
        PlaceCallOperator(task_id="call", to="{{ params.number }}", campaign="test", wait_for_end=True)
    for _ in range(2):
        run = realtime_airflow.run(dag, number="+14155550101")
        assert (run.state, run.results["call"]["outcome"]) == ("success", "busy")
    with DAG("made_in_a_test_too", schedule=None) as other:
        PlaceCallOperator(task_id="call", to="+14155550102", campaign="test") >> PlaceCallOperator(
            task_id="again", to="+14155550102", campaign="test"
        )
    assert realtime_airflow.run(other).results["again"]["status"] == "already_placed"


def test_nothing_is_left_in_the_environment() -> None:
    assert "AIRFLOW_CONN_TELEPHONY_CARRIER_DEFAULT" not in os.environ
