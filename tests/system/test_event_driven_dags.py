"""DAGs that calls start, in a real Airflow: every call is handled once, whatever Airflow does with its events."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from demo.airflow_processes import wait_until
from demo.stage import Stage

from airflow_openai_realtime.simulator.phones import PhoneScript

pytestmark = pytest.mark.system

EVENTS_DAG, EVENTS_NUMBER = "example_call_events", "+14155550102"
RUNS_DAG, DOORBELL_DAG, RUNS_NUMBER = "example_run_per_call", "example_run_per_call_doorbell", "+14155550103"


@contextmanager
def unpaused(stage: Stage, *dag_ids: str) -> Iterator[None]:
    """Let DAGs run; a watcher is only there meanwhile."""
    for dag_id in dag_ids:
        stage.airflow.wait_for_dag(dag_id)
        stage.airflow.unpause(dag_id)
    try:
        yield
    finally:
        for dag_id in dag_ids:
            stage.airflow.request("PATCH", f"/api/v2/dags/{dag_id}", json={"is_paused": True})


def ring(stage: Stage, number: str, calls: int) -> list[str]:
    """Let several people call at the same moment; returns their calls."""
    script = PhoneScript.answers(talks_for_seconds=3)
    return [stage.simulator.call_in(f"+141555501{i:02d}", number, script=script) for i in range(20, 20 + calls)]


def wait_for_end(stage: Stage, call_ids: list[str]) -> None:
    """Wait until all of them have hung up, or were given up."""
    log = stage.simulator.log
    wait_until(
        lambda: all(log.call(call_id=call_id).fate != "in_progress" for call_id in call_ids),
        f"the end of {len(call_ids)} calls",
        timeout_seconds=150,
    )


def rang_together(stage: Stage, call_ids: list[str]) -> bool:
    """Whether all of them rang before the first was accepted."""
    rang, accepted = (
        [stage.simulator.log.of_kind(kind, call_id=call_id)[0].at for call_id in call_ids]
        for kind in ("openai.ringing", "openai.accepted")
    )
    return max(rang) < min(accepted)


def treated(stage: Stage, call_ids: list[str]) -> list[tuple[str, int]]:
    """How each call ended for the caller, and how often it was accepted."""
    records = [stage.simulator.log.call(call_id=call_id) for call_id in call_ids]
    return [(record.fate, record.accepted) for record in records]


def runs(stage: Stage, dag_id: str) -> dict[str, Any]:
    """All runs of a DAG by id."""
    found = stage.airflow.request("GET", f"/api/v2/dags/{dag_id}/dagRuns", params={"limit": 100}).json()
    return {run["dag_run_id"]: run for run in found["dag_runs"]}


def wait_for_quiet(stage: Stage, *dag_ids: str) -> None:
    """Wait until no run of these DAGs is under way."""
    wait_until(
        lambda: all(
            run["state"] in ("success", "failed") for dag_id in dag_ids for run in runs(stage, dag_id).values()
        ),
        f"the end of all runs of {', '.join(dag_ids)}",
        timeout_seconds=150,
        every_seconds=1,
    )


def event_ids(stage: Stage) -> list[str]:
    """The calls of the events that Airflow got, once for each event."""
    events = stage.airflow.request("GET", "/api/v2/assets/events", params={"limit": 100}).json()["asset_events"]
    return [event["extra"]["payload"]["call_id"] for event in events if "payload" in event["extra"]]


def test_calls_that_come_together_are_all_handled_once_by_a_dag_that_they_start(stage: Stage) -> None:
    with unpaused(stage, EVENTS_DAG):
        # The first one also waits for the watcher to be set up.
        wait_for_end(stage, first := ring(stage, EVENTS_NUMBER, 1))
        wait_for_end(stage, together := ring(stage, EVENTS_NUMBER, 3))
        wait_for_quiet(stage, EVENTS_DAG)
        assert treated(stage, first + together) == [("completed", 1)] * 4
        assert rang_together(stage, together)
        assert {run["state"] for run in runs(stage, EVENTS_DAG).values()} == {"success"}
        # Airflow got an event of each of them; how it makes runs of these is up to Airflow.
        assert set(event_ids(stage)) >= {*first, *together}
    assert stage.simulator.log.open_calls() == []


def test_each_call_has_one_run_of_its_own_however_often_it_is_announced(stage: Stage) -> None:
    with unpaused(stage, DOORBELL_DAG, RUNS_DAG):
        wait_for_end(stage, first := ring(stage, RUNS_NUMBER, 1))
        together = ring(stage, RUNS_NUMBER, 3)
        # Others look at the same ringing calls at the same moment.
        for _ in range(3):
            stage.airflow.trigger(DOORBELL_DAG)
        wait_for_end(stage, together)
        wait_for_quiet(stage, DOORBELL_DAG, RUNS_DAG)
        announce_again(stage, together[0])
        wait_for_quiet(stage, DOORBELL_DAG, RUNS_DAG)

        assert treated(stage, first + together) == [("completed", 1)] * 4
        assert rang_together(stage, together)
        of_calls = runs(stage, RUNS_DAG)
        assert sorted(of_calls) == sorted(f"call__{call_id}" for call_id in first + together)
        assert {run["state"] for run in of_calls.values()} == {"success"}
        assert {run["state"] for run in runs(stage, DOORBELL_DAG).values()} == {"success"}
        for call_id in together:
            about = of_calls[f"call__{call_id}"]["conf"]
            assert about.keys() == {"call_id", "line", "received_at"}
            assert about["call_id"] == call_id
    assert stage.simulator.log.open_calls() == []


def announce_again(stage: Stage, call_id: str) -> None:
    """Tell Airflow of a call once more, and wait for the run of the notifier; the call's run id is taken for all."""
    (asset,) = stage.airflow.request("GET", "/api/v2/assets", params={"name_pattern": "someone_calls"}).json()["assets"]
    before = len(runs(stage, DOORBELL_DAG))
    extra = {"payload": {"call_id": call_id}}
    stage.airflow.request("POST", "/api/v2/assets/events", json={"asset_id": asset["id"], "extra": extra})
    wait_until(lambda: len(runs(stage, DOORBELL_DAG)) > before, "a run of the notifier", timeout_seconds=60)
    order = {"dag_run_id": f"call__{call_id}", "logical_date": None}
    with pytest.raises(RuntimeError, match="409"):
        stage.airflow.request("POST", f"/api/v2/dags/{RUNS_DAG}/dagRuns", json=order)
