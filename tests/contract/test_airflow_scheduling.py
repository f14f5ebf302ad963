"""What we count on in Airflow's scheduling, so that we notice when a release changes it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from airflow_openai_realtime.version_compat import unites_asset_events_on_request


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
    # Airflow's async engine may still log about itself after the answer, when the program ends.
    found = next(line for line in reversed(answer.stdout.splitlines()) if line.startswith("{"))
    result: dict[str, Any] = json.loads(found)
    return result


def test_a_run_takes_all_events_where_airflow_lets_us_ask_for_it(seen: dict[str, Any]) -> None:
    """
    Of two events between two looks of the scheduler, before Airflow 3.4 a run takes the first; the other stays behind.

    When this fails, a release has changed what docs/events.md and docs/design/one-run-per-call.md say: correct them.

    Source: https://github.com/apache/airflow/issues/56050
    """
    ours = [seen["events_of_runs"][dag_id] for dag_id in ("of_all_events", "of_two_lines")]
    assert ours == ([[2], [2]] if unites_asset_events_on_request() else [[1], [1]])


def test_what_a_plain_asset_schedule_makes_of_events(seen: dict[str, Any]) -> None:
    """Airflow 3.4 makes a run for each event; this fails when its default, or that of 3.3, changes."""
    assert seen["events_of_runs"]["as_airflow_likes"] == ([1, 1] if unites_asset_events_on_request() else [1])


def test_unpausing_starts_the_run_that_was_missed_whatever_run_immediately_says(seen: dict[str, Any]) -> None:
    """
    That is why PlaceCallOperator dials nothing in a run that starts late.

    When this fails, a release starts no such run any more: correct what docs/operators.md says about unpausing.
    """
    late = seen["minutes_late"]
    assert [minutes in (40, 41) for minutes in late["missed"]] == [True]
    assert late["missed_undated"] in ([], [40], [41])


def test_one_run_id_makes_one_run(seen: dict[str, Any]) -> None:
    assert seen["started"] == [True, False, True]
    assert seen["runs"] == [[f"call__rtc_{number}", {"call_id": f"rtc_{number}"}, None] for number in (1, 2)]


def test_a_dag_that_is_paused_or_missing_is_refused(seen: dict[str, Any]) -> None:
    paused, missing = seen["refused"]
    assert "paused is paused" in paused
    assert "no_such_dag" in missing


def test_the_mounted_switchboard_says_how_a_task_is_by_its_try(seen: dict[str, Any]) -> None:
    """For each: whether the try that was asked for is over, has moved, and whether a process has its task."""
    assert seen["states"] == {
        "deferred": [False, True, True],
        "cleared": [False, False, False],
        "next try deferred": [False, False, True],
        "next try failed": [False, False, False],
        "failed": [True, False, False],
        "deleted": [True, False, False],
    }


def test_the_mounted_switchboard_leaves_a_result_in_xcom_once(seen: dict[str, Any]) -> None:
    assert seen["left"] == [{"outcome": "killed", "tools": [{"name": "x"}]}]
