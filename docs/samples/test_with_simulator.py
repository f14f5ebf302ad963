"""Test a DAG with simulated phones: ``python -m pytest docs/samples``."""

# ruff: noqa: S101

# [START sample]
import json
import os
import subprocess
import sys

import pytest

from airflow_openai_realtime.simulator import PhoneScript

NUMBER = "+14155550101"


@pytest.fixture
def switchboard(realtime_simulator, tmp_path):
    """A switchboard of its own: on a free port, with the simulator as OpenAI."""
    process = subprocess.Popen(
        [sys.executable, "-m", "airflow_openai_realtime.switchboard", "--port", "0"],
        env={
            **os.environ,
            "OPENAI_API_KEY": realtime_simulator.api_key,
            "OPENAI_WEBHOOK_SECRET": realtime_simulator.webhook_secret,
            "OPENAI_REALTIME_BASE_URL": realtime_simulator.openai_base_url,
            "OPENAI_REALTIME_STORE_URL": f"sqlite:///{tmp_path}/calls.db",
        },
        stdout=subprocess.PIPE,
        text=True,
    )
    url = process.stdout.readline().split()[-1]  # switchboard: listening on http://127.0.0.1:41234
    realtime_simulator.webhooks.add(f"{url}/webhook")
    yield url
    process.terminate()
    process.communicate()


@pytest.fixture
def dag(airflow_db, realtime_simulator, switchboard, monkeypatch):
    """The DAG under test, with both connections pointing at the simulator."""
    realtime = {
        "conn_type": "openai_realtime",
        "password": realtime_simulator.api_key,
        "host": realtime_simulator.openai_base_url,
        "extra": {"webhook_secret": realtime_simulator.webhook_secret, "switchboard_url": switchboard},
    }
    carrier = {
        "conn_type": "telephony_carrier",
        "login": realtime_simulator.account_sid,
        "password": realtime_simulator.auth_token,
        "host": realtime_simulator.twilio_base_url,
        "extra": {"caller_number": "+14155550100", "openai_project_id": realtime_simulator.project_id},
    }
    monkeypatch.setenv("AIRFLOW_CONN_OPENAI_REALTIME_DEFAULT", json.dumps(realtime))
    monkeypatch.setenv("AIRFLOW_CONN_TELEPHONY_CARRIER_DEFAULT", json.dumps(carrier))
    from airflow.dag_processing.dagbag import DagBag

    return DagBag().dags["example_call_now"]


def test_a_person_who_answers_is_connected(dag, realtime_simulator):
    realtime_simulator.phones.add(NUMBER, PhoneScript.answers(after_seconds=0, talks_for_seconds=2))

    run = dag.test(run_conf={"number": NUMBER})

    assert run.state == "success"
    [call] = realtime_simulator.log.calls_with(NUMBER)
    assert (call.rang, call.accepted, call.ended_by) == (1, 1, "caller")
    assert not realtime_simulator.log.open_calls()


def test_a_busy_phone_is_left_alone(dag, realtime_simulator):
    realtime_simulator.phones.add(NUMBER, PhoneScript.busy())

    run = dag.test(run_conf={"number": NUMBER})

    states = {task.task_id: task.state for task in run.get_task_instances()}
    assert states["wait_for_call"] == states["accept"] == "skipped"
    assert len(realtime_simulator.log.dials(NUMBER)) == 1


# [END sample]
