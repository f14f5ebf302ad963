"""Whole calls as one task, in a real Airflow."""

from __future__ import annotations

import time
from typing import Any

import pytest
from airflow.triggers.base import BaseTrigger
from demo.airflow_processes import wait_until
from demo.stage import Stage

from airflow_openai_realtime.simulator import Dialogue, Move, PhoneScript, Reply
from airflow_openai_realtime.switchboard.client.switchboard_requests import get_call

pytestmark = pytest.mark.system

RUN_SECONDS = 300
ASKED = Dialogue(
    (
        Reply("How was it?"),
        Reply.calls("record_result", {"score": 4, "comment": "Quick."}),
        Reply.calls("end_call", text="Thank you."),
    ),
    (Move.says("Four, it was quick."),),
)


def start(stage: Stage, dag_id: str, **conf: Any) -> str:
    stage.airflow.wait_for_dag(dag_id)
    stage.airflow.unpause(dag_id)
    return stage.airflow.trigger(dag_id, conf)


def finish(stage: Stage, dag_id: str, run_id: str) -> str:
    wait_until(
        lambda: stage.airflow.run_state(dag_id, run_id) not in ("queued", "running"),
        f"the end of {dag_id}",
        timeout_seconds=RUN_SECONDS,
        every_seconds=1,
    )
    return stage.airflow.run_state(dag_id, run_id)


def result_of(stage: Stage, dag_id: str, run_id: str, task_id: str, key: str = "return_value") -> Any:
    path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/{key}"
    return stage.airflow.request("GET", path, params={"deserialize": True}).json()["value"]


def test_one_task_rings_asks_and_returns_what_was_found_out(stage: Stage) -> None:
    number = "+14155550471"
    stage.simulator.phones.add(number, PhoneScript.talks_for_ever(after_seconds=1, dialogue=ASKED))
    run_id = start(stage, "example_survey_call", number=number)
    assert finish(stage, "example_survey_call", run_id) == "success"
    result = result_of(stage, "example_survey_call", run_id, "call")
    assert (result["outcome"], result["result"]) == ("completed", {"score": 4, "comment": "Quick."})
    assert number not in str(result)
    (record,) = stage.simulator.log.calls_with(number)
    assert (record.rang, record.accepted, record.open) == (1, 1, False)
    path = f"/api/v2/dags/example_survey_call/dagRuns/{run_id}/taskInstances/call/links"
    links = stage.airflow.request("GET", path).json()["extra_links"]
    assert links["Call"].endswith(result["call_id"])


def test_a_live_call_is_linked_from_its_task_which_shows_no_number(stage: Stage) -> None:
    number = "+14155550474"
    stage.simulator.phones.add(number, PhoneScript.answers(after_seconds=1, talks_for_seconds=600))
    run_id = start(stage, "example_survey_call", number=number)
    wait_until(
        lambda: any(record.open and record.accepted for record in stage.simulator.log.calls_with(number)),
        "the call",
        timeout_seconds=RUN_SECONDS,
    )
    (record,) = stage.simulator.log.calls_with(number)
    path = f"/api/v2/dags/example_survey_call/dagRuns/{run_id}/taskInstances/call"
    link = stage.airflow.request("GET", f"{path}/links").json()["extra_links"]["Call"]
    kind, conn_id, attempt_id = link.partition("#/")[2].split("/")
    assert kind == "attempt"
    params = {"conn_id": conn_id, "attempt_id": attempt_id}
    page = stage.airflow.request("GET", "/openai-realtime-calls/api/attempt", params=params).json()
    assert page["call"]["call_id"] == record.call_id
    task = stage.airflow.request("GET", path).json()
    assert task["state"] == "deferred"
    assert task["rendered_fields"]["to"] == "+1***0474"
    assert number not in str(task)
    stage.simulator.phones.hang_up(number)
    assert finish(stage, "example_survey_call", run_id) == "success"
    result = result_of(stage, "example_survey_call", run_id, "call")
    assert (result["contact"], result["campaign"], result["attempt"]) == (run_id, "survey", 1)


def test_who_is_busy_is_rung_again_and_the_asset_tells_other_dags(stage: Stage) -> None:
    number = "+14155550472"
    stage.simulator.phones.add(number, PhoneScript.busy(), PhoneScript.answers(after_seconds=1, talks_for_seconds=30))
    stage.airflow.wait_for_dag("example_follow_up_report")
    stage.airflow.unpause("example_follow_up_report")
    run_id = start(stage, "example_follow_up", number=number, again_after_minutes=0)
    assert finish(stage, "example_follow_up", run_id) == "success"
    assert result_of(stage, "example_follow_up", run_id, "call")["outcome"] == "busy"
    assert result_of(stage, "example_follow_up", run_id, "call_again")["outcome"] == "caller_hung_up"
    assert len(stage.simulator.log.dials(number)) == 2

    def reported() -> bool:
        path = "/api/v2/dags/example_follow_up_report/dagRuns"
        runs = stage.airflow.request("GET", path).json()["dag_runs"]
        return any(run["state"] == "success" for run in runs)

    wait_until(reported, "a report about finished calls", timeout_seconds=RUN_SECONDS, every_seconds=1)


@pytest.mark.skipif(not hasattr(BaseTrigger, "on_kill"), reason="triggers learn of it from Airflow 3.3 on")
def test_a_call_marked_as_failed_is_hung_up_at_once(stage: Stage) -> None:
    number = "+14155550473"
    stage.simulator.phones.add(number, PhoneScript.talks_for_ever(after_seconds=1))
    run_id = start(stage, "example_survey_call", number=number)
    wait_until(
        lambda: any(record.open and record.accepted for record in stage.simulator.log.calls_with(number)),
        "the call",
        timeout_seconds=RUN_SECONDS,
    )
    (record,) = stage.simulator.log.calls_with(number)
    wait_until(
        lambda: bool(stage.simulator.log.of_kind("sideband.attached", call_id=record.call_id)),
        "somebody to run the call",
        timeout_seconds=60,
    )
    path = f"/api/v2/dags/example_survey_call/dagRuns/{run_id}/taskInstances/call"
    stage.airflow.request("PATCH", path, json={"new_state": "failed"})
    began = time.monotonic()
    wait_until(lambda: not stage.simulator.log.open_calls(), "the hang-up", timeout_seconds=120, every_seconds=0.05)
    print(f"hung up {time.monotonic() - began:.1f} s after it was marked as failed")
    with stage.switchboard() as switchboard:
        wait_until(
            lambda: switchboard.send(get_call(record.call_id)).is_over, "the end at the switchboard", timeout_seconds=30
        )
        # Not by its time, which is minutes away.
        assert switchboard.send(get_call(record.call_id)).end_reason == "killed"
