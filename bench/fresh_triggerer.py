"""
How long people wait who are called by a campaign whose triggerer has just started, by where the connections are kept.

A real Airflow with a triggerer of its own for each trial. Tasks of ``PlaceCallOperator(wait_for_end=True)`` ring phones
that are answered after some seconds; a wait begins when OpenAI sends the webhook, and ends when the accept request is
there. Connections in the environment are there at once. Those in Airflow's database reach a trigger through the
triggerer's other process, which builds Airflow's API when it is first asked, and hands out no triggers meanwhile;
unless the task hands them over.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from demo.airflow_processes import wait_until
from demo.stage import Stage

from airflow_openai_realtime.simulator.phones import PhoneScript
from airflow_openai_realtime.testing.local_airflow import connection_values
from bench.figures import percentile
from bench.rings import RINGING, Waits

CALLS = 8
PICKS_UP_AFTER_SECONDS = 5.0
#: A person who has heard nothing by then has hung up.
LIMIT_SECONDS = 60.0
DAG_ID = "campaign"
_DAG = """\
from airflow.sdk import DAG

from airflow_openai_realtime.operators import PlaceCallOperator

with DAG("campaign", schedule=None, max_active_tasks=100, is_paused_upon_creation=False):
    PlaceCallOperator.partial(
        task_id="call", campaign="{{ run_id }}", wait_for_end=True, greeting="Hello.", silence_seconds=None
    ).expand(to=["+1415556%04d" % number for number in range(CALLS)])
""".replace("CALLS", str(CALLS))


class _ConnectionsInDatabase(Stage):
    """A stage whose connections are in Airflow's database."""

    def connections(self) -> dict[str, str]:
        """None in the environment."""
        return {}


def measure() -> dict[str, float]:
    """The slowest answer of a fresh triggerer in milliseconds, and how that of one kind compares with the other."""
    with tempfile.TemporaryDirectory() as folder:
        dags = Path(folder) / "dags"
        dags.mkdir()
        (dags / f"{DAG_ID}.py").write_text(_DAG, encoding="utf-8")
        settings = {"AIRFLOW__CORE__PARALLELISM": str(CALLS)}
        stage = _ConnectionsInDatabase(Path(folder), dags, env=settings, ring_seconds=120, calls_per_second=None)
        start = stage.airflow.start
        stage.airflow.start = lambda *_: start("api-server", "scheduler", "dag-processor")  # type: ignore[method-assign]
        with stage:
            values = connection_values(stage.simulator, stage.switchboard_url)
            for conn_id, value in values.items():
                body = {"connection_id": conn_id, **value, "extra": json.dumps(value["extra"])}
                stage.airflow.request("POST", "/api/v2/connections", json=body)
            stage.airflow.wait_for_dag(DAG_ID)
            in_environment = {f"AIRFLOW_CONN_{name.upper()}": json.dumps(value) for name, value in values.items()}
            _trial(stage, {})  # not counted: the first tasks of this Airflow
            waits = {"environment": _trial(stage, in_environment), "database": _trial(stage, {})}
    figures = {f"fresh_triggerer_{name}_p50_ms": percentile(each.ms, 50) for name, each in waits.items()}
    figures |= {f"fresh_triggerer_{name}_slowest_ms": max(each.ms) for name, each in waits.items()}
    figures |= {f"fresh_triggerer_{name}_unanswered": float(len(each.unanswered)) for name, each in waits.items()}
    slowest = [figures[f"fresh_triggerer_{name}_slowest_ms"] for name in ("database", "environment")]
    return {**figures, "fresh_triggerer_database_vs_environment": slowest[0] / slowest[1]}


def _trial(stage: Stage, env: Mapping[str, str]) -> Waits:
    """Start a triggerer, let a campaign ring everybody, and stop the triggerer."""
    log = stage.airflow.logs / "triggerer.log"
    before = log.stat().st_size if log.exists() else 0
    command = [sys.executable, "-m", "airflow", "triggerer", "--skip-serve-logs"]
    stage.airflow.processes.start("triggerer", command, {**stage.airflow.env, **env})
    wait_until(lambda: b"Starting the triggerer" in log.read_bytes()[before:], "the triggerer", timeout_seconds=120)
    time.sleep(8)  # until its second process runs; Airflow does not say when
    for number in range(CALLS):
        script = PhoneScript.talks_for_ever(after_seconds=PICKS_UP_AFTER_SECONDS)
        stage.simulator.phones.add(f"+1415556{number:04}", script)
    known = _rung(stage)
    stage.airflow.trigger(DAG_ID)
    wait_until(lambda: len(_rung(stage) - known) == CALLS, "all calls to come in", timeout_seconds=180)
    waits = Waits.when_answered(stage.simulator, _rung(stage) - known, LIMIT_SECONDS)
    for number in range(CALLS):
        stage.simulator.phones.hang_up(f"+1415556{number:04}")
    time.sleep(5)
    stage.airflow.processes.kill("triggerer")
    print(f"{'environment' if env else 'database'}: {sorted(round(ms) for ms in waits.ms)} ms", flush=True)
    return waits


def _rung(stage: Stage) -> set[str]:
    return {str(entry.call_id) for entry in stage.simulator.log.entries if entry.kind == RINGING}
