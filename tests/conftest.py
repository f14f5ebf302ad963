"""Settings every test shares: a private AIRFLOW_HOME, no examples, and a migrated database on request."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

# Airflow reads its settings when it is first imported, so they are set before any test module is.
_HOME = tempfile.TemporaryDirectory(prefix="airflow-home-")
os.environ.update(
    {
        "AIRFLOW_HOME": _HOME.name,
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": f"{_HOME.name}/dags",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{_HOME.name}/airflow.db",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "INFO",
    }
)
Path(_HOME.name, "dags").mkdir()


@pytest.fixture(scope="session")
def airflow_home() -> Path:
    """The directory that Airflow uses in this test run."""
    return Path(_HOME.name)


@pytest.fixture(scope="session")
def airflow_db(airflow_home: Path) -> Path:
    """Path of a migrated SQLite metadata database; made once a test run."""
    subprocess.run(
        [sys.executable, "-m", "airflow", "db", "migrate"],
        check=True,
        env=os.environ.copy(),
        stdout=subprocess.DEVNULL,
    )
    return airflow_home / "airflow.db"


def pytest_sessionfinish() -> None:
    """Keep what `make coverage` has counted: the workers of a parallel run may be ended hard."""
    coverage = sys.modules.get("coverage")
    counting = coverage.Coverage.current() if coverage is not None else None
    if counting is not None:
        counting.save()
