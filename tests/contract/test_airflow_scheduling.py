"""What we count on in Airflow's scheduling, so that we notice when a release changes it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def seen(airflow_db: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What Airflow did; see ``scheduling``."""
    folder = tmp_path_factory.mktemp("dags")
    program = Path(__file__).with_name("scheduling.py")
    answer = subprocess.run(
        [sys.executable, str(program), str(folder)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "AIRFLOW__CORE__DAGS_FOLDER": str(folder)},
    )
    assert answer.returncode == 0, answer.stdout[-3000:] + answer.stderr[-3000:]
    result: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
    return result


def test_airflow_still_strands_events(seen: dict[str, Any]) -> None:
    """
    Of two events between two looks of the scheduler, the run takes the first; the other stays behind.

    When this fails because one run took both, or two runs took one each, a release of Airflow has mended it: say so in
    docs/events.md and docs/design/one-run-per-call.md. What is built here does not depend on it either way.

    Source: https://github.com/apache/airflow/issues/56050
    """
    assert seen["events_of_runs"] == [1]


def test_one_run_id_makes_one_run(seen: dict[str, Any]) -> None:
    assert seen["started"] == [True, False, True]
    assert seen["runs"] == [[f"call__rtc_{number}", {"call_id": f"rtc_{number}"}, None] for number in (1, 2)]


def test_a_dag_that_is_paused_or_missing_is_refused(seen: dict[str, Any]) -> None:
    paused, missing = seen["refused"]
    assert "paused is paused" in paused
    assert "no_such_dag" in missing
