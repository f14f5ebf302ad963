"""
The ``realtime_airflow`` pytest fixture; pytest loads it as soon as the package is installed.

Nothing heavy is imported here: this module is loaded in every pytest run.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from airflow_openai_realtime.simulator.server import Simulator
    from airflow_openai_realtime.testing.local_airflow import RealtimeAirflow


@pytest.fixture
def realtime_airflow(
    realtime_simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[RealtimeAirflow]:
    """
    Simulated phones, a switchboard in a thread, and the default connections leading to both.

    ``realtime_airflow.run("my_dag", number="+14155550101")`` runs a DAG; Airflow needs a metadata database for that.
    """
    from airflow_openai_realtime.testing.local_airflow import RealtimeAirflow, connections, switchboard_app
    from airflow_openai_realtime.testing.served_app import ServedApp

    with ServedApp(switchboard_app(realtime_simulator, tmp_path)) as served:
        realtime_simulator.webhooks.add(f"{served.url}/webhook")
        for name, value in connections(realtime_simulator, served.url).items():
            monkeypatch.setenv(name, value)
        yield RealtimeAirflow(realtime_simulator, served.url)
