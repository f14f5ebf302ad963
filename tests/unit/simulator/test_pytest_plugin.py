from __future__ import annotations

import subprocess
import sys

import pytest
from tests.unit.simulator.support import CALLER, PERSON

from airflow_openai_realtime.simulator import Simulator


@pytest.mark.parametrize("time", ["first", "second"])
def test_each_test_gets_an_empty_simulator(realtime_simulator: Simulator, time: str) -> None:
    assert realtime_simulator.log.calls == []
    assert realtime_simulator.faults.pending == []
    assert realtime_simulator.settings.speed == 1
    realtime_simulator.call_in(PERSON, CALLER)
    realtime_simulator.faults.dead_session()
    realtime_simulator.reset(speed=0)


@pytest.mark.realtime_simulator(ring_seconds=3)
def test_the_marker_sets_it(realtime_simulator: Simulator) -> None:
    assert realtime_simulator.settings.ring_seconds == 3


def test_the_plugin_loads_no_server() -> None:
    code = (
        "import sys, airflow_openai_realtime.simulator.pytest_plugin;"
        "print([name for name in ('uvicorn', 'starlette', 'httpx', 'fastapi', 'pydantic') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
