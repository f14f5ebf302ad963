"""The example DAGs parse, on every Airflow that is supported, without a connection being looked up."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = sorted((Path(__file__).parents[2] / "example_dags").glob("example_*.py"))

#: Loads the given files as Airflow's DAG processor does; prints what it found of each, as JSON.
LOAD = """
import json, sys

from airflow.dag_processing.dagbag import DagBag
from airflow.serialization.serialized_objects import DagSerialization

found = {}
for path in sys.argv[1:]:
    bag = DagBag(path)
    timetables = [DagSerialization.to_dict(dag)['dag']['timetable'] for dag in bag.dags.values()]
    found[path] = {
        'errors': list(bag.import_errors.values()),
        'dag_ids': list(bag.dags),
        'timetables': [[it['__type'], it['__var']] for it in timetables],
    }
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def loaded() -> dict[str, dict[str, Any]]:
    """What each example file defines; loaded by a process of its own, which has no connection to look up."""
    command = [sys.executable, "-c", LOAD, *map(str, EXAMPLES)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    found: dict[str, dict[str, Any]] = json.loads(answer.stdout.splitlines()[-1])
    return found


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 3


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_defines_a_valid_dag_named_after_its_file(path: Path, loaded: dict[str, dict[str, Any]]) -> None:
    assert not loaded[str(path)]["errors"], loaded[str(path)]["errors"]
    assert path.stem in loaded[str(path)]["dag_ids"]


def test_twenty_rings_are_not_twenty_runs_on_any_airflow(loaded: dict[str, dict[str, Any]]) -> None:
    timetables = [timetable for found in loaded.values() for timetable in found["timetables"]]
    on_events = [options for kind, options in timetables if "Asset" in kind]
    assert len(on_events) >= 3
    # Before Airflow 3.4 there is nothing to ask for: events are always united.
    assert all(options.get("batch_asset_events", True) for options in on_events)
