"""The next release can be recorded: the script still drives the package as it is now."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from tests.upgrade.recordings import VERSIONS, Recording

ROOT = Path(__file__).parents[2]


@pytest.mark.postgres
def test_this_release_can_be_recorded(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-W",
        "ignore",
        str(ROOT / "scripts" / "make_upgrade_fixture.py"),
        "--out",
        str(tmp_path),
    ]
    env = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    kinds = {path.name.partition("-")[0] + path.suffix for path in tmp_path.iterdir()}
    assert kinds == {"answers.json", "triggers.json", "store.sql"}
    (answers,) = tmp_path.glob("answers-*.json")
    last = Recording.of(VERSIONS[-1])
    assert json.loads(answers.read_text())["calls"].keys() == last.calls.keys()
    (sqlite,) = (path for path in tmp_path.glob("store-*.sql") if "postgresql" not in path.name)
    with sqlite3.connect(":memory:") as store:
        store.executescript(sqlite.read_text())
        states = {state for (state,) in store.execute("SELECT DISTINCT state FROM openai_realtime_call")}
    store.close()
    assert states == {"ringing", "claimed", "accepted", "rejected", "ended", "missed"}
