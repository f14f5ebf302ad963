"""The figures of ``make trips`` can be trusted, and no trip through the package gets longer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from airflow import __version__ as airflow_version
from scripts.count_trips import CEILING, CLIENT, FIGURES, PACKAGE, Counter, as_text, lowered

ROOT = Path(__file__).parents[2]


def counted(out: Path) -> dict[str, Any]:
    """The result of the script in a process of its own."""
    command = [sys.executable, "-W", "ignore", str(ROOT / "scripts" / "count_trips.py"), "--out", str(out)]
    env = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "COVERAGE", "COV_"))}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    found: dict[str, Any] = json.loads(out.read_text())
    assert all(name in done.stdout for name in found["figures"])
    return found


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return counted(tmp_path_factory.mktemp("trips") / "first" / "trips.json")


def test_two_runs_count_the_same(first: dict[str, Any], tmp_path: Path) -> None:
    again = counted(tmp_path / "trips.json")
    assert again["figures"] == first["figures"]
    for trip, group in FIGURES.values():
        assert again["trips"][trip]["switches"][group] == first["trips"][trip]["switches"][group]


def test_each_trip_goes_through_the_files_that_it_must(first: dict[str, Any]) -> None:
    def ran(trip: str, group: str) -> set[str]:
        return {call.rpartition(":")[0] for pair in first["trips"][trip]["switches"][group] for call in pair}

    assert "sensors/incoming_call.py" in ran("webhook_to_sensor", CLIENT)
    assert "api/webhooks.py" in ran("webhook_to_sensor", "server")
    assert "operators/hang_up.py" in ran("hang_up", CLIENT)
    assert "operators/accept.py" in ran("instructions_to_accept", CLIENT)
    assert "operators/place.py" in ran("number_to_carrier", CLIENT)
    assert "triggers/live_call.py" in ran("event_to_xcom", CLIENT)
    assert any(file.startswith("api/sideband") for file in ran("event_to_xcom", CLIENT))
    every = {file for trip in first["trips"] for group in (CLIENT, "server") for file in ran(trip, group)}
    assert not any(file.startswith("simulator") for file in every)


@pytest.mark.skipif(not airflow_version.startswith("3.3."), reason="the ceilings are those of Airflow 3.3")
def test_no_trip_is_longer_than_its_ceiling(first: dict[str, Any]) -> None:
    ceiling = json.loads(CEILING.read_text())
    assert set(ceiling) == set(FIGURES) == set(first["figures"])
    longer = {
        f"{name}.{what}": (found, ceiling[name][what])
        for name, figures in first["figures"].items()
        for what, found in figures.items()
        if found > ceiling[name][what]
    }
    assert longer == {}


# -- what is counted ---------------------------------------------------------------------------------------------------

MODULES = {
    "one.py": """
from two import Shown, helped, paused, numbers

def plain():
    helped()
    helped()
    def local():
        pass
    local()

async def waits():
    await paused()

def through_a_library():
    sorted([1, 2], key=lambda each: helped() or each)

def shows():
    f"{Shown()}"

def loops():
    list(numbers())
""",
    "two.py": """
import asyncio

def helped():
    pass

class Shown:
    def __str__(self):
        return ""

async def paused():
    await asyncio.sleep(0)
    await asyncio.sleep(0)

def numbers():
    yield 1
    yield 2
""",
}

PROGRAM = """
import asyncio, json, sys
sys.path[:0] = [sys.argv[1], sys.argv[2]]
from pathlib import Path
from scripts.count_trips import Counter
counter = Counter(Path(sys.argv[1]))
counter.install()
import one
found = {}
for name in ("plain", "through_a_library", "loops", "shows", "waits"):
    with counter.counting() as trip:
        made = getattr(one, name)()
        if name == "waits":
            asyncio.run(made)
    found[name] = trip.switches["client"]
print(json.dumps(found))
"""


def test_a_switch_is_a_call_into_another_file_once_for_each_pair_of_functions(tmp_path: Path) -> None:
    for name, text in MODULES.items():
        (tmp_path / name).write_text(text)
    command = [sys.executable, "-c", PROGRAM, str(tmp_path), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == {
        "plain": [["one.py:plain", "two.py:helped"]],
        "through_a_library": [["one.py:through_a_library.<locals>.<lambda>", "two.py:helped"]],
        "loops": [["one.py:loops", "two.py:numbers"]],
        "shows": [],
        "waits": [["one.py:waits", "two.py:paused"]],
    }


def test_what_is_not_of_the_package_does_not_count() -> None:
    counter = Counter(ROOT / "provider" / PACKAGE)
    with counter.counting() as trip:
        json.dumps({})
    assert trip.files == {"client": [], "server": []}


def test_ceilings_are_lowered_and_never_raised() -> None:
    ceiling = {"a": {"switches": 10, "files": 5}}
    assert lowered(ceiling, {"a": {"switches": 9, "files": 6}}) == {"a": {"switches": 9, "files": 5}}
    assert json.loads(as_text(ceiling)) == ceiling
    assert as_text(json.loads(CEILING.read_text())) == CEILING.read_text()
