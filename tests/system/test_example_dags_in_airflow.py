"""The example DAGs in a real Airflow, and what they leave behind."""

from __future__ import annotations

import sqlite3
from collections import Counter
from datetime import datetime, timezone
from pathlib import Path

import pytest
from demo.airflow_processes import wait_until
from demo.campaign import DECLINED, ENDED, HUNG_UP, TRANSFERRED, disagreements, outcomes, read_contacts
from demo.stage import EXAMPLE_DAGS, Stage

from airflow_openai_realtime.calls.tokens import derived_token
from airflow_openai_realtime.simulator.log import CallRecord
from airflow_openai_realtime.simulator.phones import PhoneScript

pytestmark = pytest.mark.system

CAMPAIGN_DAG = "example_callback_campaign"
CONTACTS = read_contacts(EXAMPLE_DAGS / "callback_contacts.csv")
RUN_SECONDS = 300


def run(stage: Stage, dag_id: str, conf: dict[str, object] | None = None) -> str:
    """Start a run by hand and wait for its end; returns its state."""
    stage.airflow.wait_for_dag(dag_id)
    stage.airflow.unpause(dag_id)
    run_id = stage.airflow.trigger(dag_id, conf)
    wait_until(
        lambda: stage.airflow.run_state(dag_id, run_id) not in ("queued", "running"),
        f"the end of {dag_id}",
        timeout_seconds=RUN_SECONDS,
        every_seconds=1,
    )
    return stage.airflow.run_state(dag_id, run_id)


def test_a_campaign_treats_everybody_as_planned_and_a_second_run_rings_nobody(stage: Stage) -> None:
    assert run(stage, CAMPAIGN_DAG, {"max_duration_seconds": 20}) == "success"

    log = stage.simulator.log
    campaign = f"callbacks-{datetime.now(timezone.utc):%Y-%m-%d}"
    with stage.switchboard() as switchboard:
        found = outcomes(CONTACTS, switchboard, log, campaign)
    assert disagreements(found, log) == []
    fates = Counter(each.seen for each in found)
    assert fates == {HUNG_UP: 2, ENDED: 2, "busy": 2, "no answer": 1, TRANSFERRED: 2, DECLINED: 1}

    assert run(stage, CAMPAIGN_DAG, {"max_duration_seconds": 20}) == "success"
    assert [len(log.dials(contact.number)) for contact in CONTACTS] == [1] * len(CONTACTS)
    assert log.open_calls() == []


def test_a_call_started_by_hand_is_hung_up_after_its_time(stage: Stage) -> None:
    number = "+14155550177"
    stage.simulator.phones.add(number, PhoneScript.answers(after_seconds=1, talks_for_seconds=5))

    assert run(stage, "example_call_now", {"number": number, "max_minutes": 1}) == "success"

    (record,) = stage.simulator.log.calls_with(number)
    assert (record.fate, record.ended_by, record.accepted) == ("completed", "caller", 1)


def test_an_inbound_line_declines_transfers_and_talks(stage: Stage) -> None:
    airflow, simulator = stage.airflow, stage.simulator
    airflow.wait_for_dag("example_inbound_line")
    airflow.unpause("example_inbound_line")

    def call(number: str) -> CallRecord:
        script = PhoneScript.answers(talks_for_seconds=3)
        call_id = simulator.call_in(number, "+14155550100", script=script)
        wait_until(
            lambda: simulator.log.call(call_id=call_id).fate != "in_progress",
            f"the end of the call from {number}",
            timeout_seconds=90,
        )
        return simulator.log.call(call_id=call_id)

    try:
        assert call("+14155550198").fate == "rejected"
        assert call("+14155550123").ended_by == "caller"
        transferred = call("+14155550197")
    finally:
        airflow.request("PATCH", "/api/v2/dags/example_inbound_line", json={"is_paused": True})
    # The caller may hang up before the transfer is asked for; talking, they were accepted in any case.
    assert transferred.accepted == 1


def test_no_secret_is_left_in_logs_xcom_or_rendered_templates(stage: Stage) -> None:
    simulator = stage.simulator
    secrets = [
        simulator.api_key,
        simulator.webhook_secret,
        simulator.webhook_secret.removeprefix("whsec_"),
        simulator.auth_token,
        derived_token(simulator.webhook_secret),
    ]
    leaks = [
        f"{path}: secret {number}"
        for path in stage.airflow.home.rglob("*.log")
        for number, secret in enumerate(secrets)
        if secret.encode() in path.read_bytes()
    ]
    leaks += [f"{where}: secret {number}" for where, number in _in_database(stage.airflow.home / "airflow.db", secrets)]
    assert leaks == []


def _in_database(path: Path, secrets: list[str]) -> list[tuple[str, int]]:
    """Tables of Airflow's database that hold a secret in plain text."""
    found = []
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        assert "xcom" in tables
        assert "rendered_task_instance_fields" in tables
        for table in tables:
            for row in database.execute(f'SELECT * FROM "{table}"'):
                text = repr(row)
                found += [(table, number) for number, secret in enumerate(secrets) if secret in text]
    database.close()
    return found
